"""What a scale gives an assistant's runs in an environment: slots, priority, and tokens of a day."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.models import Assistant, Deployment, Scale
from assistants.services import versions
from inference.chat import Usage
from runs import events
from runs.events import EventLog
from runs.models import DayTokens, Run
from runs.services import creation, leases, shares, waiting
from runs.services.leases import claim, give_back
from runs.services.recorder import Recorder
from sovereign.accounts import credentials
from sovereign.accounts import services as accounts
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database, transact
from sovereign.core.errors import ApiError
from sovereign.core.ids import new_id
from tests.runs.support import Model, age_lease, end, ended, text, working
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)

Begin = Callable[..., Run]


@pytest.fixture
def bound(project: Project) -> Principal:
    """A key that is bound to production."""
    secret = accounts.create_api_key(project=project, environment="production")[1]
    return credentials.principal_of_key(secret)


@pytest.fixture
def deploy(principal: Principal) -> Callable[[Assistant, str], Deployment]:
    def make(assistant: Assistant, environment: str) -> Deployment:
        version = versions.version_of_draft(principal=principal, assistant=assistant)
        return Deployment.objects.create(
            project_id=assistant.project_id,
            assistant=assistant,
            version=version,
            environment=environment,
            status="active",
        )

    return make


@pytest.fixture
def served(model: Model, assistant: Assistant, deploy: Callable[[Assistant, str], Deployment]) -> Assistant:
    """In service in production."""
    deploy(assistant, "production")
    return assistant


@pytest.fixture
def ask(bound: Principal, served: Assistant) -> Begin:
    """``ask()``: a run of the assistant in production, on a thread of its own."""
    return lambda principal=bound, assistant=served: begin_anew(principal, assistant)


def begin_anew(principal: Principal, assistant: Assistant) -> Run:
    thread = {"messages": [{"role": "user", "content": "Hello?"}]}
    return creation.create_thread_and_run(principal=principal, assistant_id=assistant.id, thread=thread).run


def scale(assistant: Assistant, environment: str = "production", **limits: Any) -> Scale:
    return Scale.objects.create(project_id=assistant.project_id, assistant=assistant, environment=environment, **limits)


def claimed(limit: int = 8, worker: str = "a") -> list[str]:
    return [lease.run_id for lease in claim(worker_id=worker, limit=limit)]


def spend(run: Run, prompt: int, completion: int = 0) -> None:
    """The run is over, and was so many tokens."""
    count(run, prompt, completion)
    Run.objects.filter(pk=run.pk).update(status="completed", lease_owner=None, lease_expires_at=None)


def count(run: Run, prompt: int, completion: int = 0) -> None:
    """A model call of the run was so many tokens."""

    def write() -> None:
        with EventLog() as log:
            Recorder(log, run).count(Usage(prompt, completion))

    transact(write)


def told(run: Run) -> str:
    return Run.objects.values_list("waiting_reason", flat=True).get(pk=run.pk)


# ------------------------------------------------------------------------------------------------ slots


def test_no_more_of_its_runs_are_held_than_it_has_slots(ask: Begin, served: Assistant, principal: Principal) -> None:
    scale(served, worker_slots=2)
    runs = [ask() for _ in range(4)]
    unbound = ask(principal)
    assert claimed() == [runs[0].id, runs[1].id, unbound.id], "outside of the environment nothing is limited"
    assert claimed() == claimed(worker="b") == []
    reason = "As many runs of this assistant are at work in production as may at once."
    assert told(runs[2]) == told(runs[3]) == reason
    spend(runs[0], 1)
    assert claimed(worker="b") == [runs[2].id]
    assert told(runs[2]) == "", "it waits no longer"


def test_a_slot_is_of_one_assistant_in_one_environment(
    ask: Begin, bound: Principal, served: Assistant, principal: Principal, deploy: Callable[..., Deployment]
) -> None:
    other = assistants.create_assistant(principal=principal, model="tiny", instructions="Be long.")
    deploy(other, "production")
    deploy(served, "staging")
    scale(served, worker_slots=1)
    first, _, others, staged = ask(), ask(), ask(assistant=other), ask(replace(bound, environment="staging"))
    assert claimed() == [first.id, others.id, staged.id]


def test_no_slot_lets_nothing_through_and_a_changed_scale_counts_at_once(ask: Begin, served: Assistant) -> None:
    limits = scale(served, worker_slots=0)
    runs = [ask() for _ in range(2)]
    assert claimed() == []
    Scale.objects.filter(pk=limits.pk).update(worker_slots=1)
    assert claimed() == [runs[0].id]
    limits.delete()
    assert claimed() == [runs[1].id]


def test_a_run_that_lost_its_worker_waits_for_a_slot_too(ask: Begin, served: Assistant) -> None:
    scale(served, worker_slots=1)
    runs = [ask() for _ in range(2)]
    assert claimed() == [runs[0].id]
    age_lease(runs[0].id)
    assert claimed(worker="b") == [runs[0].id], "it stood before the one that was not begun"
    give_back("b")
    assert claimed(worker="c") == [runs[0].id]


def test_many_workers_at_once_take_no_more_than_the_slots(ask: Begin, served: Assistant) -> None:
    scale(served, worker_slots=2)
    for _ in range(8):
        ask()

    def work(name: str) -> list[str]:
        try:
            return claimed(worker=name)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        found = [run_id for taken in pool.map(work, "abcdef") for run_id in taken]
    assert len(found) == len(set(found)) == 2
    assert Run.objects.held().count() == 2


def test_a_run_that_came_between_the_look_and_the_claim_waits(
    ask: Begin, served: Assistant, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not looked at might have no place."""
    scale(served, worker_slots=0)
    known = ask(principal)
    look = leases.look

    def slow(executing: Any) -> Any:
        openings = look(executing)
        ask()
        return openings

    monkeypatch.setattr(leases, "look", slow)
    assert claimed() == [known.id]


