"""A canary serves its share of the threads, and is taken back when it does worse than the version beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from assistants.deployments import activation
from assistants.models import Assistant, Deployment
from assistants.resolution import resolve
from inference.chat import InferenceError
from runs.configuration import compose, freeze
from runs.lifecycle import chores, signals
from runs.lifecycle.metrics import CANARIES_TAKEN_BACK
from runs.models import Feedback, Run
from runs.services import creation
from sovereign.accounts.models import AuditEvent
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database, now
from tests.runs.deploying import Status, deployed, published
from tests.runs.support import Model, end, ended, text, until, working
from threads import services as threads
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)
Answers = Callable[..., list[Run]]
PEOPLE = count(1)  # who rate: somebody else each time


@pytest.fixture
def stable(model: Model, assistant: Assistant) -> Deployment:
    return deployed(published(assistant))


@pytest.fixture
def canary(stable: Deployment, assistant: Assistant) -> Deployment:
    return deployed(published(assistant, instructions="Be long."), Status.CANARY)


@pytest.fixture
def answers(thread: Thread, assistant: Assistant) -> Answers:
    """``answers(deployment, count, seconds=…, **fields)``: runs that ended, as rows."""
    resolved = resolve(assistant=assistant, environment=None, thread_id=None, variables=None)
    configuration = freeze(thread.project_id, compose(resolved, {}))

    def make(deployment: Deployment, number: int = 1, *, seconds: float = 1.0, **fields: Any) -> list[Run]:
        begun = fields.pop("created_at", now())
        given = {"status": "completed", "completed_at": begun + timedelta(seconds=seconds), **fields}
        return Run.objects.bulk_create(
            Run(
                project_id=thread.project_id,
                thread=thread,
                configuration=configuration,
                assistant_id=deployment.assistant_id,
                version_id=deployment.version_id,
                deployment_id=deployment.pk,
                model="tiny",
                created_at=begun,
                started_at=begun,
                expires_at=begun + timedelta(hours=1),
                **given,
            )
            for _ in range(number)
        )

    return make


def failing(code: str = "server_error") -> dict[str, Any]:
    return {"status": "failed", "completed_at": None, "last_error": {"code": code, "message": "No."}}


def rate(runs: list[Run], rating: str) -> None:
    Feedback.objects.bulk_create(
        Feedback(project_id=run.project_id, run=run, user_id=next(PEOPLE), rating=rating) for run in runs
    )


def watched(canary: Deployment) -> str:
    chores.watch()
    canary.refresh_from_db()
    return str(canary.status)


# ------------------------------------------------------------------------------------------------ what is looked at


def test_a_canary_without_runs_stays(canary: Deployment) -> None:
    assert watched(canary) == "canary"


def test_too_many_errors_take_it_back_at_once(canary: Deployment, stable: Deployment, answers: Answers) -> None:
    answers(stable, 30)
    answers(canary, 17)
    answers(canary, 2, **failing())
    assert watched(canary) == "canary", "nineteen runs are too few to tell"
    answers(canary, 1, **failing())
    assert watched(canary) == "rolled_back"
    assert canary.reason.startswith("3 of 20 runs failed (15 %)")
    assert canary.ended_at is not None
    stable.refresh_from_db()
    assert stable.status == "active"
    assert activation.canary_in(canary.assistant_id, canary.environment) is None


def test_what_a_limit_refused_or_somebody_cancelled_is_no_error(canary: Deployment, answers: Answers) -> None:
    answers(canary, 20)
    answers(canary, 20, **failing("rate_limit_exceeded"))
    answers(canary, 20, status="cancelled", completed_at=None)
    answers(canary, 20, status="expired", completed_at=None)
    found = signals.signals_of(canary.pk)
    assert (found.ended, found.failed) == (20, 0)
    assert watched(canary) == "canary"


def test_an_engine_that_fails_everybody_takes_no_canary_back(
    canary: Deployment, stable: Deployment, answers: Answers
) -> None:
    answers(canary, 20, **failing())
    answers(stable, 20, **failing())
    assert watched(canary) == "canary"


def test_what_the_version_beside_did_before_excuses_no_errors(
    canary: Deployment, stable: Deployment, answers: Answers
) -> None:
    answers(stable, 40, created_at=now() - timedelta(hours=1), **failing())
    answers(stable, 20)
    answers(canary, 20, **failing())
    assert watched(canary) == "rolled_back"


def test_an_engine_that_goes_away_where_only_the_canary_is_asked_takes_it_not_back(
    canary: Deployment, stable: Deployment, answers: Answers
) -> None:
    """What answered before the canary came says nothing about the engine now."""
    answers(stable, 40, created_at=now() - timedelta(hours=1))
    answers(canary, 20, **failing())
    assert watched(canary) == "canary"
    answers(canary, 20, **failing("invalid_prompt"))
    assert watched(canary) == "rolled_back"
    assert canary.reason.startswith("20 of 40 runs failed because of what they asked of the model (50 %)")


def test_thumbs_down_take_it_back(canary: Deployment, stable: Deployment, answers: Answers) -> None:
    rate(answers(stable, 20), "up")
    runs = answers(canary, 20)
    rate(runs[:7], "up")
    rate(runs[7:10], "down")
    assert watched(canary) == "canary"
    rate(runs[10:11], "down")
    assert watched(canary) == "rolled_back"
    assert "4 of 11 ratings were thumbs down (36 %)" in canary.reason


def test_nobody_takes_a_canary_back_alone_by_thumbs(canary: Deployment, stable: Deployment, answers: Answers) -> None:
    alone, runs = next(PEOPLE), answers(canary, 20)
    for run in runs:
        Feedback.objects.create(project_id=run.project_id, run=run, user_id=alone, rating="down")
    found = signals.signals_of(canary.pk)
    assert (found.rated, found.disliked) == (1, 1)
    assert watched(canary) == "canary"
    Feedback.objects.filter(run=runs[0]).delete()
    for run in runs[:5]:
        Feedback.objects.create(project_id=run.project_id, run=run, key_id="key_1", rating="down")
    assert signals.signals_of(canary.pk).rated == 6, "an application speaks for as many as it says"
    assert watched(canary) == "rolled_back"


def test_what_a_request_asks_of_another_model_is_not_its_fault(
    canary: Deployment, stable: Deployment, answers: Answers
) -> None:
    answers(stable, 20)
    answers(canary, 20)
    runs = answers(canary, 20, **failing("invalid_prompt"))
    Run.objects.filter(pk__in=[run.pk for run in runs]).update(model="other")
    assert watched(canary) == "canary"
    Run.objects.filter(pk__in=[run.pk for run in runs]).update(model="tiny")
    assert watched(canary) == "rolled_back"


def test_slow_answers_take_it_back(canary: Deployment, stable: Deployment, answers: Answers) -> None:
    answers(stable, 20, created_at=now() - timedelta(hours=1))
    answers(canary, 18)
    answers(canary, 2, seconds=1.9)
    assert watched(canary) == "canary"
    answers(canary, 1, seconds=2.5)
    answers(canary, 1, seconds=2.5)
    assert watched(canary) == "rolled_back"
    assert "took up to 2.5 s, and 1.0 s of the version beside it" in canary.reason


def test_answers_that_hang_take_it_back_before_they_end(
    canary: Deployment, stable: Deployment, answers: Answers, thread: Thread
) -> None:
    answers(stable, 20)
    answers(canary, 18)
    for _ in range(2):
        own = Thread.objects.create(project_id=thread.project_id)
        [run] = answers(canary, 1, created_at=now() - timedelta(seconds=30))
        Run.objects.filter(pk=run.pk).update(thread=own, status="in_progress", completed_at=None)
    assert watched(canary) == "rolled_back"


def test_only_the_newest_runs_are_looked_at(
    canary: Deployment, stable: Deployment, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "WINDOW", 30)
    answers(stable, 20)
    answers(canary, 30, created_at=now() - timedelta(minutes=5), **failing())
    answers(canary, 30)
    assert watched(canary) == "canary", "it has got well since"
    answers(canary, 5, **failing())
    assert watched(canary) == "rolled_back"


def test_its_own_thresholds_hold(canary: Deployment, stable: Deployment, answers: Answers) -> None:
    answers(stable, 30)
    Deployment.objects.filter(pk=canary.pk).update(thresholds={**canary.thresholds, "error_rate": None})
    answers(canary, 20, **failing())
    assert watched(canary) == "canary"
    Deployment.objects.filter(pk=canary.pk).update(thresholds={**canary.thresholds, "minimum_runs": 30})
    assert watched(canary) == "canary"


def test_another_versions_runs_are_none_of_it(canary: Deployment, stable: Deployment, answers: Answers) -> None:
    rate(answers(stable, 40, **failing()), "down")
    answers(canary, 40)
    assert watched(canary) == "canary"


# ------------------------------------------------------------------------------------------------ who does it


def test_it_is_told_who_did_it_and_why(canary: Deployment, stable: Deployment, answers: Answers) -> None:
    answers(stable, 20)
    answers(canary, 20, **failing())
    watched(canary)
    event = AuditEvent.objects.get(action="deployment.rolled_back")
    assert (event.object_id, event.user_id, event.key_id) == (canary.pk, None, None)
    assert "20 of 20 runs failed" in event.details["reason"]


async def test_of_many_workers_one_takes_it_back(canary: Deployment, stable: Deployment, answers: Answers) -> None:
    before = CANARIES_TAKEN_BACK.labels(cause="errors")._value.get()
    await in_database(lambda: answers(stable, 20))
    await in_database(lambda: answers(canary, 20, **failing()))
    await asyncio.gather(*(in_database(chores.watch) for _ in range(4)))
    await in_database(canary.refresh_from_db)
    assert canary.status == "rolled_back"
    assert await in_database(AuditEvent.objects.filter(action="deployment.rolled_back").count) == 1
    assert CANARIES_TAKEN_BACK.labels(cause="errors")._value.get() == before + 1


def test_looking_after_nothing_costs_little(stable: Deployment, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(4):  # due (by Postgres' clock), waiting for others, being tried
        chores.settle()
    with django_assert_max_num_queries(1):
        chores.watch()


def test_a_canary_costs_no_more_the_more_runs_there_are(
    canary: Deployment, stable: Deployment, answers: Answers, django_assert_max_num_queries: Any
) -> None:
    answers(canary, 600)
    answers(stable, 600)
    with django_assert_max_num_queries(12):
        chores.watch()
    assert signals.signals_of(canary.pk).ended == signals.WINDOW


# ------------------------------------------------------------------------------------------------ at work


async def test_a_canary_that_fails_is_taken_back_while_people_talk(
    model: Model, canary: Deployment, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its threads get the other version from their next run on, and the others notice nothing."""
    monkeypatch.setattr(chores, "WATCH", 0.01)
    few = {**canary.thresholds, "minimum_runs": 3}
    await in_database(lambda: Deployment.objects.filter(pk=canary.pk).update(thresholds=few))

    async def answered(request: Any) -> Any:
        if "Be long." in request.messages[0]["content"]:
            raise InferenceError("It cannot.")
        for delta in [*text("Brief."), end()]:
            yield delta

    monkeypatch.setattr("inference.gateway.stream", answered)
    asked = await in_database(_principal_in_production, principal)
    spoken = [await in_database(lambda: threads.create_thread(principal=asked)) for _ in range(24)]

    async def ask(thread: Thread) -> Run:
        def begin() -> str:
            question = [{"role": "user", "content": "Hello?"}]
            begun = creation.create_run(
                principal=asked,
                thread_id=thread.id,
                assistant_id=canary.assistant_id,
                additional_messages=question,
            )
            return begun.run.id

        return await ended(await in_database(begin))

    async with working():
        first = [await ask(thread) for thread in spoken]
        await until(lambda: Deployment.objects.filter(pk=canary.pk, status="rolled_back").exists())
        second = [await ask(thread) for thread in spoken]
    assert {run.status for run in second} == {"completed"}
    unlucky = [run for run in first if run.status == "failed"]
    assert {run.deployment_id for run in unlucky} == {canary.pk}
    assert len(unlucky) >= 3
    assert {run.deployment_id for run in first if run.status == "completed"} == {run.deployment_id for run in second}


def _principal_in_production(principal: Principal) -> Principal:
    return Principal(
        project_id=principal.project_id,
        key_id=principal.key_id,
        scopes=principal.scopes,
        environment="production",
    )


async def test_a_chore_that_fails_is_done_again(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = count()

    def broken() -> None:
        if next(looks) < 3:
            raise ValueError

    monkeypatch.setattr(chores, "settle", broken)
    monkeypatch.setattr("runs.worker.worker.CHORE", 0.01)
    async with working():
        await until(lambda: next(looks) > 5)
