"""Model calls are added up by the database: they are many, and all that is counted of them are numbers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import NamedTuple, get_args

from django.db import connection

from inference.chat import FinishReason
from inference.models import UncountedCall, UsageRecord
from runs.models import Run

#: how a call ends that nothing was wrong with
ENDINGS = (*get_args(FinishReason), "cancelled")
#: costs are added up in two parts: SQLite's sums end where a column of a single one does
PART = 10**9
#: of ``Measures``
SUMMED = (
    *("calls", "failed_calls", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "cost"),
)

#: when the five minutes began in which a call ended, in seconds since 1970
MOMENT = {
    "postgresql": "CAST(floor(extract(epoch FROM used.created_at) / 300) AS bigint) * 300",
    "sqlite": "CAST(strftime('%%s', used.created_at) AS integer) / 300 * 300",
}
TAKEN = {
    "postgresql": "json_array_elements_text(%s::json) AS taken(value)",
    "sqlite": "json_each(%s) AS taken",
}
#: Postgres would read the whole table for those of a list whose length it knows
FIRST = {"postgresql": "= ANY(ARRAY({rows}))", "sqlite": "IN ({rows})"}
SUMS = """
SELECT {moment}, coalesce(run.project_id, used.project_id),
  CASE WHEN run.id IS NULL THEN used.assistant_id ELSE run.assistant_id END, run.version_id, run.deployment_id,
  run.environment, run.replay_of, coalesce(run.model, used.asked),
  CASE WHEN run.id IS NULL THEN used.key_id ELSE run.created_by_key END,
  count(*), sum(CASE WHEN used.outcome IN ({endings}) THEN 0 ELSE 1 END), sum(used.prompt_tokens),
  sum(used.cached_tokens), sum(used.completion_tokens), sum(used.reasoning_tokens),
  sum(used.cost / {part}), sum(used.cost %% {part})
FROM {taken} JOIN {calls} AS used ON used.id = taken.value LEFT JOIN {runs} AS run ON run.id = used.run_id
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""


class CallSums(NamedTuple):
    """Calls of five minutes and of one kind: that of their run where there is one, else their own."""

    seconds: int
    project_id: str | None
    assistant_id: str | None
    version_id: str | None
    deployment_id: str | None
    environment: str | None
    replay_of: str | None
    model: str
    created_by_key: str | None
    calls: int
    failed_calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cost_parts: int
    cost_rest: int

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    @property
    def cost(self) -> int:
        return int(self.cost_parts) * PART + int(self.cost_rest)


def take(limit: int, thread_id: str | None) -> list[str]:
    """The ids of calls that are not counted yet, the oldest ones, or some of a thread's; they are told once."""
    table = connection.ops.quote_name(UncountedCall._meta.db_table)
    of_thread, values = ("", []) if thread_id is None else ("WHERE thread_id = %s", [thread_id])
    first = FIRST[connection.vendor].format(rows=f"SELECT id FROM {table} {of_thread} ORDER BY id LIMIT %s")  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE id {first} RETURNING call_id", [*values, limit])  # noqa: S608
        return [call_id for (call_id,) in cursor.fetchall()]


def add_up(ids: list[str]) -> list[CallSums]:
    vendor = connection.vendor
    statement = SUMS.format(
        moment=MOMENT[vendor],
        endings=", ".join(["%s"] * len(ENDINGS)),
        part=PART,
        calls=connection.ops.quote_name(UsageRecord._meta.db_table),
        runs=connection.ops.quote_name(Run._meta.db_table),
        taken=TAKEN[vendor],
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*ENDINGS, json.dumps(ids)])
        return [CallSums(*row) for row in cursor.fetchall()]