async def test_runs_take_turns_in_one_slot(model: Model, ask: Begin, served: Assistant) -> None:
    await in_database(scale, served, worker_slots=1)
    for _ in range(3):
        model.answers(*text("Done"), end())
    runs = [await in_database(ask) for _ in range(3)]
    async with working():
        over = [await ended(run.id) for run in runs]
    assert {run.status for run in over} == {"completed"}
    for before, after in pairwise(over):
        assert before.completed_at <= after.started_at


# ------------------------------------------------------------------------------------------------ priority


def test_the_priority_is_frozen_when_a_run_is_made(ask: Begin, served: Assistant, principal: Principal) -> None:
    limits = scale(served, priority=7)
    run = ask()
    Scale.objects.filter(pk=limits.pk).update(priority=1)
    assert (run.priority, ask().priority, ask(principal).priority) == (7, 1, 0)


def test_the_most_urgent_goes_first(ask: Begin, served: Assistant, principal: Principal) -> None:
    usual = [ask(principal) for _ in range(3)]
    scale(served, priority=5)
    urgent = [ask() for _ in range(2)]
    assert claimed(limit=1) == [urgent[0].id]
    assert claimed(limit=2) == [urgent[1].id, usual[0].id]
    Scale.objects.update(priority=-5)
    patient = ask()
    last = ask(principal)
    assert claimed(limit=3) == [usual[1].id, usual[2].id, last.id]
    assert claimed() == [patient.id]


def test_a_projects_priorities_put_nothing_before_another_project(
    ask: Begin, served: Assistant, principal: Principal, charlies_key: str
) -> None:
    charlie = credentials.principal_of_key(charlies_key)
    theirs = assistants.create_assistant(principal=charlie, model="tiny", instructions="Be brief.")
    usual = ask(principal)
    others = [ask(charlie, theirs) for _ in range(2)]
    scale(served, priority=9)
    urgent = [ask() for _ in range(2)]
    assert claimed(limit=1) == [urgent[0].id], "in the place of the project's oldest"
    assert sorted(claimed(limit=2)) == sorted([urgent[1].id, others[0].id])
    assert sorted(claimed()) == sorted([usual.id, others[1].id])


# ------------------------------------------------------------------------------------------------ tokens of a day


