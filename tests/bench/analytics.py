"""Counting and reading what happened: 100,000 threads, 5 million model calls, of which a million are of one day.

On Postgres alone, which houses of that size have. ``BENCH_USAGE`` has another number of model calls.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from sovereign.accounts.scopes import ROLE_SCOPES, Role
from tests.bench.closed_loop import Load, Next, Request, Server, load, percentile
from tests.support.processes import ROOT, START_TIMEOUT, Stack

USAGE = int(os.environ.get("BENCH_USAGE", 5_000_000))
THREADS = USAGE // 50
DAY = USAGE // 5  # model calls of the last day; the others are of the month before it
OF_A_RUN = 10  # model calls
ASSISTANTS = 100
COUNTING = 60.0  # seconds allowed for a million
GOALS = {"one": 0.2, "all": 0.5}  # seconds

THREADS_OF_RUNS = """
INSERT INTO threads_thread (
  id, project_id, title, metadata, tool_resources, last_position, last_activity_at, created_at)
SELECT 'thread_' || lpad(n::text, 26, '0'), %(project)s, 'bench', '{}', '{}', 0, now(), now()
FROM generate_series(0, %(threads)s - 1) AS n
"""
#: spread evenly from ``begin`` on
RUNS = """
INSERT INTO runs_run (
  id, project_id, thread_id, configuration_id, assistant_id, environment, created_by_key, model, metadata, priority,
  status, last_error, waiting_reason, created_at, expires_at, completed_at, failed_at,
  prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, last_seq, last_step_position, lease_epoch,
  lease_flushes, crash_count, is_counted)
SELECT 'run_' || lpad(n::text, 25, '0'), %(project)s, 'thread_' || lpad((n %% %(threads)s)::text, 26, '0'),
  %(configuration)s, (%(assistants)s::text[])[1 + n %% %(number)s], 'production', 'key_' || n %% 5, 'model-' || n %% 2,
  json_build_object('user_id', 'user ' || n %% 5000), 0,
  CASE WHEN n %% 25 = 0 THEN 'failed' ELSE 'completed' END,
  CASE WHEN n %% 25 = 0 THEN '{"code": "server_error", "message": "No."}'::jsonb END, '',
  at, at + interval '10 minutes', CASE WHEN n %% 25 <> 0 THEN at + interval '1 second' * (1 + n %% 60) END,
  CASE WHEN n %% 25 = 0 THEN at + interval '2 seconds' END, 900, 100 + n %% 400, 0, 0, 5, 1, 1, 1, 0, false
FROM (SELECT n, %(begin)s + %(span)s * ((n - %(first)s)::float / %(runs)s) AS at
      FROM generate_series(%(first)s, %(first)s + %(runs)s - 1) AS n) AS made
"""
USAGES = """
INSERT INTO inference_usagerecord (
  id, project_id, key_id, assistant_id, run_id, purpose, asked, model, provider, outcome, prompt_tokens, cached_tokens,
  completion_tokens, reasoning_tokens, queue_ms, total_ms, cost, day, created_at)
SELECT 'call_' || substr(id, 5) || n, project_id, created_by_key, assistant_id, id, '', model, 'answering', '',
  CASE WHEN n %% 100 = 0 THEN 'server_error' ELSE 'stop' END, 500 + n %% 1000, 100, n %% 300, 0, 1, 900, n %% 90000,
  at::date, at
FROM (SELECT runs_run.*, made.n, runs_run.created_at + made.n * interval '0.1 seconds' AS at
      FROM runs_run, generate_series(0, %(of_a_run)s - 1) AS made(n)
      WHERE runs_run.created_at >= %(begin)s) AS made
