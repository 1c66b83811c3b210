"""Transactions: the fair writer's lock of SQLite, pooled connections, and services that try again."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.models import Q
from django.db.transaction import TransactionManagementError

from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import CONVERSATIONS_READ
from sovereign.core import database
from sovereign.core.database import (
    Prepared,
    in_database,
    is_transient,
    now,
    only_row,
    service,
    transact_hurriedly,
    visible_row,
)
from sovereign.core.sqlite.base import FairLock, pool_of
from threads.models import Thread

sqlite_only = pytest.mark.skipif(
    "sqlite" not in connections.settings["default"]["ENGINE"], reason="about the SQLite backend"
)


def in_thread(function: Any) -> Any:
    """Run in a thread with a connection of its own, and give back what it returned or raised."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:
            outcome.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    return outcome[0]


def writer() -> FairLock:
    return pool_of(str(connection.settings_dict["NAME"])).writer


def writes() -> bool:
    """Whether another thread gets the writer's lock at once."""

    def write() -> bool:
        with transaction.atomic():
            Project.objects.update(name="x")
        return True

    return in_thread(write) is True


# ------------------------------------------------------------------------------------------------ the lock


def test_the_lock_is_granted_in_the_order_it_was_asked_for() -> None:
    lock, order = FairLock(), []
    lock.acquire()
    waiting = []
    for number in range(12):

        def take(number: int = number) -> None:
            lock.acquire()
            order.append(number)
            lock.release()

        waiting.append(threading.Thread(target=take))
        waiting[-1].start()
        while len(lock._waiting) <= number:
            time.sleep(0.001)
    lock.release()
    for thread in waiting:
        thread.join(60)
    assert order == list(range(12))
    assert lock.acquire(0)


def test_who_waits_too_long_leaves_the_queue() -> None:
    lock = FairLock()
    assert lock.acquire()
    assert not lock.acquire(0.01)
    assert not lock._waiting
    lock.release()
    assert lock.acquire(0)
    lock.release()


@sqlite_only
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["commit", "exception", "set_rollback", "broken", "close", "nested"])
def test_every_end_of_a_transaction_frees_the_writer(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def transact() -> None:
        with transaction.atomic():
            Project.objects.update(name="x")
            assert writer()._held
            if how == "exception":
                raise KeyError
            if how == "set_rollback":
                transaction.set_rollback(True)
            if how == "broken":
                connection.cursor().execute("SELECT nonsense FROM nowhere")
            if how == "close":
                connection.close()
            if how == "nested":
                with transaction.atomic():
                    Project.objects.update(name="y")

    outcome = in_thread(transact)
    assert (outcome is None) == (how in ("commit", "set_rollback", "nested", "close"))
    assert not writer()._held
    assert writes()


@sqlite_only
@pytest.mark.django_db(transaction=True)
def test_a_commit_that_fails_frees_the_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db.backends.sqlite3 import base

    def fail(self: Any) -> None:
        raise OperationalError("disk full")

    def transact() -> None:
        atomic = transaction.atomic()
        atomic.__enter__()
        Project.objects.update(name="x")
        with monkeypatch.context() as patch:
            patch.setattr(base.DatabaseWrapper, "_commit", fail)
            atomic.__exit__(None, None, None)

    assert isinstance(in_thread(transact), OperationalError)
    assert not writer()._held
    assert writes()


@sqlite_only
@pytest.mark.django_db(transaction=True)
def test_a_writer_that_does_not_come_is_told_the_database_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "timeout", 0.01)
    with transaction.atomic():
        Project.objects.update(name="x")
        outcome = in_thread(lambda: transaction.atomic().__enter__())
    assert isinstance(outcome, OperationalError)
    assert is_transient(outcome)
    assert not writer()._held