def test_where_the_days_tokens_are_used_up_runs_are_refused(
    ask: Begin, served: Assistant, principal: Principal
) -> None:
    scale(served, tokens_per_day=100)
    spend(ask(), 60, 39)
    last = ask()
    spend(last, 1)
    with pytest.raises(ApiError) as refused:
        ask()
    error = refused.value
    assert (error.status, error.code, error.type) == (429, "insufficient_quota", "insufficient_quota")
    assert error.message == "The assistant has used its 100 tokens of today in production. It goes on at 00:00 UTC."
    assert 0 < int(error.headers["Retry-After"]) <= 86_400
    assert error.headers["x-should-retry"] == "false"
    assert ask(principal).status == "queued", "who asks for the draft is not limited"


def test_the_api_refuses_and_leaves_nothing(
    client_of: Callable[[str], APIClient], project: Project, ask: Begin, served: Assistant
) -> None:
    scale(served, tokens_per_day=1)
    spend(ask(), 1)
    api = client_of(accounts.create_api_key(project=project, environment="production")[1])
    before = Run.objects.count()
    body = {"assistant_id": served.id, "thread": {"messages": [{"role": "user", "content": "Hello?"}]}}
    answer = api.post("/v1/threads/runs", body, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    assert answer.headers["x-should-retry"] == "false"
    assert Run.objects.count() == before


def test_what_waits_stays_and_is_told_why(ask: Begin, served: Assistant) -> None:
    scale(served, tokens_per_day=10)
    begun, waiting = ask(), ask()
    assert claimed(limit=1) == [begun.id]
    count(begun, 10)
    assert claimed() == []
    assert told(waiting) == "The assistant has used its 10 tokens of today in production. It goes on at 00:00 UTC."
    age_lease(begun.id)
    assert claimed(worker="b") == [begun.id], "what has begun goes on"


def test_what_was_used_yesterday_or_elsewhere_does_not_count(
    ask: Begin, served: Assistant, principal: Principal
) -> None:
    scale(served, tokens_per_day=10)
    spend(ask(), 10)
    DayTokens.objects.update(day=F("day") - timedelta(days=1))
    spend(ask(principal), 10)
    assert ask().status == "queued"


def test_a_day_begins_at_midnight_of_utc(ask: Begin, served: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    scale(served, tokens_per_day=10)
    first, second = ask(), ask()
    midnight = datetime(2026, 11, 22, tzinfo=UTC)
    monkeypatch.setattr(events, "now", lambda: midnight)
    spend(first, 10)
    monkeypatch.setattr(shares, "now", lambda: midnight + timedelta(hours=23, minutes=59, seconds=30))
    with pytest.raises(ApiError) as refused:
        ask()
    assert refused.value.headers["Retry-After"] == "31"
    monkeypatch.setattr(shares, "now", lambda: midnight + timedelta(days=1))
    assert ask().status == "queued"
    monkeypatch.setattr(events, "now", lambda: midnight + timedelta(days=1))
    spend(second, 9)
    assert ask().status == "queued", "the day before is forgotten"
    monkeypatch.setattr(events, "now", lambda: midnight + timedelta(hours=23))
    count(second, 1)
    with pytest.raises(ApiError):
        ask()


def test_what_was_used_stays_used_when_its_conversation_is_deleted(ask: Begin, served: Assistant) -> None:
    scale(served, tokens_per_day=10)
    run = ask()
    spend(run, 10)
    Thread.objects.filter(pk=run.thread_id).delete()
    with pytest.raises(ApiError):
        ask()


async def test_what_a_worker_counts_is_used_of_the_day(model: Model, ask: Begin, served: Assistant) -> None:
    await in_database(scale, served, tokens_per_day=7)
    model.answers(*text("Done"), end(spent=Usage(4, 3)))
    run = await in_database(ask)
    async with working():
        over = await ended(run.id)
    assert over.prompt_tokens + over.completion_tokens == 7
    with pytest.raises(ApiError):
        await in_database(ask)


def test_many_count_at_once_and_nothing_is_lost(ask: Begin, served: Assistant, principal: Principal) -> None:
    runs = [ask() for _ in range(6)]

    def work(run: Run) -> None:
        try:
            for _ in range(5):
                count(run, 1, 1)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, runs))
    assert DayTokens.objects.get().tokens == 60


