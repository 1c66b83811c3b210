"""Counting beside everything else: by several at once, of rows that are odd, late or about to go, and of nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from runs.analytics import chores, counting
from runs.analytics.counting import count_batch, purge
from runs.analytics.models import Counted, Rollup
from runs.analytics.sources import SOURCES, counted_until, is_anything_unmarked
from runs.models import Feedback, Run
from runs.services import feedback
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES
from sovereign.core.database import Busy, in_database, now
from tests.analytics.histories import Facts, History, stored_rollups
from threads import services as threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def history(project: Project) -> History:
    return History(project)


@pytest.fixture
def who(project: Project) -> Principal:
    return Principal(project_id=project.pk, user_id=7, scopes=ALL_SCOPES)


def some(history: History, number: int) -> None:
    """Runs, each with a model call and a call of a tool."""
    thread = history.thread()
    for at in range(number):
        run = history.run(thread, ended=at * 7, assistant_id=f"asst_{at % 3}")
        history.usage(run, at=at * 7, prompt_tokens=at)
        history.tool(run, at=at * 7)


def runs_counted() -> int:
    return sum(Rollup.objects.filter(period="month").values_list("runs", flat=True))


def test_several_at_once_count_each_row_once(history: History, soon_after: None) -> None:
    some(history, 60)
    facts = Facts()
    facts.look()

    def work() -> None:
        try:
            while is_anything_unmarked():
                try:
                    count_batch(4)
                except Busy:
                    continue
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(work) for _ in range(3)]:
            done.result()
    assert stored_rollups() == facts.rollups()


def test_who_comes_while_another_counts_leaves_it(history: History) -> None:
    some(history, 2)

    def work() -> str:
        try:
            count_batch(10)
        except Busy:
            return "busy"
        finally:
            connections.close_all()
        return "counted"

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        count_batch(1)
        assert pool.submit(work).result() == "busy"
    assert work() == "counted"


async def test_workers_count_what_there_is_and_say_until_when(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chores, "LOOK", 0.0)
    monkeypatch.setattr(chores, "_counting", chores.Counting(size=2))
    await in_database(some, history, 20)
    assert await in_database(counted_until) is None
    before = await in_database(now)
    await chores.roll_up()
    counted = await in_database(Counted.objects.get)
    assert (await in_database(runs_counted), before <= counted.at <= await in_database(now)) == (20, True)
    await in_database(some, history, 1)
    assert await in_database(counted_until) == counted.at, "something new waits"
    await chores.roll_up()
    assert await in_database(runs_counted) == 21
    assert (await in_database(counted_until) or before) > counted.at


def test_where_there_is_nothing_to_count_nothing_is_written(history: History) -> None:
    count_batch(10)
    with CaptureQueriesContext(connection) as asked:
        chores.Counting().look()
    assert len(asked) == len(SOURCES)
    assert all(query["sql"].startswith("SELECT ") for query in asked.captured_queries)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.model.__name__)
def test_what_is_not_counted_yet_is_found_by_an_index(history: History, source: Any) -> None:
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan TO off")
        plan = source.unmarked().order_by("pk")[:10].explain()
    assert "uncounted" in plan, plan


def test_an_odd_row_does_not_keep_the_others_from_being_counted(
    history: History, caplog: pytest.LogCaptureFixture
) -> None:
    thread = history.thread()
    history.run(thread)
    odd = history.run(thread, metadata=["no", "object"])
    history.run(thread)
    assert not count_batch(10)
    assert (runs_counted(), is_anything_unmarked()) == (2, False)
    assert "row_not_counted" in caplog.text
    assert odd.pk in caplog.text


def test_what_a_thread_takes_with_it_is_counted_before(history: History, who: Principal, soon_after: None) -> None:
    some(history, 3)
    facts = Facts()
    facts.look()
    thread = Run.objects.values_list("thread_id", flat=True).first()
    assert thread is not None
    threads.delete_thread(principal=who, thread_id=thread)
    assert not Run.objects.exists()
    assert stored_rollups() == facts.rollups()
    with CaptureQueriesContext(connection) as asked:
        counting.count_thread("thread_none")
    assert len(asked) == len(SOURCES), "where nothing is left to count, nobody is waited for"


def test_what_was_withdrawn_is_seen_by_nobody_and_counted_away(history: History, who: Principal) -> None:
    run = history.run(history.thread())
    feedback.rate(principal=who, run_id=run.pk, rating="down", comment="Wrong.")
    count_batch(10)
    assert stored_thumbs() == (0, 1)
    feedback.withdraw(principal=who, run_id=run.pk)
    feedback.withdraw(principal=who, run_id=run.pk)
    assert not feedback.feedback_of(principal=who, run_id=run.pk).exists()
    assert Feedback.objects.values_list("rating", "comment").get() == ("", "")
    feedback.rate(principal=who, run_id=run.pk, rating="up")
    assert feedback.feedback_of(principal=who, run_id=run.pk).get().comment == ""
    count_batch(10)
    assert stored_thumbs() == (1, 0)
    feedback.withdraw(principal=who, run_id=run.pk)
    count_batch(10)
    assert (stored_thumbs(), Feedback.objects.count()) == ((0, 0), 0)


def stored_thumbs() -> tuple[int, int]:
    """Up and down, of all months."""
    rows = list(Rollup.objects.filter(period="month").values_list("thumbs_up", "thumbs_down"))
    return sum(up for up, _ in rows), sum(down for _, down in rows)


def test_short_periods_go_when_nobody_can_ask_for_them_any_more(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "PURGED", 2)
    for days in (0, 1, 3, 99, 102):
        history.run(history.thread(), completed_at=now() - timedelta(days=days))
    with monkeypatch.context() as long_ago:
        long_ago.setattr(counting, "now", lambda: now() - timedelta(days=102))
        count_batch(10)
    assert Rollup.objects.filter(period="moment").count() == 5
    while purge():
        pass
    left = {period: Rollup.objects.filter(period=period).count() for period in ("moment", "hour", "day")}
    assert left == {"moment": 2, "hour": 4, "day": 5}
