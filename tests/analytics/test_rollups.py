"""Random histories, counted in random batches that are killed anywhere: the roll-ups say what the rows say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from inference.models import UncountedCall
from runs.analytics.counting import count_batch
from runs.conversations.models import Conversation
from runs.models import Feedback, Run, ToolUse
from runs.services import feedback
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES
from tests.analytics.histories import Facts, History, minute, stored_rollups
from threads import services as threads
from threads.models import Thread

pytestmark = pytest.mark.django_db

SETTINGS = settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # a failure is told as it was found: making it smaller would take minutes
    suppress_health_check=list(HealthCheck),
)
WRITES = ("INSERT", "UPDATE", "DELETE")
MINUTES = st.integers(0, 400)
PLACES = st.integers(0, 30)  # of the rows there are, counted round and round
RUN = {
    "ended": MINUTES,
    "status": st.sampled_from(["completed", "completed", "incomplete", "failed", "cancelled", "expired"]),
    "version_id": st.sampled_from([None, "ver_1"]),
    "deployment_id": st.sampled_from([None, "dep_1"]),
    "environment": st.sampled_from([None, "production"]),
    "assistant_id": st.sampled_from([None, "asst_a", "asst_b"]),
    "created_by_user": st.sampled_from([None, None, 7, 8]),
    "metadata": st.sampled_from([{}, {"user_id": "zoe"}]),
    "last_error": st.sampled_from([None, {"code": "rate_limit_exceeded", "message": "Too much."}]),
    "completion_tokens": st.integers(0, 300),
}
USAGE = {
    "outcome": st.sampled_from(["stop", "tool_calls", "cancelled", "server_error"]),
    "prompt_tokens": st.integers(0, 99),
    "completion_tokens": st.integers(0, 99),
    "cost": st.integers(0, 10**12),
    "key_id": st.sampled_from([None, "key_1"]),
}
EVENTS = st.one_of(
    st.tuples(st.just("thread"), st.sampled_from([{}, {"user_id": "adam"}])),
    st.tuples(st.just("run"), PLACES, st.fixed_dictionaries(RUN), st.booleans()),
    st.tuples(st.just("run"), PLACES, st.fixed_dictionaries(RUN), st.booleans()),
    st.tuples(st.just("usage"), PLACES, MINUTES, st.fixed_dictionaries(USAGE)),
    st.tuples(st.just("usage_of_none"), MINUTES, st.fixed_dictionaries(USAGE)),
    st.tuples(st.just("tool"), PLACES, MINUTES, st.sampled_from(["ok", "error", "refused", "timeout"])),
    st.tuples(st.just("rate"), PLACES, st.sampled_from(["up", "down", None])),
    st.tuples(st.just("converse"), PLACES, st.sampled_from(["", "up", "down"]), st.sampled_from([None, 1, 5])),
    st.tuples(st.just("delete"), PLACES),
    st.tuples(st.just("count"), st.integers(1, 4), st.none() | st.integers(1, 9)),
)


class Killed(BaseException):
    """The process is no more."""


@contextmanager
def killed_at(number: int | None) -> Iterator[None]:
    """At the so manieth write, before it or after it."""
    seen = 0

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal seen
        if not sql.startswith(WRITES):
            return run(sql, params, many, context)
        seen += 1
        if number is not None and seen == (number + 1) // 2 and number % 2:
            raise Killed
        result = run(sql, params, many, context)
        if number is not None and seen == number // 2:
            raise Killed
        return result

    with connection.execute_wrapper(execute):
        yield


class Play:
    """Lets events happen."""

    def __init__(self, project: Project) -> None:
        self.history, self.facts = History(project), Facts()
        self.who = Principal(project_id=project.pk, user_id=7, scopes=ALL_SCOPES)
        self.threads = [self.history.thread()]
        self.runs: list[Run] = []  # those that were deleted are among them: what is late may be about one

    def happen(self, name: str, *what: Any) -> None:
        getattr(self, f"_{name}")(*what)
        self.facts.look()

    def _thread(self, metadata: dict[str, str]) -> None:
        self.threads.append(self.history.thread(metadata=metadata))

    def _run(self, place: int, fields: dict[str, Any], speaks: bool) -> None:
        run = self.history.run(self._at(self.threads, place), begun=fields["ended"] - 2, **fields)
        if speaks:
            self.history.speak(run, fields["ended"] - 1)
            self.history.speak(run, fields["ended"])
        self.runs.append(run)

    def _usage(self, place: int, at: int, fields: dict[str, Any]) -> None:
        if self.runs:
            self.history.usage(self._at(self.runs, place), at=at, **fields)

    def _usage_of_none(self, at: int, fields: dict[str, Any]) -> None:
        self.history.usage(None, at=at, **fields)

    def _tool(self, place: int, at: int, outcome: str) -> None:
        if self.runs:
            self.history.tool(self._at(self.runs, place), at=at, outcome=outcome)

    def _rate(self, place: int, rating: str | None) -> None:
        there = [run for run in self.runs if Run.objects.filter(pk=run.pk).exists()]
        if not there:
            return
        run = self._at(there, place)
        if rating is None:
            feedback.withdraw(principal=self.who, run_id=run.pk)
        else:
            said = feedback.rate(principal=self.who, run_id=run.pk, rating=rating)
            Feedback.objects.filter(pk=said.pk).update(created_at=minute(place))

    def _converse(self, place: int, thumb: str, score: int | None) -> None:
        thread = self._at(self.threads, place)
        if not Conversation.objects.filter(thread=thread).update(thumb=thumb, score=score):
            self.history.conversation(thread, thumb=thumb, score=score)

    def _delete(self, place: int) -> None:
        thread = self._at(self.threads, place)
        threads.delete_thread(principal=self.who, thread_id=thread.pk)
        self.threads.remove(thread)
        if not self.threads:
            self._thread({})

    def _count(self, limit: int, number: int | None) -> None:
        before = stored_rollups()
        try:
            with transaction.atomic(), killed_at(number):
                count_batch(limit)
        except Killed:
            assert stored_rollups() == before

    @staticmethod
    def _at(every: list[Any], place: int) -> Any:
        return every[place % len(every)]


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@SETTINGS
@given(events=st.lists(EVENTS, min_size=4, max_size=30))
def test_they_say_what_the_rows_say(project: Project, soon_after: None, events: list[tuple[Any, ...]]) -> None:
    with rolled_back():
        play = Play(project)
        for event in events:
            play.happen(*event)
        while count_batch(3):
            pass
        assert stored_rollups() == play.facts.rollups()
        before = stored_rollups()
        assert not count_batch(100), "there is nothing left"
        assert stored_rollups() == before
        assert not Feedback.objects.filter(rating="").exists(), "what was withdrawn is forgotten"
        assert not ToolUse.objects.filter(is_counted=False).exists()
        assert not UncountedCall.objects.exists()


def test_killed_at_any_write_everything_is_counted_once(project: Project, soon_after: None) -> None:
    history, facts, number = History(project), Facts(), 0
    thread: Thread = history.thread()
    for at in range(3):
        run = history.run(thread, ended=at * 90)
        history.usage(run, at=at * 90)
        history.tool(run, at=at * 90)
    who = Principal(project_id=project.pk, user_id=7, scopes=ALL_SCOPES)
    feedback.rate(principal=who, run_id=run.pk, rating="up")
    Feedback.objects.update(created_at=minute(4))
    history.conversation(thread, score=4)
    facts.look()
    while True:
        number += 1
        try:
            with transaction.atomic(), killed_at(number):
                count_batch(100)
        except Killed:
            assert stored_rollups() == {}
            assert (Run.objects.filter(is_counted=True).count(), UncountedCall.objects.count()) == (0, 3)
        else:
            break
    assert number > 10, "five tables are marked, and the roll-ups written"
    assert stored_rollups() == facts.rollups()