def test_tokens_outside_of_environments_are_not_counted(ask: Begin, principal: Principal) -> None:
    spend(ask(principal), 10)
    assert not DayTokens.objects.exists()


def test_a_version_that_is_tried_is_of_no_environment(bound: Principal, served: Assistant) -> None:
    scale(served, tokens_per_day=0, priority=3)
    version = served.versions.get()
    messages = [{"role": "user", "content": "Hello?"}]
    run = creation.try_version(principal=bound, version=version, messages=messages, metadata={}).run
    assert (run.version_id, run.environment, run.priority) == (version.id, None, 0)


# ------------------------------------------------------------------------------------------------ what it costs


def test_where_nothing_is_scaled_a_claim_asks_nothing_more(
    ask: Begin, model: Model, django_assert_num_queries: Any
) -> None:
    model.ready, model.reason = False, "The engine sleeps."
    ask()
    with django_assert_num_queries(3):  # who waits, whose calls are limited, the reason
        assert claimed() == []
    with django_assert_num_queries(2):
        assert claimed() == []


def scaled_crowd(asked: Run, many: int, **limits: Any) -> list[str]:
    """So many other assistants of the project in production, each with a scale and a waiting run like this one.

    :returns: the ids of the runs, the oldest first.
    """
    fields = {field.attname: getattr(asked, field.attname) for field in Run._meta.concrete_fields}
    draft = Assistant.objects.get(pk=asked.assistant_id)
    copied = {field.attname: getattr(draft, field.attname) for field in Assistant._meta.concrete_fields}
    crowd = Assistant.objects.bulk_create([Assistant(**copied | {"id": f"asst_{n:04}"}) for n in range(many)])
    places = Thread.objects.bulk_create([Thread(project_id=asked.project_id) for _ in crowd])
    Scale.objects.bulk_create(
        Scale(project_id=asked.project_id, assistant=each, environment="production", **limits) for each in crowd
    )
    rows = [
        Run(**fields | {"id": new_id("run_"), "assistant_id": each.id, "thread_id": place.id})
        for each, place in zip(crowd, places, strict=True)
    ]
    return [run.id for run in Run.objects.bulk_create(rows)]


def test_a_thousand_scales_keep_nobody_out(ask: Begin, served: Assistant, principal: Principal) -> None:
    """A condition for each of them is deeper than SQLite goes."""
    first = ask()
    many = scaled_crowd(first, 1_100, worker_slots=0, tokens_per_day=5)
    last = ask(principal)
    assert claimed() == [first.id, last.id]
    reason = "As many runs of this assistant are at work in production as may at once."
    assert set(Run.objects.filter(pk__in=many).values_list("waiting_reason", flat=True)) == {reason}
    Run.objects.filter(pk__in=[first.id, last.id]).update(status="completed", lease_owner=None, lease_expires_at=None)
    Scale.objects.filter(assistant_id="asst_0700").update(worker_slots=1)
    assert claimed() == [many[700]]


def test_scales_cost_a_look_as_much_as_one_does(ask: Begin, served: Assistant) -> None:
    """However many runs wait, and however many scales they have."""
    first = ask()
    scaled_crowd(first, 300, worker_slots=1, tokens_per_day=10)
    with CaptureQueriesContext(connection) as asked:
        assert waiting.look(()) is not None
    assert len(asked) <= 6
    assert not [query for query in asked if query["sql"].upper().count("SELECT") > 2]
    with CaptureQueriesContext(connection) as asked:
        claimed(limit=1)
    locked = [query["sql"] for query in asked if "assistants_scale" in query["sql"]]
    assert all(sql.count("asst_") < 10 for sql in locked[2:]), "a claim locks the scales of what it takes only"


def test_slots_cost_a_look_two_queries(ask: Begin, served: Assistant, django_assert_num_queries: Any) -> None:
    scale(served, worker_slots=0)
    ask()
    claimed()
    with django_assert_num_queries(4):  # and the scales, who is at work
        assert claimed() == []
