"""Clients that page through a store's files and delete what they are shown miss none, and see none twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from rest_framework.test import APIClient

from assistants.knowledge.models import FormerPlace, StoreFile
from assistants.knowledge.services import detaching, expiry
from sovereign.accounts.models import Project
from sovereign.core.database import now
from tests.knowledge.filled import some_files
from tests.knowledge.test_members import Store, error_of, store
from tests.knowledge.uploading import folder

__all__ = ["folder", "store"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folder")]

ORDER = (3, 0, 6, 2, 5, 1, 4)  # in which the files are put there: not the one of their ids


@pytest.fixture
def files(project: Project) -> list[str]:
    """Ids, in the order in which they are put into a store."""
    made = some_files(project, len(ORDER))
    return [made[number] for number in ORDER]


def detach(store: Store, file_id: str) -> None:
    assert store.api.delete(f"{store.path}/files/{file_id}").status_code == 200


def delete(store: Store, file_id: str) -> None:
    assert store.api.delete(f"/v1/files/{file_id}").status_code == 200


def listed(store: Store, path: str = "/files", **query: str) -> list[str]:
    answer = store.get(path, **query)
    assert answer.status_code == 200, answer.content
    return [one["id"] for one in answer.json()["data"]]


def age_places() -> None:
    """As if everything had been taken out a day ago."""
    FormerPlace.objects.update(left_at=now() - detaching.PLACES_KEPT)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("of_batch", [False, True], ids=["store", "batch"])
@pytest.mark.parametrize("remove", [detach, delete])
def test_who_deletes_while_listing_misses_none(
    store: Store, files: list[str], remove: Callable[[Store, str], None], of_batch: bool, order: str
) -> None:
    batch = store.post("/file_batches", file_ids=files).json()["id"]
    path = f"/file_batches/{batch}/files" if of_batch else "/files"
    seen: list[str] = []
    query = {"order": order, "limit": "2"}
    while page := listed(store, path, **query):
        for file_id in page:
            remove(store, file_id)
        seen += page
        query["after"] = page[-1]
    assert seen == (files if order == "asc" else files[::-1])
    assert not StoreFile.objects.exists()


def test_a_page_before_a_file_that_was_taken_out(store: Store, files: list[str]) -> None:
    store.post("/file_batches", file_ids=files)
    detach(store, files[2])
    delete(store, files[4])
    assert listed(store, order="asc", before=files[2]) == files[:2]
    assert listed(store, order="desc", before=files[2]) == [files[6], files[5], files[3]]
    assert listed(store, order="asc", after=files[2], before=files[4]) == [files[3]]


def test_the_newest_place_counts(store: Store, files: list[str]) -> None:
    store.post("/file_batches", file_ids=files)
    detach(store, files[0])
    store.post("/files", file_id=files[0])
    assert listed(store, order="asc", before=files[0]) == files[1:], "it is there again, behind the others"
    detach(store, files[0])
    assert listed(store, order="asc", before=files[0]) == files[1:]
    assert FormerPlace.objects.count() == 1


@pytest.mark.parametrize("cursor", ["after", "before"])
def test_a_file_that_was_never_there_is_no_place(api: APIClient, store: Store, files: list[str], cursor: str) -> None:
    other = Store(api)
    other.post("/file_batches", file_ids=files[:2])
    detach(other, files[0])
    for file_id in files[:3]:
        assert error_of(store.get("/files", **{cursor: file_id})) == (400, cursor, "invalid_cursor")


def test_places_are_kept_for_a_day(store: Store, files: list[str]) -> None:
    store.post("/file_batches", file_ids=files)
    detach(store, files[0])
    age_places()
    detach(store, files[1])
    FormerPlace.objects.filter(file_id=files[1]).update(left_at=now() - detaching.PLACES_KEPT + timedelta(minutes=1))
    expiry.expire_files()
    assert error_of(store.get("/files", after=files[0])) == (400, "after", "invalid_cursor")
    assert listed(store, order="asc", after=files[1]) == files[2:]


def test_places_are_forgotten_some_at_a_time(store: Store, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detaching, "FORGOTTEN_AT_ONCE", 2)
    store.post("/file_batches", file_ids=files)
    for file_id in files[:3]:
        detach(store, file_id)
    assert detaching.forget_places() == 0
    age_places()
    assert [detaching.forget_places() for _ in range(3)] == [2, 1, 0]


def test_places_go_with_their_store(store: Store, files: list[str]) -> None:
    store.post("/file_batches", file_ids=files)
    detach(store, files[0])
    assert store.api.delete(store.path).status_code == 200
    assert not FormerPlace.objects.exists()
