"""Who works on which file: turns between projects, workers that die, and those that are stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from assistants.knowledge.ingestion import leases, outcomes
from assistants.knowledge.ingestion.leases import Lease
from assistants.knowledge.models import StoreFile
from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database, now
from tests.knowledge.ingesting import Embedder, age_lease, fresh, indexed, over, store_with, working
from tests.runs.support import Gate, until, within

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "read_here")]


@pytest.fixture
def other(charlies_key: str) -> Principal:
    """Another project's key."""
    return credentials.principal_of_key(charlies_key)


def claimed(limit: int = 3, worker: str = "a", of_project: int = 2, **executing: Any) -> list[Lease]:
    return leases.claim(worker_id=worker, limit=limit, of_project=of_project, executing=executing.get("executing", {}))


def members_of(found: list[Lease]) -> list[int]:
    return [lease.member_id for lease in found]


# ------------------------------------------------------------------------------------------------ turns


def test_the_oldest_comes_first(principal: Principal) -> None:
    rows = store_with(principal, "a", "b", "c")
    assert members_of(claimed(limit=2)) == [rows[0].pk, rows[1].pk]


def test_one_project_does_not_keep_another_waiting(principal: Principal, other: Principal) -> None:
    many = store_with(principal, *"abcdef")
    [one] = store_with(other, "x")
    assert set(members_of(claimed(limit=3))) == {many[0].pk, many[1].pk, one.pk}
    assert claimed(limit=1, executing={row.pk: principal.project_id for row in many[:2]}) == []


def test_a_project_that_is_worked_on_elsewhere_waits_for_one_that_is_not(
    principal: Principal, other: Principal
) -> None:
    store_with(principal, *"abc")
    [one] = store_with(other, "x")
    claimed(limit=1, worker="b")
    assert members_of(claimed(limit=1)) == [one.pk]


def test_what_is_held_cancelled_done_or_not_due_is_left_alone(principal: Principal) -> None:
    rows = store_with(principal, *"abcd")
    claimed(limit=1, worker="b")
    StoreFile.objects.filter(pk=rows[1].pk).update(status="cancelled")
    StoreFile.objects.filter(pk=rows[2].pk).update(available_at=now() + timedelta(minutes=1))
    StoreFile.objects.filter(pk=rows[3].pk).update(status="completed")
    assert claimed() == []
    StoreFile.objects.filter(pk=rows[2].pk).update(available_at=now() - timedelta(seconds=1))
    assert members_of(claimed()) == [rows[2].pk]


