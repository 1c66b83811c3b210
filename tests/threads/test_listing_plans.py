"""Every page of a thread is read off an index, however long the thread: nothing is scanned or sorted."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from sovereign.accounts.models import Project
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db

RUN = "run_of_the_plans"
OTHERS = 40  # threads, so that one thread is little of the table

PAGES = {
    "newest": "",
    "oldest": "order=asc",
    "after": "after={middle}",
    "after, oldest first": "after={middle}&order=asc",
    "before": "before={middle}",
    "between": "after={newest}&before={oldest}",
    "after one that is gone": "after={gone}",
    "before one that is gone, oldest first": "before={gone}&order=asc",
    "of a run": "run_id={run}",
    "of a run, after": "run_id={run}&after={middle}&order=asc",
}


@pytest.fixture
def marks(project: Project) -> dict[str, str]:
    """Ids of a thread with many messages among threads with some."""
    for length in [200, *[20] * OTHERS]:
        thread = Thread.objects.create(project=project, last_position=length)
        Message.objects.bulk_create(
            Message(
                project=project,
                thread=thread,
                position=position,
                role="user" if position % 2 else "assistant",
                run_id=None if position % 2 else f"{RUN}_{thread.id}_{position // 50}",
                created_at=thread.created_at,
            )
            for position in range(1, length + 1)
        )
    longest = Thread.objects.get(last_position=200)
    ids = dict(Message.objects.of_thread(longest.id).values_list("position", "id"))
    Message.objects.filter(pk=ids[120]).delete()
    if connection.vendor == "postgresql":  # it looks by itself now and then; SQLite never does
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE threads_message")
    return {
        "thread": longest.id,
        "middle": ids[100],
        "newest": ids[200],
        "oldest": ids[1],
        "gone": ids[120],
        "run": f"{RUN}_{longest.id}_2",
    }


def plan_of(sql: str) -> str:
    """How the database reads; it may not fall back on scans and sorts, which small tables tempt it to."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for method in ("seqscan", "sort", "incremental_sort", "bitmapscan"):
                cursor.execute(f"SET LOCAL enable_{method} = off")
            cursor.execute(f"EXPLAIN {sql}")
        else:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


@pytest.mark.parametrize("query", PAGES.values(), ids=PAGES.keys())
def test_a_page_is_read_off_an_index(api: APIClient, marks: dict[str, str], query: str) -> None:
    with CaptureQueriesContext(connection) as captured:
        answer = api.get(f"/v1/threads/{marks['thread']}/messages?{query.format(**marks)}")
    assert answer.status_code == 200
    assert answer.json()["data"]
    asked = [query["sql"] for query in captured.captured_queries if 'FROM "threads_message"' in query["sql"]]
    plans = [plan_of(sql) for sql in asked]
    for sql, plan in zip(asked, plans, strict=True):
        assert not re.search(r"SCAN|TEMP B-TREE|Seq Scan|Sort", plan), f"{sql}\n{plan}"
    assert ("message_run" in plans[-1]) == ("run_id" in query), plans
    assert any("message_creation" in plan for plan in plans) == ("gone" in query), plans