"""
UNCOUNTED = """
INSERT INTO inference_uncountedcall (call_id)
SELECT id FROM inference_usagerecord WHERE created_at >= %(begin)s ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the time in which it all happened.

    :ivar first: the number of its first run.
    """

    name: str
    begin: datetime
    days: int
    first: int
    calls: int

    @property
    def runs(self) -> int:
        return self.calls // OF_A_RUN


def parts() -> tuple[Part, Part]:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    month = Part("the month before", today - timedelta(days=30), 29, 0, USAGE - DAY)
    return month, Part("the last day", today - timedelta(days=1), 1, month.runs, DAY)


def measure(folder: Path, *, postgres_url: str) -> Iterator[str]:
    """The lines of the report."""
    stack = Stack(folder / "stack", engine_url="http://127.0.0.1:9/v1", postgres_url=postgres_url)
    try:
        stack.prepare()
        made = _told(stack, "begin")
        for part in parts():
            begun = time.monotonic()
            _fill(stack, part, made)
            yield f"{part.name}: {part.calls:,} model calls of {part.runs:,} runs, made in {_since(begun)}"
            yield _counted(part, _told(stack, "count"))
        server = Server(stack.url, _key(stack), stack.serve().pid)
        for title, goal, following in _questions(made["assistants"]):
            asyncio.run(load(server, following, concurrency=1, seconds=0.5))
            found: Load = asyncio.run(load(server, following, concurrency=1, seconds=4.0))
            yield _line(title, list(found.times), GOALS[goal])
    finally:
        stack.destroy()


def _fill(stack: Stack, part: Part, made: dict[str, Any]) -> None:
    values = made | {
        "threads": THREADS,
        "number": ASSISTANTS,
        "of_a_run": OF_A_RUN,
        "begin": part.begin,
        "span": timedelta(days=part.days),
        "first": part.first,
        "runs": part.runs,
    }
    with psycopg.connect(stack.database.url, autocommit=True) as connection, psycopg.ClientCursor(connection) as cursor:
        cursor.execute("SET session_replication_role = replica")  # no look at the foreign keys of each row
        cursor.execute("SET synchronous_commit = off")
        for statement in ([] if part.first else [THREADS_OF_RUNS]) + [RUNS, USAGES, UNCOUNTED]:
            cursor.execute(statement.encode(), values)
        cursor.execute("ANALYZE")


def _told(stack: Stack, what: str) -> dict[str, Any]:
    """What a process with the product's settings says of its work."""
    command = [sys.executable, "-m", "tests.bench.analytics", what]
    done = subprocess.run(command, cwd=ROOT, env=stack.environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _key(stack: Stack) -> str:
    scopes = (part for scope in sorted(ROLE_SCOPES[Role.ANALYST.value]) for part in ("--scope", scope))
    return stack.start("create_api_key", "--name", "bench", *scopes).line("API key: ", START_TIMEOUT)


def _counted(part: Part, told: dict[str, float]) -> str:
    allowed = COUNTING * part.calls / 1_000_000
    return (
        f"{part.name}: counted in {told['seconds']:.1f} s, rests included ({told['seconds'] / allowed:.2f} of the "
        f"{allowed:.0f} s allowed), with {1000 * told['cpu'] / part.runs * 1000:.0f} ms of CPU for 1,000 runs"
    )


def _questions(assistants: list[str]) -> Iterator[tuple[str, str, Next]]:
    root = "/api/v1/assistants"
    yield (
        "metrics of one assistant, 30 days",
        "one",
        lambda _, count: Request("GET", f"{root}/{assistants[count % ASSISTANTS]}/metrics"),
    )
    yield (
        "usage of one assistant by day",
        "one",
        lambda _, count: Request("GET", f"{root}/{assistants[count % ASSISTANTS]}/usage?granularity=day"),
    )
    yield (
        f"summary over {ASSISTANTS} assistants, 30 days",
        "all",
        lambda *_: Request("GET", f"{root}/summary?limit=100"),
    )


def _asking(path: str) -> Next:
    return lambda *_: Request("GET", path)


def _line(title: str, times: list[float], allowed: float) -> str:
    found = percentile(times, 0.95)
    return (
        f"{title:<40} p50 {percentile(times, 0.5) * 1000:6.1f} ms, p95 {found * 1000:6.1f} ms"
        f"  ({found / allowed:.2f} of the {allowed * 1000:.0f} ms allowed)"
    )


def _since(begun: float) -> str:
    return f"{time.monotonic() - begun:.0f} s"


# ------------------------------------------------------------------------------------------------ beside the database


def begin() -> dict[str, Any]:
    """What the rows hang on."""
    from assistants.models import Assistant
    from runs.models import RunConfiguration
    from sovereign.accounts.models import Project

    project = Project.objects.get()
    configuration = RunConfiguration.objects.create(project=project, digest="bench", data={})
    assistants = [Assistant(project=project, model="fake", name=f"Bench {number}") for number in range(ASSISTANTS)]
    Assistant.objects.bulk_create(assistants)
    ids = [assistant.pk for assistant in assistants]
    return {"project": project.pk, "configuration": configuration.pk, "assistants": ids}


def count() -> dict[str, float]:
    """Seconds, and seconds of CPU, as a worker counts."""
    from runs.analytics import chores

    chores.LOOK = 0.0
    begun, cpu = time.monotonic(), time.process_time()
    asyncio.run(chores.roll_up())
    return {"seconds": time.monotonic() - begun, "cpu": time.process_time() - cpu}


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovereign.settings")
    django.setup()
    print(json.dumps({"begin": begin, "count": count}[sys.argv[1]]()))