def test_a_worker_with_nothing_to_do_only_looks(principal: Principal, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert claimed() == []
    with django_assert_num_queries(0):
        assert claimed(limit=0) == []


def test_a_worker_that_has_enough_of_the_only_project_only_looks(
    principal: Principal, django_assert_num_queries: Any
) -> None:
    """At what waits and what it holds itself: that takes no lock."""
    many = store_with(principal, *"abc")
    mine = {lease.member_id: lease.project_id for lease in claimed(limit=2)}
    with django_assert_num_queries(2):
        assert claimed(limit=1, executing=mine) == []
    del mine[many[0].pk]
    assert members_of(claimed(limit=1, executing=mine)) == [many[2].pk]


def test_two_workers_never_take_the_same_file(principal: Principal) -> None:
    rows = store_with(principal, *(f"text {number}" for number in range(12)))

    def take(worker: str) -> list[int]:
        try:
            return [pk for _ in range(6) for pk in members_of(claimed(limit=1, worker=worker, of_project=12))]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        taken = [pk for found in pool.map(take, "abcd") for pk in found]
    assert sorted(taken) == sorted(row.pk for row in rows)


# ------------------------------------------------------------------------------------------------ deaths


def test_the_lease_of_a_dead_worker_runs_out(principal: Principal) -> None:
    [member] = store_with(principal, "a")
    [first] = claimed(worker="a")
    assert claimed(worker="b") == []
    age_lease(member)
    [second] = claimed(worker="b")
    assert (second.epoch, fresh(member).crash_count) == (first.epoch + 1, 1)
    assert leases.lost([first]) == {member.pk}
    assert leases.lost([second]) == set()


def test_a_heartbeat_keeps_the_lease_and_does_not_bring_a_lost_one_back(principal: Principal) -> None:
    [member] = store_with(principal, "a")
    claimed(worker="a")
    age_lease(member)
    leases.renew("a", [member.pk])
    assert claimed(worker="b") == []
    age_lease(member)
    claimed(worker="b")
    leases.renew("a", [member.pk])
    assert fresh(member).lease_owner == "b"


def test_three_deaths_make_a_file_poison(principal: Principal) -> None:
    [member] = store_with(principal, "a")
    for death in range(leases.MAXIMUM_CRASHES):
        assert members_of(claimed(worker=f"worker {death}")) == [member.pk]
        assert outcomes.fail_poisoned() == 0
        age_lease(member)
    assert claimed() == []
    assert outcomes.fail_poisoned() == 1
    done = fresh(member)
    assert (done.status, done.error_code, done.lease_owner) == ("failed", "server_error", None)
    assert "3 workers died" in done.error_message


def test_what_dies_takes_no_neighbours_with_it(principal: Principal) -> None:
    """Whoever holds the poison dies; the files beside it are made searchable."""
    poison, *innocent = store_with(principal, *"abcd")
    for worker in map(str, range(20)):
        while held := claimed(worker=worker, of_project=3):
            if poison.pk in members_of(held):
                for lease in held:
                    age_lease(StoreFile(pk=lease.member_id))
                break
            for lease in held:
                outcomes.complete(lease, [], ([], []), None, "", "")
        outcomes.fail_poisoned()
    assert fresh(poison).error_code == "server_error"
    assert [fresh(member).status for member in innocent] == ["completed"] * 3


def test_a_suspect_is_worked_on_alone(principal: Principal) -> None:
    rows = store_with(principal, *"abcd")
    dead = claimed(worker="dead", limit=2)
    [other] = claimed(worker="a", limit=1, of_project=3)
    for lease in dead:
        age_lease(StoreFile(pk=lease.member_id))
    busy = {other.member_id: principal.project_id}
    assert claimed(worker="a", of_project=3, executing=busy) == [], "it ends what it has first"
    [suspect] = claimed(worker="a", of_project=3)
    assert suspect.member_id == rows[0].pk
    alone = {suspect.member_id: principal.project_id}
    assert claimed(worker="a", of_project=3, executing=alone) == []
    assert members_of(claimed(worker="b", of_project=3)) == [rows[1].pk], "each worker takes one"
    assert claimed(worker="a", of_project=3, executing=alone) == [], "nothing new beside it"
    outcomes.complete(suspect, [], ([], []), None, "", "")
    assert members_of(claimed(worker="a", of_project=3)) == [rows[3].pk]


async def test_what_a_worker_left_that_stands_still_is_done_once(
    embedder: Embedder, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "renew", lambda *_: None)
    monkeypatch.setattr(leases, "lost", lambda _: set())  # it does not notice
    gate = Gate()
    embedder.script = [gate]
    [member] = await in_database(store_with, principal, "Only once.")
    async with working() as zombie:
        await within(gate.reached.wait())
        await in_database(age_lease, member)
        async with working():
            done = await over(member)
        gate.opened.set()
        await until(lambda: not zombie._executions)
    assert (done.status, done.crash_count) == ("completed", 0)
    assert done == await in_database(fresh, member)
    assert await in_database(indexed, member) == (["Only once."], 1)
    assert len(embedder.calls) == 2


@pytest.mark.parametrize(
    "write",
    [
        lambda lease: outcomes.fail(lease, "server_error", "too late"),
        lambda lease: outcomes.postpone(lease, 5.0, "too late"),
        lambda lease: outcomes.progress(lease, 50),
        lambda lease: outcomes.complete(lease, [], ([], []), None, "", ""),
        lambda lease: outcomes.stumble(lease, 5.0, 0),
    ],
)
def test_who_lost_a_file_writes_nothing_about_it(principal: Principal, write: Callable[[Lease], Any]) -> None:
    [member] = store_with(principal, "a")
    [late] = claimed(worker="a")
    age_lease(member)
    claimed(worker="b")
    before = StoreFile.objects.values().get(pk=member.pk)
    write(late)
    assert StoreFile.objects.values().get(pk=member.pk) == before


# ------------------------------------------------------------------------------------------------ orderly stops


async def test_a_worker_that_is_stopped_gives_back_what_it_holds(embedder: Embedder, principal: Principal) -> None:
    gate = Gate()
    embedder.script = [gate]
    [member] = await in_database(store_with, principal, "Handed over.")
    async with working():
        await within(gate.reached.wait())
    given = await in_database(fresh, member)
    assert (given.status, given.lease_owner, given.crash_count) == ("in_progress", None, 0)
    async with working():
        done = await over(member)
    assert (done.status, done.crash_count) == ("completed", 0)
    assert await in_database(indexed, member) == (["Handed over."], 1)


async def test_a_worker_that_is_stopped_ends_what_is_nearly_done(embedder: Embedder, principal: Principal) -> None:
    gate = Gate()
    embedder.script = [gate]
    [member] = await in_database(store_with, principal, "Nearly done.")
    async with working(drain=60.0) as worker:
        await within(gate.reached.wait())
        worker._drain_seconds = 60.0
        asyncio.get_running_loop().call_later(0.1, gate.opened.set)
    assert (await in_database(fresh, member)).status == "completed"
