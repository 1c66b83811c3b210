"""How code reaches the database: transactions that retry, the database's clock, and the way in from asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, ParamSpec, TypeVar, cast

from django.db import OperationalError, connection, connections, transaction
from django.db.backends.utils import CursorWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.models import F, Model, QuerySet
from django.db.transaction import TransactionManagementError
from django.utils import timezone

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=Model)

SERVICE_ATTEMPTS = 3
RETRY_DELAY = 0.02  # seconds, doubled and jittered
SERIALIZATION_FAILURE = "40001"
DEADLOCK_DETECTED = "40P01"
LOCK_NOT_AVAILABLE = "55P03"
EXECUTOR_THREADS = 8
WAITING_AT_ONCE = 8  # for a lock of Postgres's: each holds a connection of the pool's 20, which others need meanwhile


def now() -> datetime:
    """The database's clock: leases and expiry never trust a worker's own.

    On SQLite all processes share one host, and so one clock.
    """
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        row = cursor.fetchone()
    return row[0]


def service(function: Callable[P, T]) -> Callable[P, T]:
    """One transaction around a whole service, repeated when the database asks for it.

    Deadlocks, serialization failures and SQLite's "locked" are repeated at most three times; inside an outer
    transaction the outermost service repeats, since only it can start again from the beginning.
    """

    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> T:
        call = functools.partial(function, *args, **kwargs)
        return call() if connection.in_atomic_block else transact(call)

    return inner


def transact(work: Callable[[], T], attempts: int = SERVICE_ATTEMPTS) -> T:
    """``work`` in a transaction of its own (inside another: a savepoint, never repeated), repeated as services are."""
    for attempt in range(0 if connection.in_atomic_block else attempts - 1):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            if not is_transient(error):
                raise
            time.sleep(RETRY_DELAY * 2**attempt * (0.5 + random.random()))  # noqa: S311
    with transaction.atomic():
        return work()


def transact_hurriedly(work: Callable[[], T]) -> T:
    """As ``transact``, but nobody waits for the disk: for counts of the last minutes, which many wait in line for.

    Should the machine lose its power, the last of them may be missing; after the end of a process nothing is. Inside
    another transaction this is a savepoint like any other.
    """
    if connection.in_atomic_block:
        return transact(work)
    if connection.vendor == "postgresql":

        def hurried() -> T:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL synchronous_commit TO off")
            return work()

        return transact(hurried)
    _synchronise("NORMAL")
    try:
        return transact(work)
    finally:
        if connection.connection is not None:  # one that was closed because of an error is not used again
            _synchronise("FULL")


def _synchronise(how: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA synchronous = {how}")


class Busy(Exception):
    """Another transaction was in the way for longer than there was patience."""


def transact_alone(work: Callable[[], T], *, name: int, patience: float, shared: bool = False) -> T:
    """``work`` in a transaction that no other of the same name runs beside.

    On SQLite no transaction that writes runs beside another anyway; on Postgres the name is locked.

    :param name: a signed number of 64 bits.
    :param patience: seconds to wait for the others.
    :param shared: exclude only those that are not shared.
    :raises Busy: the patience was not enough, or too many are patient already.
    """
    if connection.vendor == "postgresql":

        def alone() -> T:
            _lock(name, patience, shared)
            return work()

        return transact(alone)
    if shared or connection.in_atomic_block:
        return transact(work)
    connection.patience = patience  # type: ignore[attr-defined]  # our own backend's
    try:
        return transact(work, attempts=1)
    except OperationalError as error:
        if is_transient(error):
            raise Busy from error
        raise
    finally:
        connection.patience = None  # type: ignore[attr-defined]


_waiting = threading.BoundedSemaphore(WAITING_AT_ONCE)


def _lock(name: int, patience: float, shared: bool) -> None:
    """Take the lock at once, or wait in its queue: who only asked again and again would never find it free of those who
    share it.

    :raises Busy: the patience was not enough, or too many wait already.
    """
    suffix = "_shared" if shared else ""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_xact_lock{suffix}(%s)", [name])
        if cursor.fetchone()[0]:
            return
        if not _waiting.acquire(blocking=False):
            raise Busy
        try:
            _wait_for_lock(cursor, name, patience, suffix)
        finally:
            _waiting.release()


def _wait_for_lock(cursor: CursorWrapper, name: int, patience: float, suffix: str) -> None:
    limit = f"{max(1, int(patience * 1000))}ms"
    cursor.execute("SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, true)", [limit])
    usual = cursor.fetchone()[0]
    try:
        cursor.execute(f"SELECT pg_advisory_xact_lock{suffix}(%s)", [name])
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == LOCK_NOT_AVAILABLE:
            raise Busy from error
        raise
    cursor.execute("SELECT set_config('lock_timeout', %s, true)", [usual])


def only_row(rows: QuerySet[Any, T]) -> T | None:
    """The row that a unique condition finds, or ``None``.

    As ``first()``, which has the one row sorted: making that ORDER BY costs Django a quarter of a small query.
    """
    return next(iter(rows.order_by()), None)


def count_up(rows: QuerySet[Any, Any], column: str, steps: Mapping[str, int]) -> None:
    """Raise a counter of rows that the caller has locked.

    One UPDATE for each length of a step, since there are few: writing a CASE with an arm for each row took Django half
    of what a flush of sixteen runs takes.

    :param steps: how far, by primary key.
    """
    alike = defaultdict[int, list[str]](list)
    for pk, step in steps.items():
        alike[step].append(pk)
    for step, pks in alike.items():
        rows.filter(pk__in=pks).update(**{column: F(column) + step})


class Prepared:
    """A SELECT that is asked so often that Django's writing of it counts: written once, filled in for every call.

    :param build: makes the queryset from text values, each of which must reach the query as it is.

    >>> query = Prepared(lambda name: Project.objects.filter(name=name))
    >>> Project.objects.raw(*query.with_values("bench"))
    """

    def __init__(self, build: Callable[..., QuerySet[Any, Any]]) -> None:
        self._build = build

    def with_values(self, *values: str) -> tuple[str, list[Any]]:
        """SQL and its parameters, for ``raw`` or a cursor."""
        sql, parameters, marks = self._written
        filled = dict(zip(marks, values, strict=True))
        return sql, [filled.get(parameter, parameter) for parameter in parameters]

    @functools.cached_property
    def _written(self) -> tuple[str, tuple[Any, ...], list[str]]:
        marks = [f"\0{place}" for place in range(len(inspect.signature(self._build).parameters))]
        return (*self._build(*marks).query.sql_with_params(), marks)


def visible_row(model: type[M], principal: Hashable, pk: str, *, lock: bool = False) -> M | None:
    """The row with this id, if ``model.objects.visible_to(principal)`` has it: what most requests begin with.

    The query is written once for each principal (for all of what it is, so that no right of another's slips in).

    :param lock: lock the row until the end of the transaction.
    """
    if lock and not connection.in_atomic_block:
        raise TransactionManagementError("a row can be locked inside of a transaction only")
    query = _query_of_visible(model, principal, lock)
    return next(iter(model._default_manager.raw(*query.with_values(pk))), None)


@functools.lru_cache(maxsize=4_096)
def _query_of_visible(model: type[Model], principal: Hashable, lock: bool) -> Prepared:
    rows = cast(Any, model._default_manager).visible_to(principal).order_by()
    if lock:
        rows = rows.select_for_update(no_key=True, of=("self",))
    return Prepared(lambda pk: rows.filter(pk=pk))


def is_transient(error: OperationalError) -> bool:
    """Whether repeating the whole transaction may succeed."""
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    return sqlstate in (SERIALIZATION_FAILURE, DEADLOCK_DETECTED) or "database is locked" in str(error)


def is_migrated() -> bool:
    """Whether every migration of this code has been applied; a tenth of a second, so remember a yes.

    :raises DatabaseError: the database does not answer.
    """
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


class DatabaseExecutor:
    """A bounded set of threads that run whole synchronous functions and give their connection back.

    A function runs in a copy of its caller's context, so that its log lines tell the request or run they belong to.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        call = functools.partial(_and_give_back, function, *args, **kwargs)
        return self._pool.submit(contextvars.copy_context().run, call)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(self.submit(function, *args, **kwargs))

    def shutdown(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _and_give_back(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    finally:
        connections.close_all()  # back to the pool: psycopg's, or our own on SQLite


_shared = DatabaseExecutor(EXECUTOR_THREADS, "database")


async def in_database(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a synchronous function that uses the ORM from a coroutine."""
    return await _shared.run(function, *args, **kwargs)


def begin_in_database(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """The same from any thread, for what nobody has to wait for."""
    return _shared.submit(function, *args, **kwargs)
