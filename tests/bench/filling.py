"""Many messages at once, written behind the product's back: through its services ten million would take hours.

The messages of all threads are mixed, as they come in real use: one page of a thread lies on many of the disk's.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import psycopg

from sovereign.core.ids import ALPHABET
from tests.support.database import Database

SHORT = 1_000  # messages of a thread
LONG = 100_000  # messages of the longest: the product's limit
BATCH = 50_000  # rows
CONTENT = json.dumps([{"type": "text", "text": {"value": "z" * 120, "annotations": []}}])

THREAD_COLUMNS = (
    "id project_id owner_id title metadata tool_resources active_run_id last_position last_activity_at created_at"
)
MESSAGE_COLUMNS = (
    "id project_id thread_id position role status content attachments metadata assistant_id run_id incomplete_details "
    "created_at completed_at incomplete_at"
)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written, and threads to list by how many messages they have."""

    rows: int
    threads: dict[int, str]


def fill(database: Database, rows: int) -> Filled:
    """Write at least ``rows`` messages: one short thread, from 10⁵ on one long one, and short ones for the rest."""
    [[project]] = database.rows("SELECT id FROM accounts_project")
    lengths = [SHORT, *([LONG] if rows >= LONG else [])]
    lengths += [SHORT] * max(0, (rows - sum(lengths)) // SHORT)
    begun = datetime.now(UTC) - timedelta(milliseconds=sum(lengths) + SHORT)
    threads = [(identifier("thread_", begun, number), length) for number, length in enumerate(lengths)]
    write(database, "threads_thread", THREAD_COLUMNS, _threads(project, threads, begun))
    write(database, "threads_message", MESSAGE_COLUMNS, _messages(project, threads, begun))
    return Filled(sum(lengths), {length: identity for identity, length in reversed(threads)})


def identifier(prefix: str, instant: datetime, number: int) -> str:
    """One of the product's ids, made at an instant of the past; the random part is a number."""
    milliseconds = round(instant.timestamp() * 1000)
    return prefix + _digits(milliseconds, 10) + _digits(number, 16)


def _digits(number: int, width: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(width)))


def _threads(project: str, threads: list[tuple[str, int]], begun: datetime) -> Iterator[Row]:
    for identity, length in threads:
        yield identity, project, None, "bench", "{}", "{}", None, length, begun, begun


def _messages(project: str, threads: list[tuple[str, int]], begun: datetime) -> Iterator[Row]:
    """In the order of their time, one a millisecond, each thread growing at an even pace."""
    number = 0
    for step in range(SHORT):
        for thread, length in threads:
            share = length // SHORT
            for position in range(step * share + 1, (step + 1) * share + 1):
                number += 1
                at = begun + timedelta(milliseconds=number)
                identity = identifier("msg_", at, number)
                role = ("assistant", "user")[position % 2]
                run = f"run_bench{number - position % 2:021}" if role == "assistant" else None
                yield (
                    *(identity, project, thread, position, role, "completed", CONTENT, "[]", "{}", None, run, None),
                    *(at, at, None),
                )


def write(database: Database, table: str, columns: str, rows: Iterator[Row]) -> None:
    """Insert rows, whose values stand in the order of the columns."""
    names = columns.split()
    if database.is_postgres:
        with psycopg.connect(database.url) as connection, connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")  # no look at the foreign keys of each row
            with cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN".encode()) as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(f"ANALYZE {table}".encode())
        return
    with contextlib.closing(sqlite3.connect(database.path, timeout=60)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        while batch := [tuple(map(_plain, row)) for row in islice(rows, BATCH)]:
            with connection:
                connection.executemany(statement, batch)


def _plain(value: Any) -> Any:
    """A value as Django's SQLite backend stores it."""
    return value.replace(tzinfo=None).isoformat(" ") if isinstance(value, datetime) else value
