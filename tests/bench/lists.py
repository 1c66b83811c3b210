"""The admin's lists, and a conversation's page, where there are 10,000 assistants and a million messages.

Pages are asked of Django in the process that has filled the database, so that only making them is measured.
``BENCH_LISTS`` has another number of messages.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.bench.closed_loop import percentile
from tests.bench.filling import CONTENT, MESSAGE_COLUMNS, THREAD_COLUMNS, Row, identifier, write
from tests.support.database import Database
from tests.support.processes import ROOT, Stack

ASSISTANTS = 10_000
MESSAGES = int(os.environ.get("BENCH_LISTS", 1_000_000))
OF_A_THREAD = 20  # messages
OF_A_RUN = 10  # messages of a thread that one run stands for
LONG = 100_000  # messages of one more thread
AUDITED = 200_000
CALLS = 200_000
WARMING = 1
ROUNDS = 30
ALLOWED = 0.3  # seconds, p95
RUN_COLUMNS = (
    "id project_id thread_id configuration_id assistant_id environment created_by_key model metadata priority status "
    "waiting_reason created_at expires_at completed_at prompt_tokens completion_tokens cached_tokens reasoning_tokens "
    "last_seq last_step_position lease_epoch lease_flushes crash_count is_counted"
)


def measure(folder: Path, **services: str) -> Iterator[str]:
    """The lines of the report: each page's times.

    :param services: Postgres, as a ``Stack`` takes it; else SQLite.
    """
    stack = Stack(folder / "stack", engine_url="http://127.0.0.1:9/v1", **services)
    try:
        stack.prepare()
        [[project]] = stack.database.rows("SELECT id FROM accounts_project")
        fill_threads(stack.database, project)
        command = [sys.executable, "-m", "tests.bench.lists"]
        done = subprocess.run(command, cwd=ROOT, env=stack.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
        for name, times in sorted(found.items(), key=lambda item: -percentile(item[1], 0.95)):
            yield _line(name, times)
    finally:
        stack.destroy()


def _line(name: str, times: list[float]) -> str:
    late = percentile(times, 0.95)
    return (
        f"{name:<44} p50 {percentile(times, 0.5) * 1000:6.0f} ms, p95 {late * 1000:6.0f} ms"
        f"  ({late / ALLOWED:.2f} of the {ALLOWED * 1000:.0f} ms allowed)"
    )


# ------------------------------------------------------------------------------------------------ rows


def fill_threads(database: Database, project: str) -> None:
    """Threads with their messages and runs, behind the product's back."""
    count = MESSAGES // OF_A_THREAD
    begun = datetime.now(UTC) - timedelta(minutes=count)
    threads = [
        (identifier("thread_", begun + timedelta(minutes=number), number), begun + timedelta(minutes=number))
        for number in range(count)
    ]
    long = identifier("thread_", begun, count)
    lengths = [(thread, at, OF_A_THREAD) for thread, at in threads] + [(long, begun, LONG)]
    write(
        database,
        "threads_thread",
        THREAD_COLUMNS,
        (_thread(project, number, *one) for number, one in enumerate(lengths)),
    )
    write(database, "threads_message", MESSAGE_COLUMNS, _messages(project, lengths))


def _thread(project: str, number: int, thread: str, at: datetime, length: int) -> Row:
    return thread, project, None, f"Question {number} about w{number % 977}x", "{}", "{}", None, length, at, at


def _messages(project: str, lengths: list[tuple[str, datetime, int]]) -> Iterator[Row]:
    number = 0
    for thread, begun, length in lengths:
        for position in range(1, length + 1):
            number += 1
            at = begun + timedelta(milliseconds=position)
            identity = identifier("msg_", at, number)
            content = CONTENT.replace("zzzz", f"w{number % 977}x", 1)
            role = ("assistant", "user")[position % 2]
            yield (
                *(identity, project, thread, position, role, "completed", content, "[]", "{}", None, None, None),
                *(at, at, None),
            )


