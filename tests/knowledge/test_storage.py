"""Contents are stored whole or not at all, in a folder and in a bucket."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from moto.server import ThreadedMotoServer
from rest_framework.test import APIClient

from assistants.knowledge import storage
from assistants.knowledge.models import File
from sovereign.core.errors import ApiError
from tests.knowledge.uploading import upload

BUCKET = "files"


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.SOVEREIGN = replace(settings.SOVEREIGN, files_url=tmp_path.as_uri())
    return tmp_path


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a server that speaks S3."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(s3: str, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket of that server, as its own client has it."""
    import boto3

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    made = boto3.resource("s3", endpoint_url=s3, region_name="us-east-1").Bucket(BUCKET)
    made.create()
    url = f"s3://{BUCKET}/{tmp_path.name}?endpoint_url={s3}&region_name=us-east-1"
    settings.SOVEREIGN = replace(settings.SOVEREIGN, files_url=url, data_dir=tmp_path)
    return made


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_what_is_saved_is_read_again_until_it_is_deleted(place: Any) -> None:
    pieces = [b"one ", b"", b"x" * 6_000_000, b" two"]
    stored = storage.save(pieces)
    content = b"".join(pieces)
    assert (stored.bytes, stored.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert b"".join(storage.pieces(stored.key)) == content
    with storage.open_stream(stored.key) as stream:
        assert stream.read(4) == b"one "
    storage.delete(stored.key)
    storage.delete(stored.key)  # which nobody minds
    with pytest.raises(FileNotFoundError):
        storage.open_stream(stored.key)


def test_a_content_is_its_owners_and_its_key_is_random(folder: Path) -> None:
    first, second = storage.save([b"same"]), storage.save([b"same"])
    assert first.key != second.key
    path = folder / first.key[:2] / first.key
    assert path.read_bytes() == b"same"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_content_that_breaks_off_leaves_nothing(folder: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"some"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        storage.save(pieces())
    assert left(folder) == []


def test_a_draft_that_is_not_kept_leaves_nothing(folder: Path) -> None:
    with storage.Draft() as draft:
        draft.write(b"some")
        assert len(left(folder)) == 1
    assert left(folder) == []


def _full(path: str, flags: int) -> int:
    return os.open("/dev/full", os.O_WRONLY)


def test_a_full_disk_is_told_and_nothing_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write to this device fails as on a disk that is full."""
    with monkeypatch.context() as patch:
        patch.setattr(storage, "_for_the_owner", _full)
        with pytest.raises(ApiError) as refused:
            storage.save([b"some"])
    error = refused.value
    assert (error.status, error.code, error.headers) == (507, "insufficient_storage", {"x-should-retry": "false"})
    assert left(folder) == []
    assert b"".join(storage.pieces(storage.save([b"room again"]).key)) == b"room again"


@pytest.mark.parametrize(("total", "free", "fits"), [
    (10**12, storage.RESERVE + 3, False),
    (10**12, storage.RESERVE + 4, True),
    (1_000, 23, False),
    (1_000, 24, True),
])  # fmt: skip
def test_the_last_of_a_disk_is_not_for_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch, total: int, free: int, fits: bool
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(total=total, free=free))
    if fits:
        storage.save([b"some"])
        return
    with pytest.raises(ApiError) as refused:
        storage.save([b"some"])
    assert (refused.value.status, left(folder)) == (507, [])


def test_a_bucket_that_does_not_answer_is_a_503(bucket: Any, settings: Any, tmp_path: Path) -> None:
    url = f"s3://{BUCKET}/x?endpoint_url=http://127.0.0.1:9&region_name=us-east-1"
    settings.SOVEREIGN = replace(settings.SOVEREIGN, files_url=url)
    with pytest.raises(ApiError) as refused:
        storage.save([b"some"])
    assert refused.value.status == 503
    assert len(storage.old_doubts(-1)) == 1  # it may have arrived
    assert left(tmp_path / "files" / "drafts") == []


def test_contents_are_under_the_prefix_of_the_bucket(bucket: Any, tmp_path: Path) -> None:
    stored = storage.save([b"some"])
    assert [found.key for found in bucket.objects.filter(Prefix=tmp_path.name)] == [f"{tmp_path.name}/{stored.key}"]


def test_a_content_is_in_doubt_until_somebody_settles_it(place: Any) -> None:
    stored = storage.save([b"some"])
    assert storage.old_doubts(-1) == [stored.key]
    assert storage.old_doubts(60) == []
    storage.settle(stored.key)
    assert storage.old_doubts(-1) == []


def test_old_drafts_are_removed(folder: Path) -> None:
    draft = storage.Draft()
    draft.write(b"of a process that died")
    storage.old_doubts(60)
    assert len(left(folder)) == 1
    for path in (folder / "drafts").iterdir():
        os.utime(path, (time.time() - 120,) * 2)
    storage.old_doubts(60)
    assert left(folder) == []
    draft.close()


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("ftp://host/folder", "the scheme 'ftp'"),
        ("/a/folder", "the scheme ''"),
        ("s3://", "no bucket"),
        ("s3://bucket?access_key=x", "the option 'access_key'"),
    ],
)
def test_an_address_that_names_no_place_is_refused(url: str, what: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=what):
        storage.place_of(url)


@pytest.mark.django_db(transaction=True)
def test_a_file_is_uploaded_downloaded_and_deleted(place: Any, api: APIClient) -> None:
    made = upload(api, b"hello" * 100_000).json()
    answer: Any = api.get(f"/v1/files/{made['id']}/content")
    assert b"".join(answer.streaming_content) == b"hello" * 100_000
    answer.close()
    key = File.objects.get().storage_key
    assert storage.old_doubts(-1) == []
    assert api.delete(f"/v1/files/{made['id']}").status_code == 200
    with pytest.raises(FileNotFoundError):
        storage.open_stream(key)
