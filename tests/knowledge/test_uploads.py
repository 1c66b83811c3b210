"""Files that come in parts: order, sizes, checksums, and that nothing is left of what was not completed."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from assistants.knowledge import storage
from assistants.knowledge.models import File, Upload, UploadPart
from assistants.knowledge.services import uploads
from tests.knowledge.test_files import content_of, error_of
from tests.knowledge.uploading import FORM, file, folder, send, stored

__all__ = ["folder"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folder")]
committed = pytest.mark.django_db(transaction=True)  # for what happens after a commit

ASKED = {"purpose": "fine-tune", "filename": "a.jsonl", "bytes": 8, "mime_type": "text/jsonl"}


def begin(api: APIClient, **changes: Any) -> Any:
    return api.post("/v1/uploads", ASKED | changes, format="json")


def add(api: APIClient, upload: str, content: bytes, **headers: str) -> Any:
    return send(api, f"uploads/{upload}/parts", file(content, "part", "data"), **headers)


def complete(api: APIClient, upload: str, parts: list[str], **fields: Any) -> Any:
    body = {"part_ids": parts, **{name: value for name, value in fields.items() if name == "md5"}}
    headers: Any = {"HTTP_IDEMPOTENCY_KEY": fields["key"]} if "key" in fields else {}
    return api.post(f"/v1/uploads/{upload}/complete", body, format="json", **headers)


@pytest.fixture
def upload(api: APIClient) -> str:
    made: str = begin(api).json()["id"]
    return made


@pytest.fixture
def parts(api: APIClient, upload: str) -> list[str]:
    return [add(api, upload, content).json()["id"] for content in (b"1234", b"5678")]


@committed
def test_an_upload_becomes_a_file(api: APIClient, folder: Path) -> None:
    made = begin(api).json()
    assert made == {
        "id": made["id"],
        "object": "upload",
        "bytes": 8,
        "created_at": made["created_at"],
        "filename": "a.jsonl",
        "purpose": "fine-tune",
        "status": "pending",
        "expires_at": made["expires_at"],
    }
    assert made["id"].startswith("upload_")
    assert made["expires_at"] - made["created_at"] in (3_600, 3_601)
    second = add(api, made["id"], b"5678").json()
    first = add(api, made["id"], b"1234").json()
    assert second == {
        "id": second["id"],
        "object": "upload.part",
        "created_at": second["created_at"],
        "upload_id": made["id"],
    }
    checksum = hashlib.md5(b"12345678").hexdigest().upper()
    done = complete(api, made["id"], [first["id"], second["id"]], md5=checksum).json()
    assert done == made | {"status": "completed", "file": done["file"]}
    assert done["file"]["filename"] == "a.jsonl"
    assert done["file"]["status"] == "processed"
    assert content_of(api, done["file"]["id"]) == b"12345678"
    assert File.objects.get().sha256 == hashlib.sha256(b"12345678").hexdigest()
    assert stored(folder) == [b"12345678"]
    assert not UploadPart.objects.exists()


@committed
def test_parts_that_are_not_named_are_dropped(api: APIClient, folder: Path, upload: str, parts: list[str]) -> None:
    add(api, upload, b"sent twice")
    assert complete(api, upload, parts).status_code == 200
    assert stored(folder) == [b"12345678"]


def test_the_file_expires_as_was_asked_for(api: APIClient) -> None:
    made = begin(api, bytes=1, expires_after={"anchor": "created_at", "seconds": 7_200}).json()["id"]
    part = add(api, made, b"x").json()["id"]
    done = complete(api, made, [part]).json()["file"]
    assert done["expires_at"] - done["created_at"] == 7_200


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"purpose": "world_domination"}, "purpose", "invalid_value"),
        ({"purpose": None}, "purpose", "invalid_type"),
        ({"bytes": 0}, "bytes", "integer_below_min_value"),
        ({"bytes": 8 * 1024**3 + 1}, "bytes", "integer_above_max_value"),
        ({"bytes": "8"}, "bytes", "invalid_type"),
        ({"filename": ""}, "filename", "string_below_min_length"),
        ({"filename": "a\0"}, "filename", "invalid_value"),
        ({"filename": "a\nb"}, "filename", "invalid_value"),
        ({"filename": "a" * 256}, "filename", "string_above_max_length"),
        ({"filename": 7}, "filename", "invalid_type"),
        ({"mime_type": "x" * 256}, "mime_type", "string_above_max_length"),
        (
            {"expires_after": {"anchor": "created_at", "seconds": "3600"}},
            "expires_after.seconds",
            "invalid_type",
        ),
        ({"expires_after": {"anchor": "now", "seconds": 3600}}, "expires_after.anchor", "invalid_value"),
        ({"colour": "red"}, "colour", "unknown_parameter"),
    ],
)
def test_an_upload_that_cannot_be_is_refused(api: APIClient, changes: Any, param: str, code: str) -> None:
    refused = error_of(begin(api, **changes))
    assert (refused["param"], refused["code"]) == (param, code)
    assert not Upload.objects.exists()


def test_what_is_missing_is_named(api: APIClient, upload: str) -> None:
    assert error_of(api.post("/v1/uploads", {}, format="json"))["message"] == "Missing required parameter: 'filename'."
    assert error_of(send(api, f"uploads/{upload}/parts"))["message"] == "'data' is a required property"
    assert error_of(add(api, upload, b""))["message"] == "File is empty."
    missing = error_of(api.post(f"/v1/uploads/{upload}/complete", {}, format="json"))
    assert missing["message"] == "Missing required parameter: 'part_ids'."


@committed
def test_parts_have_to_be_as_large_as_was_announced(
    api: APIClient, folder: Path, upload: str, parts: list[str]
) -> None:
    refused = error_of(complete(api, upload, parts[:1]))
    assert refused["message"] == "The parts have 4 bytes, but 8 were announced."
    assert stored(folder) == [b"1234", b"5678"]
    assert complete(api, upload, parts).status_code == 200


@committed
def test_a_wrong_checksum_is_refused(api: APIClient, folder: Path, upload: str, parts: list[str]) -> None:
    wrong = hashlib.md5(b"56781234").hexdigest()
    refused = error_of(complete(api, upload, parts, md5=wrong))
    right = hashlib.md5(b"12345678").hexdigest()
    assert refused["message"] == f"The parts have the MD5 checksum {right}, but {wrong} was expected."
    assert error_of(complete(api, upload, parts, md5="short"))["param"] == "md5"
    assert stored(folder) == [b"1234", b"5678"]
    assert complete(api, upload, parts[::-1], md5=wrong).status_code == 200


def test_a_part_is_named_once_and_belongs_to_the_upload(api: APIClient, upload: str, parts: list[str]) -> None:
    assert error_of(complete(api, upload, [parts[0], parts[0]]))["param"] == "part_ids[1]"
    assert error_of(complete(api, upload, []))["code"] == "array_below_min_length"
    other = begin(api).json()["id"]
    foreign = add(api, other, b"1234").json()["id"]
    refused = error_of(complete(api, upload, [parts[0], foreign]), 404)
    assert refused["message"] == f"No upload part found with id '{foreign}'."


@committed
def test_large_parts_and_too_many_bytes_are_refused(
    api: APIClient, folder: Path, upload: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAXIMUM_PART_BYTES", 1024**2)
    refused = error_of(add(api, upload, b"x" * (1024**2 + 1)), 413)
    assert refused["message"] == "The body is larger than 1 MB."
    monkeypatch.setattr(uploads, "MAXIMUM_PART_BYTES", 8)
    add(api, upload, b"12345678")
    add(api, upload, b"12345678")  # again: its answer was lost
    refused = error_of(add(api, upload, b"9"))
    assert refused["message"] == "The parts would have 17 bytes, but 8 were announced."
    assert refused["param"] == "data"
    assert stored(folder) == [b"12345678"] * 2


@committed
def test_too_many_parts_are_refused(
    api: APIClient, folder: Path, upload: str, parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAXIMUM_PARTS", len(parts))
    assert error_of(add(api, upload, b"9"))["message"] == "An upload may have 2 parts at most."
    assert stored(folder) == [b"1234", b"5678"]


@committed
@pytest.mark.parametrize(("how", "status"), [("complete", "completed"), ("cancel", "cancelled")])
def test_what_is_over_stays_over(
    api: APIClient, folder: Path, upload: str, parts: list[str], how: str, status: str
) -> None:
    if how == "complete":
        complete(api, upload, parts)
    else:
        cancelled = api.post(f"/v1/uploads/{upload}/cancel").json()
        assert (cancelled["status"], cancelled["id"]) == ("cancelled", upload)
        assert stored(folder) == []
    before = stored(folder)
    assert error_of(add(api, upload, b"9"))["message"] == f"Cannot add parts to upload with status '{status}'."
    assert error_of(complete(api, upload, parts))["message"] == f"Cannot complete upload with status '{status}'."
    refused = error_of(api.post(f"/v1/uploads/{upload}/cancel"))
    assert refused["message"] == f"Cannot cancel upload with status '{status}'."
    assert stored(folder) == before


@committed
def test_an_upload_whose_hour_is_over_is_expired(api: APIClient, folder: Path, upload: str, parts: list[str]) -> None:
    Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    refused = error_of(complete(api, upload, parts))
    assert refused["message"] == "Cannot complete upload with status 'expired'."
    assert stored(folder) == [b"1234", b"5678"]  # until the reaper comes


def test_uploads_of_others_are_unknown(api: APIClient, outsider: APIClient, upload: str, parts: list[str]) -> None:
    unknown = {"message": f"No upload found with id '{upload}'.", "param": None, "code": None}
    for answer in (
        add(outsider, upload, b"x"),
        complete(outsider, upload, parts),
        outsider.post(f"/v1/uploads/{upload}/cancel"),
    ):
        assert error_of(answer, 404) == unknown | {"type": "invalid_request_error"}
    own = begin(outsider).json()["id"]
    assert error_of(complete(outsider, own, parts), 404)["message"] == f"No upload part found with id '{parts[0]}'."


def test_a_part_for_nobody_is_refused_before_it_is_read(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "Draft", None)
    assert api.generic("POST", "/v1/uploads/upload_x/parts", b"not even a form", FORM).status_code == 404


@committed
def test_the_same_part_and_completion_again_are_answered_as_before(
    api: APIClient, folder: Path, upload: str, parts: list[str]
) -> None:
    upload = begin(api).json()["id"]
    first = add(api, upload, b"12345678", key="part")
    assert add(api, upload, b"12345678", key="part").content == first.content
    assert stored(folder) == [b"1234", b"12345678", b"5678"]
    done = complete(api, upload, [first.json()["id"]], key="done")
    again = complete(api, upload, [first.json()["id"]], key="done")
    assert (again.content, again["idempotent-replayed"]) == (done.content, "true")
    assert File.objects.count() == 1
    assert stored(folder) == [b"1234", b"12345678", b"5678"]


@committed
def test_two_completions_at_once_make_one_file(
    api: APIClient, folder: Path, upload: str, parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second puts its parts together while the first completes."""
    pieces = storage.pieces

    def overtaken(key: str) -> Any:
        monkeypatch.setattr(storage, "pieces", pieces)
        assert complete(api, upload, parts).status_code == 200
        return pieces(key)

    monkeypatch.setattr(storage, "pieces", overtaken)
    refused = error_of(complete(api, upload, parts))
    assert refused["message"] == "Cannot complete upload with status 'completed'."
    assert File.objects.count() == 1
    assert stored(folder) == [b"12345678"]
