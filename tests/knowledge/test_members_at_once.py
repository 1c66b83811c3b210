"""Everybody at once: counts stay exact, a store is never too full, and a file is in it once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from assistants.knowledge.models import IngestionStatus, StoreFile, StoreStatistics, VectorStore
from assistants.knowledge.services import files, filling, members, stores
from assistants.knowledge.services.filling import NewFile
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from tests.knowledge.filled import ingested, some_files

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 8


def at_once(call: Callable[[int], Any]) -> list[Any]:
    """What ``call`` gave, or was refused with, for each of the clients, all of which began together."""
    gate = threading.Barrier(CLIENTS)

    def run(number: int) -> Any:
        try:
            gate.wait(60)
            return call(number)
        except ApiError as error:
            return error.code or error.status
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(run, range(CLIENTS)))


@pytest.fixture
def store(principal: Principal) -> VectorStore:
    return stores.create_store(principal=principal)


def test_a_store_is_never_too_full(
    principal: Principal, project: Project, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "MAXIMUM_FILES", 10)
    ids = some_files(project, CLIENTS * 2)

    def attach(number: int) -> int:
        mine = [NewFile(file_id) for file_id in ids[number * 2 : number * 2 + 2]]
        return len(members.attach_files(principal=principal, store_id=store.id, files=mine))

    answers = at_once(attach)
    assert sorted(map(str, answers)) == ["2"] * 5 + ["vector_store_full"] * 3
    assert StoreFile.objects.tallies("store_id", [store.id])[store.id].total == 10


def test_a_file_that_all_attach_is_there_once(principal: Principal, project: Project, store: VectorStore) -> None:
    ids = some_files(project, 5)

    def attach(number: int) -> str:
        mine = [NewFile(file_id) for file_id in (ids if number % 2 else ids[::-1])]
        return members.create_batch(principal=principal, store_id=store.id, files=mine).id

    batches = at_once(attach)
    tallies = StoreFile.objects.tallies("batch_id", batches)
    assert sorted(tally.total for tally in tallies.values()) == [0] * (CLIENTS - 1) + [5]
    assert StoreFile.objects.tallies("store_id", [store.id])[store.id].in_progress == 5


def test_what_is_attached_ingested_and_taken_out_at_once_is_counted(
    principal: Principal, project: Project, store: VectorStore
) -> None:
    """Half of the clients fill the store and half of them empty it; one of each deletes files for good."""
    ids = some_files(project, CLIENTS * 2)
    held = [NewFile(file_id) for file_id in ids[:CLIENTS]]
    for member in members.attach_files(principal=principal, store_id=store.id, files=held):
        ingested(member, "alpha beta")

    def work(number: int) -> int:
        mine = ids[number * 2 : number * 2 + 2]
        for file_id in mine:
            if number >= CLIENTS // 2:
                file = NewFile(file_id, {"n": number})
                ingested(*members.attach_files(principal=principal, store_id=store.id, files=[file]), "gamma")
            elif number:
                members.detach_file(principal=principal, store_id=store.id, file_id=file_id)
            else:
                files.delete_file(principal=principal, file_id=file_id)
        return len(mine)

    assert at_once(work) == [2] * CLIENTS
    tally = StoreFile.objects.tallies("store_id", [store.id])[store.id]
    assert (tally.total, tally.completed) == (CLIENTS, CLIENTS)
    statistics = StoreStatistics.objects.get(store=store)
    assert (statistics.chunks, statistics.terms) == (CLIENTS, CLIENTS)
    assert set(StoreFile.objects.values_list("file_id", flat=True)) == set(ids[CLIENTS:])


def test_a_file_that_is_deleted_while_it_is_attached_is_nowhere(
    principal: Principal, project: Project, store: VectorStore
) -> None:
    ids = some_files(project, CLIENTS)

    def work(number: int) -> str:
        if number % 2:
            files.delete_file(principal=principal, file_id=ids[number])
        else:
            members.attach_files(principal=principal, store_id=store.id, files=[NewFile(ids[number + 1])])
        return "done"

    answers = at_once(work)
    assert set(answers) <= {"done", 404}
    assert answers[1::2] == ["done"] * (CLIENTS // 2)
    assert not StoreFile.objects.exists()


def test_a_batch_that_is_given_up_while_it_is_ingested_is_counted(
    principal: Principal, project: Project, store: VectorStore
) -> None:
    new = [NewFile(file_id) for file_id in some_files(project, CLIENTS)]
    batch = members.create_batch(principal=principal, store_id=store.id, files=new)
    rows = list(StoreFile.objects.order_by("pk"))

    def work(number: int) -> int:
        if number == CLIENTS // 2:
            members.cancel_batch(principal=principal, store_id=store.id, batch_id=batch.id)
        waiting = StoreFile.objects.filter(pk=rows[number].pk, status=IngestionStatus.IN_PROGRESS)
        return waiting.update(status=IngestionStatus.COMPLETED)

    done = sum(at_once(work))
    tally = StoreFile.objects.tallies("batch_id", [batch.id])[batch.id]
    assert (tally.completed, tally.cancelled, tally.in_progress) == (done, CLIENTS - done, 0)
    assert 0 < tally.cancelled <= CLIENTS
