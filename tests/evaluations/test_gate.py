"""A set that stands before an environment: a version is deployed there when enough of its cases pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assistants import deployments
from assistants import services as assistants
from assistants.models import Assistant, AssistantVersion, Deployment
from runs.evaluations import services
from runs.evaluations.models import EvaluationRun, EvaluationSet
from runs.evaluations.services import progress
from runs.models import Run
from sovereign.accounts.models import AuditEvent
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError
from tests.runs.support import Model, end, text, until, working

pytestmark = pytest.mark.django_db(transaction=True)

PLACE = "testing"  # where nothing else has to be waited for


@pytest.fixture
def gate(principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any]) -> EvaluationSet:
    """Two questions, of which one has to be answered well."""
    services.update_set(principal=principal, set_id=evaluation.id, gates={PLACE: 0.5})
    add_case("The capital of France?")
    add_case("And of Spain?", checks=[{"type": "exact", "value": "Madrid"}])
    evaluation.refresh_from_db()
    return evaluation


def deploy(principal: Principal, assistant: Assistant, environment: str = PLACE) -> Deployment:
    return deployments.deploy(principal=principal, assistant_id=assistant.id, environment=environment)


def evaluation_in(deployment: Deployment) -> dict[str, Any]:
    (finding,) = (finding for finding in deployment.checks if finding["name"] == "evaluation")
    return finding  # type: ignore[no-any-return]


def end_run(passed: int, failed: int = 0, errored: int = 0) -> EvaluationRun:
    """The newest run, over."""
    run = EvaluationRun.objects.order_by("-created_at", "-id")[0]
    run.results.update(status="passed")
    run.status, run.passed, run.failed, run.errored = "completed", passed, failed, errored
    run.save()
    return run


async def test_a_deployment_waits_for_its_evaluation_and_comes_into_service(
    model: Model, principal: Principal, assistant: Assistant, gate: EvaluationSet
) -> None:
    for _ in range(2):  # right for one of the questions, whichever is asked first
        model.answers(*text("Paris"), end())
    asked = await in_database(deploy, principal, assistant)
    assert asked.status == "validating"
    assert evaluation_in(asked)["verdict"] == "pending"
    async with working():
        active = await until(lambda: Deployment.objects.filter(pk=asked.pk, status="active").first())
    finding = evaluation_in(active)
    assert (finding["verdict"], finding["detail"]) == ("passed", "'Capitals': 1 of 2 cases pass (50%), 50% have to.")
    run = await in_database(EvaluationRun.objects.get)
    assert (run.deployment_id, run.created_by_user, run.version_id) == (asked.id, None, asked.version_id)
    started = await in_database(AuditEvent.objects.get, action="evaluation.run_started")
    assert (started.user_id, started.project_id) == (None, principal.project_id)


async def test_a_version_that_fails_does_not_come_into_service(
    model: Model, principal: Principal, assistant: Assistant, gate: EvaluationSet
) -> None:
    model.answers(*text("London"), end())
    model.answers(*text("London"), end())
    asked = await in_database(deploy, principal, assistant)
    async with working():
        failed = await until(lambda: Deployment.objects.filter(pk=asked.pk, status="failed").first())
    finding = evaluation_in(failed)
    assert finding["verdict"] == "failed"
    assert "0 of 2 cases pass (0%)" in failed.reason
    run = await in_database(EvaluationRun.objects.get)
    assert run.id in finding["fix"]
    with pytest.raises(ApiError, match="0 of 2 cases pass") as refused:  # it is known now: nothing is run again
        await in_database(deploy, principal, assistant)
    assert refused.value.code == "not_ready"
    assert await in_database(EvaluationRun.objects.count) == 1


def test_what_was_run_before_is_not_run_again(
    model: Model, principal: Principal, assistant: Assistant, gate: EvaluationSet, version: AssistantVersion
) -> None:
    services.start_run(principal=principal, set_id=gate.id, version="1")
    end_run(passed=2)
    assert deploy(principal, assistant).status == "active"
    assert EvaluationRun.objects.count() == 1


def test_a_run_of_other_cases_does_not_count(
    model: Model,
    principal: Principal,
    assistant: Assistant,
    gate: EvaluationSet,
    version: AssistantVersion,
    add_case: Callable[..., Any],
) -> None:
    services.start_run(principal=principal, set_id=gate.id, version="1")
    end_run(passed=2)
    add_case("And of Italy?")
    assert deploy(principal, assistant).status == "validating"
    assert list(EvaluationRun.objects.order_by("created_at").values_list("total", flat=True)) == [2, 3]


def test_a_run_that_broke_can_be_repeated(
    model: Model, principal: Principal, assistant: Assistant, gate: EvaluationSet, version: AssistantVersion
) -> None:
    services.start_run(principal=principal, set_id=gate.id, version="1")
    end_run(passed=0, errored=2)
    with pytest.raises(ApiError, match=r"2 could not be tried.*run the evaluation again"):
        deploy(principal, assistant)
    services.start_run(principal=principal, set_id=gate.id, version="1")
    end_run(passed=2)
    assert deploy(principal, assistant).status == "active"


@pytest.mark.parametrize(("change", "words"), [("cancel", "was cancelled"), ("cases", "have changed meanwhile")])
def test_a_deployment_whose_evaluation_is_gone_fails_and_says_so(
    model: Model,
    principal: Principal,
    assistant: Assistant,
    gate: EvaluationSet,
    add_case: Callable[..., Any],
    change: str,
    words: str,
) -> None:
    asked = deploy(principal, assistant)
    if change == "cancel":
        services.cancel_run(principal=principal, run_id=EvaluationRun.objects.get().id)
    else:
        add_case("And of Italy?")
    deployments.settle(asked.id)
    asked.refresh_from_db()
    assert asked.status == "failed"
    assert words in asked.reason
    assert deploy(principal, assistant).status == "validating"  # anew
    assert EvaluationRun.objects.count() == 2


def test_a_run_that_no_deployment_waits_for_any_more_is_called_off(
    model: Model, principal: Principal, assistant: Assistant, gate: EvaluationSet
) -> None:
    asked = deploy(principal, assistant)
    run = EvaluationRun.objects.get()
    assert progress.advance(run.id)
    deployments.set_status(principal=principal, deployment_id=asked.id, status="cancelled")
    assert progress.advance(run.id)
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert set(run.results.values_list("status", flat=True)) == {"cancelled"}
    assert not Run.objects.exclude(status__in=["cancelled", "cancelling"]).exists()
    told = AuditEvent.objects.get(action="evaluation.run_cancelled")
    assert (told.user_id, told.details["reason"]) == (None, progress.NOBODY_WAITS)
    again = deploy(principal, assistant)  # anew, and what is waited for goes on
    newest = EvaluationRun.objects.exclude(pk=run.pk).get()
    assert progress.advance(newest.id)
    assert (again.status, newest.status) == ("validating", "queued")
    newest.refresh_from_db()
    assert newest.status == "in_progress"


def test_a_gate_without_cases_lets_nothing_through_and_says_how_to_mend_it(
    model: Model, principal: Principal, assistant: Assistant, evaluation: EvaluationSet
) -> None:
    services.update_set(principal=principal, set_id=evaluation.id, gates={PLACE: 0})
    with pytest.raises(ApiError, match=r"has no cases\. Add cases to it"):
        deploy(principal, assistant)
    assert not Deployment.objects.exists()


def test_a_gate_stands_before_its_environment_and_its_assistant_alone(
    model: Model, principal: Principal, assistant: Assistant, gate: EvaluationSet
) -> None:
    assert deploy(principal, assistant, "development").status == "active"
    other = assistants.create_assistant(principal=principal, model="tiny", name="Other")
    assert deploy(principal, other).status == "active"
    services.update_set(principal=principal, set_id=gate.id, assistant_id=None)
    third = assistants.create_assistant(principal=principal, model="tiny", name="Third")
    assert deploy(principal, third).status == "validating"


async def test_looking_begins_nothing(
    model: Model, principal: Principal, assistant: Assistant, gate: EvaluationSet
) -> None:
    _, findings = await in_database(
        deployments.validate, principal=principal, assistant_id=assistant.id, environment=PLACE
    )
    (finding,) = (finding for finding in findings if finding["name"] == "evaluation")
    assert finding["verdict"] == "pending"
    assert "has to be run against this version first" in finding["detail"]
    assert not await in_database(EvaluationRun.objects.exists)