@sqlite_only
@pytest.mark.django_db(transaction=True)
def test_connections_are_used_again_but_not_after_an_error() -> None:
    pool = pool_of(str(connection.settings_dict["NAME"]))
    in_thread(lambda: Project.objects.count())
    idle = len(pool.idle)
    raw = pool.idle[-1]
    in_thread(lambda: Project.objects.count())
    assert len(pool.idle) == idle
    assert pool.idle[-1] is raw

    def err() -> None:
        connection.cursor().execute("SELECT nonsense FROM nowhere")

    assert isinstance(in_thread(err), OperationalError)
    assert raw not in pool.idle
    in_thread(lambda: transaction.atomic().__enter__())  # left open
    assert all(not raw.in_transaction for raw in pool.idle)
    assert writes()


@sqlite_only
@pytest.mark.django_db(transaction=True)
def test_the_pragmas_stand_on_every_connection() -> None:
    def pragmas() -> tuple[Any, ...]:
        with connection.cursor() as cursor:
            return tuple(
                cursor.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "foreign_keys")
            )

    assert in_thread(pragmas) == in_thread(pragmas) == ("wal", 2, 1)


@pytest.mark.django_db(transaction=True)
def test_many_threads_count_right() -> None:
    row = Project.objects.create(name="0")

    @service
    def raise_by_one() -> None:
        locked = Project.objects.select_for_update().get(pk=row.pk)
        locked.name = str(int(locked.name) + 1)
        locked.save()

    def work() -> None:
        for _ in range(10):
            raise_by_one()
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    row.refresh_from_db()
    assert row.name == "120"


# ------------------------------------------------------------------------------------------------ services


class Deadlock(Exception):
    sqlstate = "40P01"


def transient() -> OperationalError:
    error = OperationalError("deadlock detected")
    error.__cause__ = Deadlock()
    return error


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "RETRY_DELAY", 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("failures", "succeeds"), [(0, True), (1, True), (2, True), (3, False)])
def test_a_service_is_repeated_whole_and_at_most_three_times(failures: int, succeeds: bool) -> None:
    tries = 0

    @service
    def make(name: str) -> str:
        nonlocal tries
        tries += 1
        Project.objects.create(name=name)
        if tries <= failures:
            raise transient()
        return name

    if succeeds:
        assert make("one") == "one"
    else:
        with pytest.raises(OperationalError):
            make("one")
    assert tries == min(failures + 1, 3)
    assert Project.objects.count() == int(succeeds)


@pytest.mark.django_db(transaction=True)
def test_a_service_is_not_repeated_for_other_errors() -> None:
    tries = 0

    @service
    def fail(error: Exception) -> None:
        nonlocal tries
        tries += 1
        raise error

    for error in (OperationalError("no such table"), ValueError("x")):
        tries = 0
        with pytest.raises(type(error)):
            fail(error)
        assert tries == 1


@pytest.mark.django_db(transaction=True)
def test_only_the_outermost_service_is_repeated() -> None:
    outer_tries, inner_tries = 0, 0

    @service
    def inner() -> None:
        nonlocal inner_tries
        inner_tries += 1
        if inner_tries == 1:
            raise transient()

    @service
    def outer() -> None:
        nonlocal outer_tries
        outer_tries += 1
        inner()

    outer()
    assert (outer_tries, inner_tries) == (2, 2)


def waits_for_the_disk() -> bool:
    question = "SHOW synchronous_commit" if connection.vendor == "postgresql" else "PRAGMA synchronous"
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0] in ("on", 2)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [None, "transient", "other", "lost"])
def test_who_is_in_a_hurry_does_not_wait_for_the_disk_and_the_next_one_does(
    error: str | None,
) -> None:
    tries: list[bool] = []

    def work() -> str:
        tries.append(waits_for_the_disk())
        Project.objects.create(name="x")
        if error == "transient" and len(tries) == 1:
            raise transient()
        if error == "other":
            raise ValueError
        if error == "lost":
            connection.connection.close()  # the rollback will fail
            raise ValueError
        return "done"

    def outcome() -> tuple[Any, bool]:
        try:
            given: Any = transact_hurriedly(work)
        except Exception as raised:
            given = type(raised).__name__
        return given, waits_for_the_disk()

    given, waits = in_thread(outcome)
    assert waits
    assert waits_for_the_disk()
    assert set(tries) == {False}
    assert len(tries) == (2 if error == "transient" else 1)
    assert (given == "done") == (error in (None, "transient"))
    assert Project.objects.count() == (given == "done")


