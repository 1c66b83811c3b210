"""What ends by itself: files, uploads, and what processes that died have left."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from assistants.knowledge import storage
from assistants.knowledge.models import File, Upload, UploadPart
from assistants.knowledge.services import expiry, files
from runs.services.reaping import reap
from sovereign.accounts.models import AuditEvent
from tests.knowledge.test_uploads import add, begin
from tests.knowledge.uploading import folder, stored, upload

__all__ = ["folder"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("folder")]

DAY = 86_400.0


def overdue(model: Any, **which: Any) -> None:
    model.objects.filter(**which).update(expires_at=timezone.now() - timedelta(seconds=1))


def age(folder: Path, seconds: float) -> None:
    """As if everything had been written that long ago."""
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - seconds,) * 2)


def test_a_file_goes_when_its_time_is_over(api: APIClient, folder: Path) -> None:
    stays, goes = upload(api, b"stays").json()["id"], upload(api, b"goes").json()["id"]
    File.objects.filter(pk=stays).update(expires_at=timezone.now() + timedelta(hours=1))
    overdue(File, pk=goes)
    reap()
    assert [file.id for file in File.objects.all()] == [stays]
    assert stored(folder) == [b"stays"]
    assert AuditEvent.objects.get(action="file.expired").object_id == goes


def test_an_upload_goes_with_its_parts(api: APIClient, folder: Path) -> None:
    goes, stays = begin(api).json()["id"], begin(api).json()["id"]
    add(api, goes, b"1234")
    add(api, stays, b"5678")
    overdue(Upload, pk=goes)
    assert expiry.expire_files() == 1
    assert expiry.expire_files() == 0
    assert Upload.objects.get(pk=goes).status == "expired"
    assert UploadPart.objects.get().upload_id == stays
    assert stored(folder) == [b"5678"]


def test_one_that_cannot_be_ended_does_not_keep_the_others(
    api: APIClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, worse, good = [upload(api).json()["id"] for _ in range(3)]
    for seconds, identifier in enumerate((good, worse, bad), 1):
        File.objects.filter(pk=identifier).update(expires_at=timezone.now() - timedelta(seconds=seconds))
    remove = files.remove_file

    def fail(file: File) -> None:
        if file.id != good:
            raise ValueError
        remove(file)

    monkeypatch.setattr(files, "remove_file", fail)
    monkeypatch.setattr(expiry, "AT_ONCE", 1)
    assert expiry.expire_files() == 1
    assert {file.id for file in File.objects.all()} == {bad, worse}


def test_contents_without_a_row_are_swept_and_the_others_are_not(api: APIClient, folder: Path) -> None:
    upload(api, b"a file's")
    add(api, begin(api).json()["id"], b"a part's")
    for row in (*File.objects.all(), *UploadPart.objects.all()):
        storage.doubt(row.storage_key)  # as if the process had died before it could settle it
    storage.save([b"nobody's"])
    assert expiry.sweep(DAY) == 0
    age(folder, DAY + 60)
    assert expiry.sweep(DAY) == 1
    assert stored(folder) == [b"a file's", b"a part's"]


def test_the_storage_is_swept_once_an_hour(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "_next_sweep", 0.0)
    storage.save([b"nobody's"])
    age(folder, DAY + 60)
    expiry.expire_files()
    assert stored(folder) == []
    storage.save([b"nobody's"])
    age(folder, DAY + 60)
    expiry.expire_files()
    assert b"nobody's" in stored(folder)


def test_bytes_that_cannot_be_removed_now_are_swept_later(
    api: APIClient, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = upload(api).json()["id"]
    with monkeypatch.context() as patch:

        def refuse(*_: Any) -> None:
            raise OSError("The storage is away.")

        patch.setattr(storage.Folder, "remove", refuse)
        assert api.delete(f"/v1/files/{made}").status_code == 200
    assert b"hello" in stored(folder)
    age(folder, DAY + 60)
    assert expiry.sweep(DAY) == 1
    assert stored(folder) == []
