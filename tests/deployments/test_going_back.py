"""Rolling back, canaries, approvals, schedules: what people and the product decide about a deployment that exists."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from assistants import deployments
from assistants.deployments.checks import Verdict
from assistants.models import Assistant, Deployment
from assistants.resolution import resolve
from assistants.services import create_assistant as make_assistant
from sovereign.accounts import services
from sovereign.accounts.credentials import principal_of_key
from sovereign.accounts.models import AuditEvent, Project
from sovereign.accounts.principals import Principal
from sovereign.core.database import now
from tests.deployments.support import Trial, acting, change, deployed, refused

pytestmark = pytest.mark.django_db

Status = Deployment.Status


def answers(assistant: Assistant, environment: str, number: int = 1) -> list[str]:
    """The instructions that threads get there."""
    ask = partial(resolve, assistant=assistant, environment=environment, variables=None)
    return [ask(thread_id=f"thread_{place}").instructions for place in range(number)]


# --------------------------------------------------------------------------------------------- rolling back


def test_what_was_in_service_before_is_so_again(assistant: Assistant, analyst: Principal) -> None:
    first = deployed(analyst, assistant, "One.")
    second = deployed(analyst, assistant, "Two.")
    back = deployments.roll_back(
        principal=analyst, assistant_id=assistant.id, environment="development", reason="It is worse."
    )
    second.refresh_from_db()
    assert (second.status, second.reason, second.ended_by_user) == (
        Status.ROLLED_BACK, "It is worse.", analyst.user_id,
    )  # fmt: skip
    assert (back.status, back.version_id, back.checks) == (Status.ACTIVE, first.version_id, first.checks)
    assert back.notes == "In service again after version 2. It is worse."
    assert answers(assistant, "development") == ["One."]
    assert Deployment.objects.count() == 3


def test_going_back_twice_goes_further_back(assistant: Assistant, analyst: Principal) -> None:
    for instructions in ("One.", "Two.", "Three."):
        deployed(analyst, assistant, instructions)
    back = partial(deployments.roll_back, principal=analyst, assistant_id=assistant.id, environment="development")
    back()
    assert answers(assistant, "development") == ["Two."]
    back()
    assert answers(assistant, "development") == ["One."]
    assert refused(back).code == "nothing_to_roll_back_to"
    assert answers(assistant, "development") == ["One."]


def test_with_nothing_to_go_back_to_nothing_changes(assistant: Assistant, analyst: Principal) -> None:
    back = partial(deployments.roll_back, principal=analyst, assistant_id=assistant.id, environment="development")
    assert "no version" in refused(back).message
    only = deployed(analyst, assistant, "One.")
    refusal = refused(back)
    assert (refusal.status, refusal.code) == (400, "nothing_to_roll_back_to")
    only.refresh_from_db()
    assert only.status == Status.ACTIVE


def test_who_goes_back_from_what_they_do_not_know_is_told(assistant: Assistant, analyst: Principal) -> None:
    first = deployed(analyst, assistant, "One.")
    second = deployed(analyst, assistant, "Two.")
    back = partial(deployments.roll_back, principal=analyst, assistant_id=assistant.id, environment="development")
    assert refused(lambda: back(expected_deployment=first.id)).code == "deployment_conflict"
    assert back(expected_deployment=second.id).version_id == first.version_id


def test_an_analyst_does_not_roll_production_back(
    assistant: Assistant, admin: Principal, analyst: Principal, trial: Trial
) -> None:
    trial.verdict = Verdict.PASSED
    deployed(admin, assistant, "One.", "production")
    deployed(admin, assistant, "Two.", "production")
    for call in (deployments.roll_back, deployments.deploy):
        refusal = refused(lambda: call(principal=analyst, assistant_id=assistant.id, environment="production"))  # noqa: B023
        assert (refusal.status, refusal.code) == (403, "insufficient_permissions")
    assert answers(assistant, "production") == ["Two."]


# --------------------------------------------------------------------------------------------- canaries


@pytest.fixture
def canary(assistant: Assistant, analyst: Principal) -> Deployment:
    deployed(analyst, assistant, "One.", "testing")
    return deployed(analyst, assistant, "Two.", "testing", percent=20, thresholds={"error_rate": 0.5})


def test_a_share_of_the_threads_gets_it_and_stays_with_it(
    canary: Deployment, assistant: Assistant, analyst: Principal
) -> None:
    assert (canary.status, canary.percent) == (Status.CANARY, Decimal("20.00"))
    assert canary.thresholds == {
        "error_rate": 0.5, "latency_ratio": 2.0, "thumbs_down_rate": 0.3, "minimum_runs": 20,
    }  # fmt: skip
    before = answers(assistant, "testing", 400)
    assert before == answers(assistant, "testing", 400)
    assert 40 <= before.count("Two.") <= 120
    grown = deployments.set_status(principal=analyst, deployment_id=canary.id, percent=60)
    assert grown.percent == Decimal(60)
    after = answers(assistant, "testing", 400)
    assert after.count("Two.") > before.count("Two.")
    assert all(new == "Two." for old, new in zip(before, after, strict=True) if old == "Two.")


def test_a_canary_is_completed(canary: Deployment, assistant: Assistant, analyst: Principal) -> None:
    stable = Deployment.objects.get(status=Status.ACTIVE)
    done = deployments.set_status(principal=analyst, deployment_id=canary.id, status="active")
    stable.refresh_from_db()
    assert (done.status, done.replaces, done.percent) == (Status.ACTIVE, stable.id, None)
    assert stable.status == Status.SUPERSEDED
    assert set(answers(assistant, "testing", 50)) == {"Two."}


def test_a_canary_is_taken_back_by_whoever_is_first(canary: Deployment, assistant: Assistant) -> None:
    assert deployments.roll_back_canary(deployment_id=canary.id, reason="Half of its runs failed.")
    assert not deployments.roll_back_canary(deployment_id=canary.id, reason="Another worker's opinion.")
    canary.refresh_from_db()
    assert (canary.status, canary.reason) == (Status.ROLLED_BACK, "Half of its runs failed.")
    assert set(answers(assistant, "testing", 50)) == {"One."}
    event = AuditEvent.objects.get(action="deployment.rolled_back")
    assert (event.user_id, event.key_id, event.details["reason"]) == (None, None, "Half of its runs failed.")


def test_rolling_back_takes_the_canary_first(canary: Deployment, assistant: Assistant, analyst: Principal) -> None:
    stable = deployments.roll_back(principal=analyst, assistant_id=assistant.id, environment="testing", reason="No.")
    canary.refresh_from_db()
    assert (canary.status, stable.status, stable.id) == (Status.ROLLED_BACK, Status.ACTIVE, canary.replaces)


def test_beside_a_canary_nothing_else_is_begun(canary: Deployment, assistant: Assistant, analyst: Principal) -> None:
    refusal = refused(lambda: deployed(analyst, assistant, "Three.", "testing"))
    assert (refusal.status, refusal.code) == (409, "deployment_conflict")
    stable = Deployment.objects.get(status=Status.ACTIVE)
    retire = partial(deployments.set_status, principal=analyst, deployment_id=stable.id, status="retired")
    assert refused(retire).code == "deployment_conflict"
    deployments.set_status(principal=analyst, deployment_id=canary.id, status="cancelled", reason="Enough.")
    assert retire().status == Status.RETIRED
    refusal = refused(
        lambda: resolve(
            assistant=assistant, environment="testing", thread_id="t", variables=None, must_be_deployed=True
        )
    )
    assert refusal.code == "assistant_not_deployed"


def test_a_canary_needs_something_beside_it(assistant: Assistant, analyst: Principal) -> None:
    refusal = refused(lambda: deployed(analyst, assistant, "One.", percent=10))
    assert refusal.code == "no_active_deployment"


@pytest.mark.parametrize("percent", [0, 100, -1, 0.001, 99.999])
def test_shares_that_are_none(percent: float, assistant: Assistant, analyst: Principal) -> None:
    deployed(analyst, assistant, "One.")
    assert refused(lambda: deployed(analyst, assistant, "Two.", percent=percent)).param == "percent"


@pytest.mark.parametrize(
    "thresholds",
    [{"errors": 1}, {"error_rate": 2}, {"error_rate": "high"}, {"minimum_runs": None}, {"minimum_runs": 1.5},
     {"latency_ratio": True}],
)  # fmt: skip
def test_thresholds_that_are_none(thresholds: dict[str, object], assistant: Assistant, analyst: Principal) -> None:
    deployed(analyst, assistant, "One.")
    refusal = refused(lambda: deployed(analyst, assistant, "Two.", percent=10, thresholds=thresholds))
    assert refusal.status == 400
    assert "thresholds" in str(refusal.param)


def test_a_canary_whose_stable_one_went_away_during_its_trial(
    assistant: Assistant, admin: Principal, trial: Trial
) -> None:
    trial.verdict = Verdict.PASSED
    stable = deployed(admin, assistant, "One.", "staging")
    trial.verdict = Verdict.PENDING
    tried = deployed(admin, assistant, "Two.", "staging", percent=10)
    deployments.set_status(principal=admin, deployment_id=stable.id, status="retired")
    trial.verdict = Verdict.PASSED
    settled = deployments.settle(tried.id)
    assert settled is not None
    assert (settled.status, settled.reason) == (
        Status.FAILED, "Nothing is in service any more beside which a canary could be tried.",
    )  # fmt: skip


# --------------------------------------------------------------------------------------------- approval


@pytest.fixture
def four_eyes(admin: Principal) -> None:
    for environment in ("testing", "production"):
        deployments.set_policy(principal=admin, environment=environment, four_eyes=True)


def test_somebody_else_has_to_approve(
    four_eyes: None, assistant: Assistant, admin: Principal, owner: Principal, analyst: Principal
) -> None:
    asked = deployed(admin, assistant, "One.", "testing")
    assert asked.status == Status.AWAITING_APPROVAL
    approve = partial(deployments.set_status, deployment_id=asked.id, status="approved")
    refusal = refused(lambda: approve(principal=admin))
    assert (refusal.status, refusal.code) == (403, "four_eyes")
    assert refused(lambda: approve(principal=analyst)).code == "insufficient_permissions"
    asked.refresh_from_db()
    assert (asked.status, asked.approved_by_user) == (Status.AWAITING_APPROVAL, None)

    approved = approve(principal=owner, reason="Read it.")
    assert (approved.status, approved.approved_by_user) == (Status.ACTIVE, owner.user_id)
    assert approved.approved_at is not None
    assert answers(assistant, "testing") == ["One."]
    assert AuditEvent.objects.get(action="deployment.approved").user_id == owner.user_id
    assert refused(lambda: approve(principal=owner)).code == "invalid_transition"


def test_ones_own_key_is_no_second_person(
    four_eyes: None, assistant: Assistant, admin: Principal, owner: Principal, project: Project
) -> None:
    scopes = ["assistants:read", "assistants:write", "assistants:deploy", "assistants:promote"]
    _, secret = services.create_api_key(project=project, name="ada's", scopes=scopes, principal=admin)
    key = principal_of_key(secret)
    asked = deployed(key, assistant, "One.", "testing")
    approve = partial(deployments.set_status, deployment_id=asked.id, status="approved")
    assert refused(lambda: approve(principal=admin)).code == "four_eyes"
    assert refused(lambda: approve(principal=key)).code == "four_eyes"
    assert approve(principal=owner).status == Status.ACTIVE


def test_an_approved_one_is_tried_like_any_other(
    four_eyes: None, assistant: Assistant, admin: Principal, owner: Principal, trial: Trial
) -> None:
    asked = deployed(admin, assistant, "One.", "production")
    assert (asked.status, trial.begun) == (Status.AWAITING_APPROVAL, [])
    approved = deployments.set_status(principal=owner, deployment_id=asked.id, status="approved")
    assert (approved.status, trial.begun) == (Status.VALIDATING, [asked.id])
    trial.verdict = Verdict.PASSED
    settled = deployments.settle(asked.id)
    assert settled is not None
    assert settled.status == Status.ACTIVE


def test_what_is_not_ready_when_it_is_approved_goes_on_waiting(
    four_eyes: None, assistant: Assistant, admin: Principal, owner: Principal, served: SimpleNamespace
) -> None:
    asked = deployed(admin, assistant, "One.", "testing")
    approve = partial(deployments.set_status, principal=owner, deployment_id=asked.id, status="approved")
    served.ready = False
    assert refused(approve).code == "not_ready"
    asked.refresh_from_db()
    assert (asked.status, asked.approved_by_user) == (Status.AWAITING_APPROVAL, None)
    assert not AuditEvent.objects.filter(action="deployment.approved").exists()
    served.ready = True
    assert approve().status == Status.ACTIVE


def test_a_rejected_one_never_comes(four_eyes: None, assistant: Assistant, admin: Principal, owner: Principal) -> None:
    asked = deployed(admin, assistant, "One.", "testing")
    rejected = deployments.set_status(principal=owner, deployment_id=asked.id, status="rejected", reason="Too rude.")
    assert (rejected.status, rejected.reason, rejected.ended_by_user) == (
        Status.CANCELLED, "Too rude.", owner.user_id,
    )  # fmt: skip
    assert not Deployment.objects.filter(status=Status.ACTIVE).exists()


def test_taking_the_policy_back_frees_nothing_that_waits(
    four_eyes: None, assistant: Assistant, admin: Principal, analyst: Principal, owner: Principal
) -> None:
    asked = deployed(admin, assistant, "One.", "testing")
    deployments.set_policy(principal=owner, environment="testing", four_eyes=False)
    approve = partial(deployments.set_status, principal=admin, deployment_id=asked.id, status="approved")
    assert refused(approve).code == "four_eyes"
    set_policy = partial(deployments.set_policy, environment="testing", four_eyes=True)
    assert refused(lambda: set_policy(principal=analyst)).status == 403


def test_more_threads_for_an_approved_canary_take_somebody_else_again(
    assistant: Assistant, admin: Principal, owner: Principal, trial: Trial
) -> None:
    trial.verdict = Verdict.PASSED
    deployed(admin, assistant, "One.", "production")
    deployments.set_policy(principal=admin, environment="production", four_eyes=True)
    asked = deployed(admin, assistant, "Two.", "production", percent=1)
    decide = partial(deployments.set_status, deployment_id=asked.id)
    assert decide(principal=owner, status="approved").status == Status.CANARY
    error = refused(partial(deployments.set_policy, principal=admin, environment="production", four_eyes=False))
    assert (error.status, error.code, error.param) == (403, "four_eyes", "four_eyes")  # nor does the asker lift it
    deployments.set_policy(principal=owner, environment="production", four_eyes=False)  # it was approved all the same
    for decision in ({"percent": 99.99}, {"status": "active"}):
        error = refused(partial(decide, principal=admin, **decision))
        assert (error.status, error.code) == (403, "four_eyes")
    assert decide(principal=admin, percent=0.5).percent == Decimal("0.5")  # fewer threads are anybody's to decide
    assert decide(principal=owner, percent=50).percent == Decimal("50")
    assert decide(principal=owner, status="active").status == Status.ACTIVE


# --------------------------------------------------------------------------------------------- schedules


def pass_time(deployment: Deployment) -> None:
    Deployment.objects.filter(pk=deployment.pk).update(scheduled_at=now() - timedelta(seconds=1))


def test_a_scheduled_one_comes_when_its_time_has(assistant: Assistant, analyst: Principal) -> None:
    asked = deployed(analyst, assistant, "One.", scheduled_at=now() + timedelta(hours=1))
    change(analyst, assistant, "Later words.")
    assert asked.status == Status.SCHEDULED
    assert deployments.begin_due() == []
    pass_time(asked)
    assert deployments.begin_due() == [asked.id]
    assert deployments.begin_due() == []
    asked.refresh_from_db()
    assert asked.status == Status.ACTIVE
    assert answers(assistant, "development") == ["One."]


def test_a_scheduled_one_waits_for_what_is_in_the_way(assistant: Assistant, admin: Principal, trial: Trial) -> None:
    asked = deployed(admin, assistant, "One.", "staging", scheduled_at=now() + timedelta(hours=1))
    other = deployed(admin, assistant, "Two.", "staging")
    pass_time(asked)
    assert deployments.begin_due() == []
    asked.refresh_from_db()
    assert asked.status == Status.SCHEDULED
    assert other.id in asked.reason
    deployments.set_status(principal=admin, deployment_id=other.id, status="cancelled")
    assert deployments.begin_due() == [asked.id]
    asked.refresh_from_db()
    assert (asked.status, asked.reason) == (Status.VALIDATING, "")


def test_a_scheduled_one_that_is_not_ready_any_more_fails(
    assistant: Assistant, analyst: Principal, served: SimpleNamespace
) -> None:
    asked = deployed(analyst, assistant, "One.", scheduled_at=now() + timedelta(hours=1))
    pass_time(asked)
    served.ready = False
    assert deployments.begin_due() == [asked.id]
    asked.refresh_from_db()
    assert asked.status == Status.FAILED
    assert "No engine serves it." in asked.reason


def test_one_that_cannot_be_begun_keeps_no_other_waiting(
    assistant: Assistant, analyst: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = deployed(analyst, assistant, "One.", scheduled_at=now() + timedelta(hours=1))
    fine = deployed(analyst, assistant, "Two.", scheduled_at=now() + timedelta(hours=2))
    for each in (poison, fine):
        pass_time(each)
    Deployment.objects.filter(pk=poison.pk).update(scheduled_at=now() - timedelta(hours=1))
    begin = deployments.activation.checklist.begin

    def broken(deployment: Deployment) -> list[dict[str, object]]:
        if deployment.pk == poison.pk:
            raise RuntimeError("a mistake")
        return begin(deployment)

    monkeypatch.setattr("assistants.deployments.checklist.begin", broken)
    assert deployments.begin_due() == [fine.id]
    poison.refresh_from_db()  # else it would be the first again at every look
    assert (poison.status, poison.reason) == (
        Status.FAILED, "A mistake of this server kept it from being begun. Deploy it again.",
    )  # fmt: skip


def test_what_waits_behind_a_canary_keeps_no_other_assistant_waiting(
    canary: Deployment, assistant: Assistant, analyst: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistants.deployments.activation.DUE_AT_ONCE", 2)
    version = str(canary.version.number)
    ask = partial(deployments.deploy, principal=analyst, environment="testing", scheduled_at=now() + timedelta(1))
    waiting = [ask(assistant_id=assistant.id, version=version) for _ in range(3)]
    other = make_assistant(principal=analyst, model="tiny", name="Other")
    fine = ask(assistant_id=other.id)
    for each in (*waiting, fine):
        pass_time(each)
    Deployment.objects.filter(pk=fine.pk).update(scheduled_at=now())
    assert deployments.begin_due() == [fine.id]
    deployments.begin_due()  # and who waits is told why, whatever else there is
    assert [canary.id in Deployment.objects.get(pk=each.pk).reason for each in waiting] == [True] * 3
    with CaptureQueriesContext(connection) as asked:
        assert deployments.begin_due() == []
    assert len(asked) <= 3  # those that wait cost nothing more; Postgres is asked for the time, too


def test_only_so_many_wait_for_their_time(assistant: Assistant, analyst: Principal) -> None:
    later = now() + timedelta(hours=1)
    first = deployed(analyst, assistant, "One.", scheduled_at=later)
    ask = partial(deployments.deploy, principal=analyst, assistant_id=assistant.id, scheduled_at=later)
    for _ in range(9):
        ask(environment="development")
    error = refused(partial(ask, environment="development"))
    assert (error.status, error.code, error.param) == (400, "too_many_deployments", "environment")
    ask(environment="testing")
    deployments.set_status(principal=analyst, deployment_id=first.id, status="cancelled")
    ask(environment="development")


def test_a_scheduled_one_of_an_inactive_assistant_fails(assistant: Assistant, analyst: Principal) -> None:
    asked = deployed(analyst, assistant, "One.", scheduled_at=now() + timedelta(hours=1))
    pass_time(asked)
    Assistant.objects.update(status="inactive")
    assert deployments.begin_due() == []
    asked.refresh_from_db()
    assert (asked.status, asked.reason) == (Status.FAILED, "The assistant is inactive.")


def test_a_policy_that_is_younger_than_a_schedule_holds_for_it(
    assistant: Assistant, admin: Principal, owner: Principal, trial: Trial
) -> None:
    trial.verdict = Verdict.PASSED
    asked = deployed(admin, assistant, "One.", "production", scheduled_at=now() + timedelta(hours=1))
    deployments.set_policy(principal=admin, environment="production", four_eyes=True)
    pass_time(asked)
    assert deployments.begin_due() == []
    asked.refresh_from_db()
    assert asked.status == Status.AWAITING_APPROVAL
    approved = deployments.set_status(principal=owner, deployment_id=asked.id, status="approved")
    assert (approved.status, approved.approved_by_user) == (Status.ACTIVE, owner.user_id)


def test_a_scheduled_one_of_an_archived_assistant_fails(assistant: Assistant, analyst: Principal) -> None:
    asked = deployed(analyst, assistant, "One.", scheduled_at=now() + timedelta(hours=1))
    pass_time(asked)
    Assistant.objects.update(status="archived")
    assert deployments.begin_due() == []
    asked.refresh_from_db()
    assert (asked.status, asked.reason) == (Status.FAILED, "The assistant is archived.")


@pytest.mark.parametrize("hours", [-1, 24 * 400])
def test_times_that_cannot_be(hours: int, assistant: Assistant, analyst: Principal) -> None:
    moment = now() + timedelta(hours=hours)
    assert refused(lambda: deployed(analyst, assistant, "One.", scheduled_at=moment)).param == "scheduled_at"


def test_an_approved_one_waits_for_its_time(
    four_eyes: None, assistant: Assistant, admin: Principal, owner: Principal
) -> None:
    asked = deployed(admin, assistant, "One.", "testing", scheduled_at=now() + timedelta(hours=1))
    assert asked.status == Status.AWAITING_APPROVAL
    pass_time(asked)
    assert deployments.begin_due() == []
    Deployment.objects.update(scheduled_at=now() + timedelta(hours=1))
    approved = deployments.set_status(principal=owner, deployment_id=asked.id, status="approved")
    assert approved.status == Status.SCHEDULED
    pass_time(asked)
    assert deployments.begin_due() == [asked.id]
    assert answers(assistant, "testing") == ["One."]


# --------------------------------------------------------------------------------------------- decisions at all


def test_what_cannot_be_decided(assistant: Assistant, analyst: Principal) -> None:
    made = deployed(analyst, assistant, "One.")
    decide = partial(deployments.set_status, principal=analyst, deployment_id=made.id)
    for status in ("approved", "rejected", "cancelled", "active"):
        refusal = refused(lambda: decide(status=status))  # noqa: B023
        assert (refusal.status, refusal.code) == (400, "invalid_transition")
    assert refused(lambda: decide(percent=5)).code == "invalid_transition"
    assert refused(decide).code == "missing_required_parameter"
    assert decide(status="retired", reason="Enough.").status == Status.RETIRED


def test_what_somebody_keeps_to_themselves_is_nobody_elses_to_decide(
    assistant: Assistant, owner: Principal, analyst: Principal, project: Project
) -> None:
    made = deployed(owner, assistant, "One.")
    Assistant.objects.update(visibility="private")
    decide = partial(deployments.set_status, deployment_id=made.id, status="retired")
    assert refused(lambda: decide(principal=analyst)).status == 404
    assert refused(lambda: decide(principal=acting(project, "viewer"))).status == 404
    assert decide(principal=acting(project, "admin")).status == Status.RETIRED
