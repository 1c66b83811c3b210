"""Django's SQLite backend with a small connection pool and one fair writer at a time.

Two measured reasons: a request under ASGI runs in a thread of its own and would open the file again every time
(half of a small GET), and SQLite's own lock is correct but unfair (16 writers: p50 0.7 ms, p99 332 ms). So closed
connections are kept for the next thread, and a transaction takes a first-in-first-out lock of this process before
``BEGIN IMMEDIATE``. Other processes are still kept out by SQLite itself.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base

WRITER_PATIENCE = 20  # seconds
MAXIMUM_IDLE = 16  # connections kept per database file


class FairLock:
    """A mutual exclusion that is granted in the order it was asked for."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._held = False

    def acquire(self, timeout: float | None = None) -> bool:
        """Whether the lock was granted within ``timeout`` seconds."""
        with self._mutex:
            if not self._held:
                self._held = True
                return True
            turn = threading.Event()
            self._waiting.append(turn)
        try:
            if turn.wait(timeout):
                return True
        except BaseException:
            self._give_up(turn)
            raise
        return not self._give_up(turn)

    def _give_up(self, turn: threading.Event) -> bool:
        """Leave the queue; false (and the lock is ours) where the turn came at that very moment."""
        with self._mutex:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return True
        return False

    def release(self) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._held = False


class Pool:
    """Idle connections and the writer's lock of one database file."""

    def __init__(self) -> None:
        self.idle: deque[Any] = deque()
        self.writer = FairLock()


_pools: dict[str, Pool] = {}
_pools_lock = threading.Lock()


def pool_of(name: str) -> Pool:
    pool = _pools.get(name)
    if pool is None:
        with _pools_lock:
            pool = _pools.setdefault(name, Pool())
    return pool


class DatabaseWrapper(base.DatabaseWrapper):
    """One Django connection; see the module for what it adds."""

    patience: float | None = None  # seconds a transaction waits for its turn, if not the settings' timeout
    _writing = False

    @property
    def _pool(self) -> Pool:
        return pool_of(str(self.settings_dict["NAME"]))

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if not self.is_in_memory_db():
            try:
                return self._pool.idle.pop()
            except IndexError:
                pass
        return super().get_new_connection(conn_params)

    def _close(self) -> None:
        raw = self.connection
        try:
            if raw is None or self.is_in_memory_db() or raw.in_transaction or self.errors_occurred:
                super()._close()  # type: ignore[misc]
            elif len(self._pool.idle) < MAXIMUM_IDLE:
                self._pool.idle.append(raw)
            else:
                super()._close()  # type: ignore[misc]
        finally:
            self._release_writer()

    def _start_transaction_under_autocommit(self) -> None:
        usual = self.settings_dict["OPTIONS"].get("timeout", WRITER_PATIENCE)
        deadline = time.monotonic() + (usual if self.patience is None else self.patience)
        if not self._writing:
            if not self._pool.writer.acquire(deadline - time.monotonic()):
                raise OperationalError("database is locked")  # SQLite's own words: a service tries again
            self._writing = True
        try:
            if self.patience is None:
                super()._start_transaction_under_autocommit()  # type: ignore[misc]
            else:
                self._start_transaction_before(deadline, usual)
        except BaseException:
            self._release_writer()
            raise

    def _start_transaction_before(self, deadline: float, usual: float) -> None:
        """Keep other processes' writers from making this one wait longer, either."""
        self._wait_at_most(max(0.0, deadline - time.monotonic()))
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        finally:
            self._wait_at_most(usual)

    def _wait_at_most(self, seconds: float) -> None:
        self.connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]
        self._release_writer()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._release_writer()

    def _release_writer(self) -> None:
        if self._writing:
            self._writing = False
            self._pool.writer.release()


def forget_idle_connections(name: str) -> None:
    """Close the idle connections of a file that is about to be moved or removed."""
    idle = pool_of(name).idle
    while idle:
        idle.pop().close()