@pytest.mark.django_db(transaction=True)
def test_inside_another_transaction_nobody_is_in_a_hurry() -> None:
    with transaction.atomic():
        assert transact_hurriedly(waits_for_the_disk)
        assert waits_for_the_disk()


@pytest.mark.django_db(transaction=True)
def test_what_is_told_after_the_commit_is_told_once() -> None:
    told: list[int] = []
    tries = 0

    @service
    def work() -> None:
        nonlocal tries
        tries += 1
        transaction.on_commit(lambda attempt=tries: told.append(attempt))  # type: ignore[misc]
        if tries == 1:
            raise transient()

    work()
    assert told == [2]


@pytest.mark.django_db(transaction=True)
async def test_a_coroutine_reaches_the_database_and_leaves_no_connection() -> None:
    def work() -> tuple[int, bool]:
        return Project.objects.count(), threading.current_thread().name.startswith("database")

    assert await in_database(work) == (0, True)
    assert await in_database(lambda: connection.connection) is None  # closed behind the one before

    def fail() -> None:
        Project.objects.count()
        raise KeyError("x")

    with pytest.raises(KeyError):
        await in_database(fail)


@pytest.mark.django_db
def test_the_databases_clock_is_aware_and_near() -> None:
    from django.utils import timezone

    assert abs((now() - timezone.now()).total_seconds()) < 5
    assert now().tzinfo is not None


@pytest.mark.django_db
def test_a_prepared_query_is_written_once_and_filled_in_for_every_call(project: Project) -> None:
    built = []

    def build(name: str, identity: str) -> Any:
        built.append(name)
        return Project.objects.filter(Q(pk=identity) | Q(name="value") | Q(pk__gt=identity), name=name)

    query = Prepared(build)
    assert list(Project.objects.raw(*query.with_values(project.name, project.pk))) == [project]
    assert list(Project.objects.raw(*query.with_values("' OR 1=1 --", project.pk))) == []
    assert len(built) == 1


@pytest.mark.django_db
def test_a_row_is_found_by_those_who_may_see_it(project: Project, charlies_project: Project) -> None:
    insider, outsider = (Principal(project_id=one.pk, scopes=frozenset()) for one in (project, charlies_project))
    for _ in range(2):  # the second time the query has been written
        assert visible_row(Project, insider, project.pk) == project
        assert visible_row(Project, outsider, project.pk) is None
        assert visible_row(Project, outsider, charlies_project.pk) == charlies_project
        assert visible_row(Project, insider, "' OR 1=1 --") is None


@pytest.mark.django_db
def test_rights_decide_what_is_seen(project: Project, bob: User) -> None:
    chat = Thread.objects.create(project=project, owner=bob)
    key = Principal(project_id=project.pk, key_id="key_1", scopes=frozenset())
    for principal, sees in (
        (key, False),
        (replace(key, scopes=frozenset({CONVERSATIONS_READ})), True),
        (replace(key, key_id=None, user_id=bob.pk), True),
        (replace(key, key_id=None, user_id=bob.pk + 1), False),
        (key, False),
    ):
        assert (visible_row(Thread, principal, chat.pk) == chat) is sees


@pytest.mark.django_db(transaction=True)
def test_a_row_is_locked_inside_of_a_transaction_only(project: Project) -> None:
    principal = Principal(project_id=project.pk, scopes=frozenset())
    for _ in range(2):
        with transaction.atomic():
            assert visible_row(Project, principal, project.pk, lock=True) == project
        with pytest.raises(TransactionManagementError):
            visible_row(Project, principal, project.pk, lock=True)


@pytest.mark.django_db
def test_the_only_row_is_found_without_sorting(project: Project, django_assert_num_queries: Any) -> None:
    found = Project.objects.filter(pk=project.pk)
    with django_assert_num_queries(1) as queries:
        assert only_row(found) == project
    assert "ORDER BY" not in queries.captured_queries[0]["sql"]
    assert only_row(found.filter(name="another")) is None
