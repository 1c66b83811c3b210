"""openai-python's ways with files: made, read, listed, downloaded and deleted, at once and in parts."""

from __future__ import annotations

import hashlib
import secrets

import openai
import pytest

pytestmark = pytest.mark.sdk

PART = 1024**2  # bytes


def test_a_file_is_made_read_listed_downloaded_and_deleted(sdk: openai.OpenAI) -> None:
    made = sdk.files.create(
        file=("notes ü.md", b"# Notes"), purpose="assistants", expires_after={"anchor": "created_at", "seconds": 3_600}
    )
    assert (made.filename, made.bytes, made.purpose, made.status) == ("notes ü.md", 7, "assistants", "processed")
    assert made.expires_at == made.created_at + 3_600
    assert sdk.files.wait_for_processing(made.id).id == made.id
    assert sdk.files.retrieve(made.id) == made
    assert made.id in [found.id for found in sdk.files.list(purpose="assistants")]
    assert sdk.files.content(made.id).read() == b"# Notes"
    assert sdk.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        sdk.files.retrieve(made.id)


def test_pages_of_files_follow_each_other(sdk: openai.OpenAI) -> None:
    made = [sdk.files.create(file=(f"{number}.txt", b"x"), purpose="vision").id for number in range(3)]
    assert [found.id for found in sdk.files.list(purpose="vision", limit=2, order="asc")][-3:] == made


def test_a_purpose_that_does_not_exist_is_refused(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.files.create(file=b"x", purpose="world_domination")  # type: ignore[arg-type]
    assert refused.value.param == "purpose"


def test_a_file_comes_in_parts(sdk: openai.OpenAI) -> None:
    content = secrets.token_bytes(3 * PART + 1)
    upload = sdk.uploads.upload_file_chunked(
        file=content,
        filename="large.bin",
        bytes=len(content),
        mime_type="application/octet-stream",
        purpose="assistants",
        part_size=PART,
        md5=hashlib.md5(content).hexdigest(),
    )
    assert (upload.status, upload.bytes) == ("completed", len(content))
    assert upload.file is not None
    assert sdk.files.content(upload.file.id).read() == content


def test_an_upload_is_cancelled(sdk: openai.OpenAI) -> None:
    upload = sdk.uploads.create(filename="a.txt", bytes=2, mime_type="text/plain", purpose="assistants")
    part = sdk.uploads.parts.create(upload.id, data=b"ab")
    assert part.upload_id == upload.id
    assert sdk.uploads.cancel(upload.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="Cannot complete upload with status 'cancelled'"):
        sdk.uploads.complete(upload.id, part_ids=[part.id])
