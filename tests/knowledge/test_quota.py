"""What a project may store: counted in files and in parts, the same for every way in, and given back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.knowledge.models import File
from assistants.knowledge.services import quota
from tests.knowledge.filled import a_file
from tests.knowledge.test_files import error_of
from tests.knowledge.test_uploads import add, begin, complete
from tests.knowledge.uploading import folder, stored, upload

__all__ = ["folder"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("folder")]


@pytest.fixture
def most(settings: Any, folder: Path) -> Callable[[int], None]:
    def allow(count: int) -> None:
        settings.SOVEREIGN = replace(settings.SOVEREIGN, maximum_stored_bytes=count)

    allow(8)
    return allow


@pytest.mark.usefixtures("most")
def test_files_fill_it_to_the_last_byte_and_leave_nothing_behind(api: APIClient, folder: Path) -> None:
    assert upload(api, b"12345").status_code == 200
    refused = error_of(upload(api, b"6789"))
    assert refused == {
        "message": "The files of this project may have 8 bytes together: they have 5, and these are 4. Delete files "
        "that are not needed any more, or ask your administrator.",
        "type": "invalid_request_error",
        "param": None,
        "code": "storage_quota_exceeded",
    }
    assert stored(folder) == [b"12345"]
    assert upload(api, b"678").status_code == 200


@pytest.mark.usefixtures("most")
def test_what_is_deleted_makes_room(api: APIClient) -> None:
    made = upload(api, b"12345678").json()["id"]
    assert error_of(upload(api, b"9"))["code"] == "storage_quota_exceeded"
    api.delete(f"/v1/files/{made}")
    assert upload(api, b"9").status_code == 200


@pytest.mark.usefixtures("most")
def test_another_projects_files_do_not_count(api: APIClient, charlies_project: Any) -> None:
    File.objects.filter(pk=a_file(charlies_project).pk).update(bytes=10**12)
    assert upload(api, b"12345678").status_code == 200


def test_parts_count_until_they_are_a_file(api: APIClient, most: Callable[[int], None]) -> None:
    made = begin(api).json()["id"]
    parts = [add(api, made, content).json()["id"] for content in (b"1234", b"5678")]
    assert error_of(upload(api, b"9"))["code"] == "storage_quota_exceeded"
    assert error_of(add(api, made, b"9"))["code"] == "storage_quota_exceeded"
    assert complete(api, made, parts).status_code == 200, "its parts are not counted beside it"
    most(9)
    assert upload(api, b"9").status_code == 200


@pytest.mark.usefixtures("most")
def test_an_upload_that_is_cancelled_makes_room(api: APIClient) -> None:
    made = begin(api).json()["id"]
    add(api, made, b"12345678")
    api.post(f"/v1/uploads/{made}/cancel", {}, format="json")
    assert upload(api, b"12345678").status_code == 200


@pytest.mark.usefixtures("most")
def test_what_would_be_too_much_is_not_even_announced(api: APIClient) -> None:
    assert error_of(begin(api, bytes=9))["code"] == "storage_quota_exceeded"


def test_so_many_uploads_may_be_pending(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "MAXIMUM_PENDING", 2)
    first = begin(api).json()["id"]
    assert begin(api).status_code == 200
    refused = error_of(begin(api))
    assert (refused["code"], refused["message"][:9]) == ("too_many_uploads", "2 uploads")
    api.post(f"/v1/uploads/{first}/cancel", {}, format="json")
    assert begin(api).status_code == 200
