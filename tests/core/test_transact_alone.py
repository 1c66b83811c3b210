"""Transactions that exclude their like, for as long as there is patience."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from sovereign.accounts.models import Project
from sovereign.core import database
from sovereign.core.database import Busy, transact, transact_alone
from sovereign.core.sqlite.base import pool_of

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = [0, 7, 2**63 - 1, -(2**63)]
is_sqlite = "sqlite" in connections.settings["default"]["ENGINE"]


@contextlib.contextmanager
def holding(name: int, *, shared: bool = False) -> Iterator[Future[Any]]:
    """Another thread is inside its transaction of that name, until the end of the block."""
    entered, go_on = threading.Event(), threading.Event()

    def hold() -> str:
        entered.set()
        assert go_on.wait(60)
        return "held"

    def run() -> str:
        try:
            return transact_alone(hold, name=name, patience=60, shared=shared)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        assert entered.wait(60)
        try:
            yield future
        finally:
            go_on.set()
        assert future.result(60) == "held"


def until_somebody_waits() -> None:
    """For a lock of Postgres's in this database, or to write SQLite's."""
    waits = "pg_locks JOIN pg_database ON pg_database.oid = database WHERE datname = current_database() AND NOT granted"
    deadline = time.monotonic() + 60
    if is_sqlite:
        while not pool_of(str(connection.settings_dict["NAME"])).writer._waiting:
            assert time.monotonic() < deadline
        return
    with connection.cursor() as cursor:
        while True:
            cursor.execute(f"SELECT count(*) FROM {waits} AND locktype = 'advisory'")
            if cursor.fetchone()[0]:
                return
            assert time.monotonic() < deadline


@pytest.mark.parametrize("name", NAMES)
def test_no_other_of_the_same_name_runs_beside(name: int) -> None:
    with holding(name):
        begun = time.monotonic()
        with pytest.raises(Busy):
            transact_alone(lambda: None, name=name, patience=0.05)
        assert time.monotonic() - begun >= 0.05
    assert transact_alone(lambda: "done", name=name, patience=0.05) == "done"


@pytest.mark.skipif(is_sqlite, reason="SQLite has one writer at a time")
@pytest.mark.parametrize(
    ("name", "first", "second", "busy"),
    [(1, True, True, False), (1, True, False, True), (1, False, True, True), (2, False, False, False)],
)
def test_those_that_share_and_those_of_other_names_do(name: int, first: bool, second: bool, busy: bool) -> None:
    with holding(1, shared=first):
        if busy:
            with pytest.raises(Busy):
                transact_alone(lambda: None, name=name, patience=0, shared=second)
        else:
            assert transact_alone(lambda: "done", name=name, patience=0, shared=second) == "done"


@pytest.mark.skipif(is_sqlite, reason="SQLite's queue is the writer's")
def test_who_waits_alone_is_not_overtaken_by_those_who_share() -> None:
    """A retry among a stream of equal fresh requests, of which one is always at work."""

    def alone() -> str:
        try:
            return transact_alone(lambda: "mine", name=8, patience=60)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool, holding(8, shared=True):
        waiting = pool.submit(alone)
        until_somebody_waits()
        with pytest.raises(Busy):  # the next of those who share comes after it
            transact_alone(lambda: None, name=8, patience=0.05, shared=True)
    assert waiting.result(60) == "mine"


@pytest.mark.skipif(is_sqlite, reason="about Postgres's setting")
def test_later_locks_of_the_transaction_are_waited_for_as_usual() -> None:
    def timeout() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout')")
            (text,) = cursor.fetchone()
        assert isinstance(text, str)
        return text

    with ThreadPoolExecutor(1) as pool:

        def wait() -> str:
            try:
                return transact_alone(timeout, name=9, patience=60)
            finally:
                connections.close_all()

        with holding(9):
            waited = pool.submit(wait)
            until_somebody_waits()
        assert waited.result(60) == transact_alone(timeout, name=9, patience=60) == timeout()


def test_who_is_patient_gets_a_turn() -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting: Future[str]

        def wait() -> str:
            try:
                return transact_alone(lambda: "mine", name=3, patience=60)
            finally:
                connections.close_all()

        with holding(3):
            waiting = pool.submit(wait)
            until_somebody_waits()
            assert not waiting.done()
        assert waiting.result(60) == "mine"


@pytest.mark.skipif(is_sqlite, reason="who waits for SQLite's writer keeps nothing from anybody")
def test_a_bounded_number_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds a connection."""
    monkeypatch.setattr(database, "_waiting", threading.BoundedSemaphore(1))

    def wait() -> str:
        try:
            return transact_alone(lambda: "mine", name=10, patience=60)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):  # those that waited make room
            with holding(10):
                waiting = pool.submit(wait)
                until_somebody_waits()
                with CaptureQueriesContext(connection) as asked, pytest.raises(Busy):
                    transact_alone(lambda: None, name=10, patience=0.05)
                assert not [query for query in asked if "pg_advisory" in query["sql"]], "it does not even queue"
                assert transact_alone(lambda: "done", name=11, patience=60) == "done"
            assert waiting.result(60) == "mine"


@pytest.mark.skipif(not is_sqlite, reason="about SQLite's own lock")
def test_another_process_that_writes_wears_patience_out_too() -> None:
    connection.ensure_connection()
    usual = connection.connection.execute("PRAGMA busy_timeout").fetchone()
    other = sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)
    with contextlib.closing(other):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            transact_alone(lambda: None, name=4, patience=0.05)
        other.execute("ROLLBACK")
    assert connection.patience is None
    assert connection.connection.execute("PRAGMA busy_timeout").fetchone() == usual
    assert transact_alone(lambda: "done", name=4, patience=0.05) == "done"


def test_what_it_raises_takes_everything_back_and_frees_the_name() -> None:
    def fail(error: Exception) -> None:
        Project.objects.create(name="x")
        raise error

    for error in (KeyError("x"), OperationalError("disk I/O error"), KeyError("x")):
        with pytest.raises(type(error), match=r"x|disk"):
            transact_alone(partial(fail, error), name=5, patience=0)
    assert not Project.objects.exists()


def test_inside_a_transaction_it_is_a_savepoint() -> None:
    def fail() -> None:
        Project.objects.create(name="inner")
        raise OperationalError("database is locked")

    with transaction.atomic():
        Project.objects.create(name="outer")
        for run in (lambda: transact(fail), lambda: transact_alone(fail, name=6, patience=0)):
            with pytest.raises(OperationalError):
                run()
        assert transact_alone(lambda: "done", name=6, patience=0) == "done"
    assert [project.name for project in Project.objects.all()] == ["outer"]
