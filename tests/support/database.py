"""The database of a test's processes, and what tests do to its rows behind their backs."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.support import migrated
from tests.support.client import PATIENCE


class Database:
    """A migrated database of a test's own: a SQLite file, or one made in (and removed from) a Postgres server."""

    def __init__(self, folder: Path, postgres_url: str = "") -> None:
        self._server = postgres_url
        if postgres_url:
            self.name = f"sovereign_test_{secrets.token_hex(6)}"
            self._administer(f'CREATE DATABASE "{self.name}" TEMPLATE "{migrated.postgres_template(postgres_url)}"')
            self.url = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{self.name}"))
        else:
            self.path = folder / "sovereign.sqlite3"
            if not self.path.exists():  # else it is that of a stack before, which goes on
                migrated.copy_of_sqlite(self.path)
            self.url = f"sqlite:///{self.path}"

    @property
    def is_postgres(self) -> bool:
        return bool(self._server)

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(statement.encode())

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query gives; ``?`` stands for a value. Reads only, and behind the product's back."""
        if self._server:
            with psycopg.connect(self.url, autocommit=True) as connection:
                return connection.execute(query.replace("?", "%s").encode(), values).fetchall()
        with contextlib.closing(sqlite3.connect(self.path, timeout=PATIENCE)) as connection:
            return connection.execute(query, values).fetchall()

    def age_lease(self, run: str) -> None:
        """As if the lease of a run had run out."""
        self._age("lease_expires_at", run)

    def age_run(self, run: str) -> None:
        """As if a run's time were over."""
        self._age("expires_at", run)

    def age_ingestion(self, file: str) -> None:
        """As if the leases of a file that is ingested had run out."""
        self._write("UPDATE knowledge_storefile SET lease_expires_at = '2020-01-01 00:00:00' WHERE file_id = ?", file)

    def age_checks(self, evaluation_run: str) -> None:
        """As if the leases of the answers of an evaluation that are checked had run out."""
        expired = "lease_expires_at = '2020-01-01 00:00:00' WHERE status = 'checking' AND evaluation_run_id = ?"
        self._write(f"UPDATE evaluations_evaluationresult SET {expired}", evaluation_run)

    def age_summing_up(self, conversation: str) -> None:
        """As if the lease of a conversation that is summed up had run out."""
        expired = "summary_lease_expires_at = '2020-01-01 00:00:00' WHERE id = ?"
        self._write(f"UPDATE conversations_conversation SET {expired}", conversation)

    def add_usage(self, assistant: str, number: int) -> None:
        """As if an assistant's models had been called so often in January 2020, with prompts of 1, 2, 3, … tokens."""
        names = "id, assistant_id, purpose, asked, model, provider, outcome, prompt_tokens, cached_tokens, day, cost"
        names += ", completion_tokens, reasoning_tokens, queue_ms, total_ms, created_at"
        values = "CAST(? AS text) || i, CAST(? AS text), '', 'fake', 'fake', '', 'stop', i, 0, '2020-01-10', 0"
        values += ", 0, 0, 0, 0, '2020-01-10 12:00:00'"
        numbers = "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ?)"
        rows = f"{numbers} SELECT {values} FROM numbers"
        self._write(f"INSERT INTO inference_usagerecord ({names}) {rows}", number, f"call_{assistant}", assistant)
        uncounted = "SELECT id FROM inference_usagerecord WHERE assistant_id = ?"
        self._write(f"INSERT INTO inference_uncountedcall (call_id) {uncounted}", assistant)

    def _age(self, column: str, run: str) -> None:
        self._write(f"UPDATE runs_run SET {column} = '2020-01-01 00:00:00' WHERE id = ?", run)

    def age_notification(self, notification: str) -> None:
        """As if it were time to try once more to send it."""
        self._write("UPDATE alerts_notification SET next_attempt_at = '2020-01-01 00:00:00' WHERE id = ?", notification)

    def age_wants(self) -> None:
        """As if nobody had wanted what environments describe for a minute."""
        self._write("UPDATE inference_provider SET wanted_until = '2020-01-01 00:00:00'")

    def keep_wants(self) -> None:
        """As if some process wanted what environments describe, however long another takes to begin."""
        self._write("UPDATE inference_provider SET wanted_until = '2100-01-01 00:00:00'")

    def revoke_key(self, name: str) -> None:
        """As the admin does."""
        self._write("UPDATE accounts_apikey SET revoked_at = CURRENT_TIMESTAMP WHERE name = ?", name)

    def end_session(self, key: str) -> None:
        """As a logout elsewhere does."""
        self._write("DELETE FROM django_session WHERE session_key = ?", key)

    def offer_over_mcp(self, assistant: str) -> None:
        """As the admin does."""
        self._write("UPDATE assistants_assistant SET offered_over_mcp = TRUE WHERE id = ?", assistant)

    def lift_limits(self) -> None:
        """Nobody is limited any more."""
        self._write("DELETE FROM accounts_limit")

    def _write(self, statement: str, *values: Any) -> None:
        if self._server:
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(statement.replace("?", "%s").encode(), values)
        else:
            with contextlib.closing(sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)) as connection:
                connection.execute(statement, values)

    def is_writable(self) -> bool:
        """Whether nobody keeps others from writing for longer than a moment; on Postgres nobody can."""
        if self._server:
            return True
        with contextlib.closing(sqlite3.connect(self.path, timeout=1.0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            connection.execute("ROLLBACK")
            return True

    @contextlib.contextmanager
    def locked(self, run: str) -> Iterator[None]:
        """Hold a run's row, so that the next process that wants it waits in the middle of its transaction."""
        with psycopg.connect(self.url) as connection:
            connection.execute("SELECT 1 FROM runs_run WHERE id = %s FOR UPDATE", [run])
            yield

    @contextlib.contextmanager
    def taken(self, table: str) -> Iterator[Callable[[], bool]]:
        """Hold a whole table; gives what tells whether somebody waits for it. On Postgres only."""
        with psycopg.connect(self.url) as connection:
            connection.execute(f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE')
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = ?::regclass"
            yield lambda: bool(self.rows(waiting, table)[0][0])

    def remove(self) -> None:
        if self._server:
            self._administer(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
