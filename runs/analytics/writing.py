"""Roll-ups are written by one statement: those that the ORM puts together take five times as long."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from runs.analytics.cells import COLUMNS, pack
from runs.analytics.measures import WORD_COUNTS, Measures
from runs.analytics.models import Rollup

KNOWN_BY = ("period", "start", "project_id", "assistant_id", "version_id", "environment", "model", "key_id")
WRITTEN = (*KNOWN_BY, *COLUMNS)


class Written(NamedTuple):
    """A roll-up as it is to be: what it is known by, and what it holds.

    :ivar whose: the values of ``KNOWN_BY`` after period and start.
    """

    period: str
    start: datetime
    whose: tuple[str, ...]
    measures: Measures


def write(rollups: Iterable[Written]) -> None:
    """Make those that are not there; the others hold what they are given from now on, and nothing of before."""
    rows = [_values(one) for one in rollups]
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # which would read a statement for each row anew
            table = connection.ops.quote_name(Rollup._meta.db_table)
            named = ", ".join(connection.ops.quote_name(name) for name in WRITTEN)
            cursor.execute(
                _statement(f"SELECT {named} FROM json_populate_recordset(NULL::{table}, %s)"),  # noqa: S608
                [json.dumps(rows, default=_as_text)],
            )
        else:
            for row in rows:
                row["start"] = connection.ops.adapt_datetimefield_value(row["start"])
                row |= {name: json.dumps(row[name]) for name in WORD_COUNTS}
            values = ", ".join(f"%({name})s" for name in WRITTEN)
            cursor.executemany(_statement(f"VALUES ({values})"), rows)


def _values(rollup: Written) -> dict[str, Any]:
    known_by = (rollup.period, rollup.start, *rollup.whose)
    return dict(zip(KNOWN_BY, known_by, strict=True)) | pack(rollup.measures)


def _as_text(value: bytes | datetime) -> str:
    """In a form that Postgres reads."""
    return value.isoformat() if isinstance(value, datetime) else f"\\x{value.hex()}"


def _statement(source: str) -> str:
    quoted = {name: connection.ops.quote_name(name) for name in WRITTEN}
    known_by = ", ".join(quoted[name] for name in KNOWN_BY)
    changes = ", ".join(f"{quoted[name]} = excluded.{quoted[name]}" for name in COLUMNS)
    return (
        f"INSERT INTO {connection.ops.quote_name(Rollup._meta.db_table)} ({', '.join(quoted.values())}) {source} "
        f"ON CONFLICT ({known_by}) DO UPDATE SET {changes}"
    )
