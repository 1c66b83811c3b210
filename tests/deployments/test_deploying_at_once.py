"""Two people, or two workers, at the same moment: one wins, the other is told, and nothing is half done."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from assistants import deployments
from assistants.deployments.checks import Verdict
from assistants.models import Assistant, Deployment
from assistants.services import versions
from sovereign.accounts.models import AuditEvent
from sovereign.accounts.principals import Principal
from sovereign.core.database import now
from sovereign.core.errors import ApiError
from tests.deployments.support import Trial, change, deployed

pytestmark = pytest.mark.django_db(transaction=True)

Status = Deployment.Status
BOTH = 2
WORKERS = 6


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each gave, or the code of its refusal; all of them begin when all are there."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            gate.wait(60)
            return call()
        except ApiError as refused:
            return refused.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def published(principal: Principal, assistant: Assistant, *texts: str) -> list[str]:
    """The ids of a version for each of the instructions."""
    made = []
    for text in texts:
        change(principal, assistant, text)
        made.append(versions.publish(principal=principal, assistant_id=assistant.id).id)
    return made


def test_of_two_who_expect_the_same_one_wins(assistant: Assistant, admin: Principal, analyst: Principal) -> None:
    first = deployed(analyst, assistant, "One.")
    two, three = published(analyst, assistant, "Two.", "Three.")

    def deploy(principal: Principal, version: str) -> Deployment:
        return deployments.deploy(
            principal=principal,
            assistant_id=assistant.id,
            environment="development",
            version=version,
            expected_deployment=first.id,
        )

    answers = at_once([lambda: deploy(admin, two), lambda: deploy(analyst, three)])
    [won] = [answer for answer in answers if isinstance(answer, Deployment)]
    assert answers.count("deployment_conflict") == 1
    assert Deployment.objects.get(status=Status.ACTIVE).pk == won.pk
    assert Deployment.objects.count() == BOTH


def test_of_two_trials_one_is_begun(assistant: Assistant, admin: Principal, owner: Principal, trial: Trial) -> None:
    versions_of_both = published(admin, assistant, "One.", "Two.")

    def deploy(principal: Principal, version: str) -> Deployment:
        return deployments.deploy(
            principal=principal, assistant_id=assistant.id, environment="staging", version=version
        )

    answers = at_once([lambda: deploy(admin, versions_of_both[0]), lambda: deploy(owner, versions_of_both[1])])
    assert answers.count("deployment_conflict") == 1
    assert Deployment.objects.get().status == Status.VALIDATING


def test_of_two_who_roll_back_one_does(assistant: Assistant, admin: Principal, analyst: Principal) -> None:
    deployed(analyst, assistant, "One.")
    deployed(analyst, assistant, "Two.")
    third = deployed(analyst, assistant, "Three.")

    def back(principal: Principal) -> Deployment:
        return deployments.roll_back(
            principal=principal, assistant_id=assistant.id, environment="development", expected_deployment=third.id
        )

    answers = at_once([lambda: back(admin), lambda: back(analyst)])
    assert answers.count("deployment_conflict") == 1
    active = Deployment.objects.select_related("version").get(status=Status.ACTIVE)
    assert active.version.number == BOTH


def test_of_two_approvals_one_counts(assistant: Assistant, admin: Principal, owner: Principal, bob: Any) -> None:
    analyst = Principal(project_id=owner.project_id, user_id=bob.pk, role="analyst", scopes=owner.scopes)
    deployments.set_policy(principal=owner, environment="testing", four_eyes=True)
    asked = deployed(analyst, assistant, "One.", "testing")

    def decide(principal: Principal, status: str) -> str:
        return deployments.set_status(principal=principal, deployment_id=asked.id, status=status).status

    answers = at_once([lambda: decide(admin, "approved"), lambda: decide(owner, "rejected")])
    assert answers.count("invalid_transition") == 1
    asked.refresh_from_db()
    assert asked.status in answers


def test_many_workers_settle_a_trial_once(assistant: Assistant, admin: Principal, trial: Trial) -> None:
    asked = deployed(admin, assistant, "One.", "staging")
    trial.verdict = Verdict.PASSED
    answers = at_once([lambda: deployments.settle(asked.id)] * WORKERS)
    assert Counter(type(answer) for answer in answers) == {Deployment: 1, type(None): WORKERS - 1}
    assert AuditEvent.objects.filter(action="deployment.active").count() == 1


def test_many_workers_begin_what_is_due_once(assistant: Assistant, admin: Principal, trial: Trial) -> None:
    asked = deployed(admin, assistant, "One.", "staging", scheduled_at=now() + timedelta(hours=1))
    Deployment.objects.update(scheduled_at=now() - timedelta(seconds=1))
    answers = at_once([deployments.begin_due] * WORKERS)
    assert sorted(answers) == [[]] * (WORKERS - 1) + [[asked.id]]
    assert trial.begun == [asked.id]


def test_many_workers_take_a_canary_back_once(assistant: Assistant, analyst: Principal) -> None:
    deployed(analyst, assistant, "One.")
    canary = deployed(analyst, assistant, "Two.", percent=50)
    calls = [lambda: deployments.roll_back_canary(deployment_id=canary.id, reason="It fails.")] * WORKERS
    assert sorted(at_once(calls)) == [False] * (WORKERS - 1) + [True]
    assert AuditEvent.objects.filter(action="deployment.rolled_back").count() == 1


def test_a_canary_that_is_completed_and_taken_back_at_once(assistant: Assistant, analyst: Principal) -> None:
    deployed(analyst, assistant, "One.")
    canary = deployed(analyst, assistant, "Two.", percent=50)
    answers = at_once(
        [
            lambda: deployments.roll_back_canary(deployment_id=canary.id, reason="It fails."),
            lambda: deployments.set_status(principal=analyst, deployment_id=canary.id, status="active").status,
        ]
    )
    assert answers in ([True, "invalid_transition"], [False, "active"])
    assert Deployment.objects.filter(status=Status.ACTIVE).count() == 1