def _runs(
    project: str, configuration: str, assistants: list[str], threads: list[tuple[str, datetime]]
) -> Iterator[Row]:
    number = 0
    for thread, begun in threads:
        for place in range(OF_A_THREAD // OF_A_RUN):
            number += 1
            at = begun + timedelta(seconds=place)
            status = "failed" if number % 25 == 0 else "completed"
            assistant = assistants[0] if number % 2 else assistants[number % len(assistants)]  # one has half of them
            yield (
                *(identifier("run_", at, number), project, thread, configuration, assistant, "production", "key_bench"),
                *(f"model-{number % 3}", "{}", 0, status, "", at, at + timedelta(minutes=10), at, 900, 100, 0, 0, 5, 1),
                *(1, 1, 0, True),
            )


def fill() -> dict[str, str]:
    """In the process with the database: assistants, runs, calls and records; the ids of what pages are asked for."""
    from django.db import connection

    from assistants.models import Assistant
    from inference.models import UsageRecord
    from runs.models import Run, RunConfiguration
    from sovereign.accounts.models import AuditEvent, Project
    from threads.models import Thread

    words, project = random.Random(1), Project.objects.get()
    assistants = [
        Assistant(project=project, model=f"model-{n % 3}", name=f"Assistant {n} w{words.randrange(977)}x",
                  description="Answers questions. " * 4, instructions="Be brief. " * 100)
        for n in range(ASSISTANTS)
    ]  # fmt: skip
    Assistant.objects.bulk_create(assistants, batch_size=500)
    configuration = RunConfiguration.objects.create(project=project, digest="0" * 64, data={"tools": []})
    threads = list(Thread.objects.exclude(last_position=LONG).values_list("id", "created_at"))
    rows = _runs(project.pk, configuration.pk, [one.pk for one in assistants], threads)
    names = RUN_COLUMNS.split()
    batch = [Run(**dict(zip(names, row, strict=True)) | {"metadata": {}}) for row in rows]
    Run.objects.bulk_create(batch, batch_size=2_000)
    AuditEvent.objects.bulk_create(
        (AuditEvent(project=project, action=f"run.created{n % 7}", object_type="run",
                    object_id=batch[n % len(batch)].pk) for n in range(AUDITED)), batch_size=2_000,
    )  # fmt: skip
    UsageRecord.objects.bulk_create(
        (UsageRecord(project_id=project.pk, asked="model-0", model=f"model-{n % 3}", provider="bench", outcome="stop",
                     assistant_id=assistants[n % ASSISTANTS].pk, prompt_tokens=100, completion_tokens=10,
                     day=datetime.now(UTC).date(), queue_ms=1, total_ms=2, created_at=datetime.now(UTC))
         for n in range(CALLS)), batch_size=2_000,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return {"long": Thread.objects.get(last_position=LONG).pk, "assistant": assistants[0].pk, "run": batch[-1].pk}


# ------------------------------------------------------------------------------------------------ pages


def addresses(ids: dict[str, str]) -> dict[str, str]:
    """Every list as it is opened, the largest ones as they are searched and filtered, and pages of a conversation."""
    from django.contrib import admin
    from django.contrib.admin.utils import quote
    from django.urls import reverse

    lists = {
        f"{model._meta.label_lower}": reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    }
    asked = {
        "assistants.assistant": ("q=w5x", "q=absent", "status=draft", "model=model-1", "p=200", "o=1"),
        "threads.thread": ("q=w5x", "q=absent", "origin=api", "p=180", "o=1"),
        "runs.run": ("q=w5x", "status__exact=failed", "status__exact=queued", f"assistant_id={ids['assistant']}",
                     f"q={ids['run']}", "model=model-1", "environment=production"),
        "accounts.auditevent": ("action=run.created3", "q=absent", "q=run_"),
        "inference.usagerecord": ("model=model-1",),
    }  # fmt: skip
    pages = {f"{name} ?{query[:28]}": f"{lists[name]}?{query}" for name, queries in asked.items() for query in queries}
    thread = reverse("admin:threads_thread_change", args=[quote(ids["long"])])
    tab = reverse("admin:assistant_conversations", args=[quote(ids["assistant"])])
    return {
        **lists,
        **pages,
        "overview": reverse("admin:index"),
        "a thread of 100,000": thread,
        "a thread of 100,000, in the middle": f"{thread}?after={LONG // 2}",
        "a thread of 100,000, a word found": f"{thread}?search=w5x",
        "an assistant's conversations": tab,
    }


def timed(client: Any, address: str) -> list[float]:
    times = []
    for number in range(WARMING + ROUNDS):
        begun = time.perf_counter()
        answer = client.get(address)
        took = time.perf_counter() - begun
        if answer.status_code != 200:
            raise RuntimeError(f"{address}: {answer.status_code}")
        if number >= WARMING:
            times.append(took)
    return times


def report(out: Callable[[str], object]) -> None:
    from django.test import Client

    from sovereign.accounts.models import Membership

    ids = fill()
    client = Client(headers={"Accept": "text/html"}, HTTP_HOST="127.0.0.1")
    owner = Membership.objects.filter(role="owner").order_by("pk").first()
    client.force_login(owner.user)
    out(json.dumps({name: timed(client, address) for name, address in addresses(ids).items()}))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovereign.settings")
    import django

    django.setup()
    report(print)
