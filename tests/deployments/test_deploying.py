"""A version comes into service: at once, after its trial, by promotion; and what is refused."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest

from assistants import deployments, services
from assistants.deployments.checks import Verdict
from assistants.models import Assistant, AssistantVersion, Deployment
from assistants.resolution import resolve
from runs.evaluations.models import EvaluationCase, EvaluationSet
from runs.models import Run
from sovereign.accounts.models import AuditEvent, Project
from sovereign.accounts.principals import Principal
from tests.deployments.support import Trial, acting, change, deployed, refused

pytestmark = pytest.mark.django_db

Status = Deployment.Status


def instructions_in(assistant: Assistant, environment: str, thread: str = "thread_1") -> str:
    assistant.refresh_from_db()
    return resolve(
        assistant=assistant, environment=environment, thread_id=thread, variables=None, must_be_deployed=True
    ).instructions


@pytest.mark.parametrize("environment", ["development", "testing"])
def test_the_draft_is_published_and_in_service_at_once(
    environment: str, assistant: Assistant, analyst: Principal
) -> None:
    made = deployments.deploy(principal=analyst, assistant_id=assistant.id, environment=environment, notes="First.")
    assert (made.status, made.version.number, made.notes, made.replaces) == (Status.ACTIVE, 1, "First.", None)
    assert made.asked_by_user == analyst.user_id
    found = {finding["name"]: finding["verdict"] for finding in made.checks}
    assert {"model", "tools", "knowledge", "prompts"} <= set(found)
    assert set(found.values()) == {"passed"}
    change(analyst, assistant, "Be long.")
    assert instructions_in(assistant, environment) == "Be brief."
    kinds = AuditEvent.objects.filter(object_id=made.id).values_list("action", flat=True)
    assert sorted(kinds) == ["deployment.active", "deployment.created"]


def test_the_next_version_takes_its_place(assistant: Assistant, analyst: Principal) -> None:
    first = deployed(analyst, assistant, "One.")
    second = deployed(analyst, assistant, "Two.")
    first.refresh_from_db()
    assert (first.status, first.ended_by_user) == (Status.SUPERSEDED, analyst.user_id)
    assert (second.status, second.replaces) == (Status.ACTIVE, first.id)
    assert instructions_in(assistant, "development") == "Two."


def test_an_older_version_by_number_and_by_id(assistant: Assistant, analyst: Principal) -> None:
    first = deployed(analyst, assistant, "One.")
    deployed(analyst, assistant, "Two.")
    deploy = partial(deployments.deploy, principal=analyst, assistant_id=assistant.id)
    for environment, version in (("testing", "1"), ("development", first.version_id)):
        made = deploy(environment=environment, version=version)
        assert (made.version_id, made.status) == (first.version_id, Status.ACTIVE)
    assert refused(lambda: deploy(environment="testing", version="9")).status == 404


def test_the_same_version_again_is_refused(assistant: Assistant, analyst: Principal) -> None:
    deployed(analyst, assistant, "One.")
    again = refused(lambda: deployments.deploy(principal=analyst, assistant_id=assistant.id, environment="development"))
    assert (again.status, again.code) == (400, "already_deployed")
    assert Deployment.objects.count() == 1


def test_what_is_not_ready_is_told_with_every_check_and_nothing_is_kept(
    assistant: Assistant, analyst: Principal, served: SimpleNamespace
) -> None:
    served.ready = False
    refusal = refused(
        lambda: deployments.deploy(principal=analyst, assistant_id=assistant.id, environment="development")
    )
    assert (refusal.status, refusal.code, refusal.param) == (400, "not_ready", "version")
    assert "No engine serves it. Start an engine" in refusal.message
    told = refusal.body()["error"]["checks"]
    assert [finding["verdict"] for finding in told[:4]] == ["failed", "passed", "passed", "passed"]
    assert told[0]["fix"]
    assert not Deployment.objects.exists()
    assert not AssistantVersion.objects.exists()


def test_in_staging_a_version_is_tried_before_it_is_in_service(
    assistant: Assistant, admin: Principal, trial: Trial
) -> None:
    made = deployments.deploy(principal=admin, assistant_id=assistant.id, environment="staging")
    assert (made.status, trial.begun) == (Status.VALIDATING, [made.id])
    made.refresh_from_db()
    assert made.smoke_run_id == "run_1"
    settled = deployments.settle(made.id)
    assert settled is not None
    assert settled.status == Status.VALIDATING
    assert refused(lambda: instructions_in(assistant, "staging")).code == "assistant_not_deployed"

    trial.verdict = Verdict.PASSED
    settled = deployments.settle(made.id)
    assert settled is not None
    assert settled.status == Status.ACTIVE
    assert settled.checks[-1]["verdict"] == "passed"
    assert instructions_in(assistant, "staging") == "Be brief."
    assert deployments.settle(made.id) is None
    assert trial.begun == [made.id]
    assert deployments.settle("dep_unknown") is None


def test_a_trial_that_fails_changes_nothing_of_what_is_in_service(
    assistant: Assistant, admin: Principal, trial: Trial
) -> None:
    trial.verdict = Verdict.PASSED
    first = deployed(admin, assistant, "One.", "staging")
    trial.verdict = Verdict.PENDING
    second = deployed(admin, assistant, "Two.", "staging")
    trial.verdict = Verdict.FAILED
    deployments.settle(second.id)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status, second.ended_by_user) == (Status.ACTIVE, Status.FAILED, None)
    assert second.reason == "A trial: As the test says."
    assert instructions_in(assistant, "staging") == "One."
    event = AuditEvent.objects.get(action="deployment.failed")
    assert (event.object_id, event.user_id, event.details["environment"]) == (second.id, None, "staging")


def test_a_trial_that_cannot_even_begin_is_told_at_once(assistant: Assistant, admin: Principal, trial: Trial) -> None:
    trial.begin = lambda deployment: deployments.get_deployment(principal=admin, deployment_id="?")  # type: ignore
    refusal = refused(lambda: deployments.deploy(principal=admin, assistant_id=assistant.id, environment="staging"))
    assert refusal.code == "not_ready"
    assert "A trial: No deployment found with id '?'." in refusal.message
    assert not Deployment.objects.exists()


def test_what_has_failed_at_a_look_is_not_tried(
    assistant: Assistant, admin: Principal, trial: Trial, served: SimpleNamespace
) -> None:
    served.ready = False
    refused(lambda: deployments.deploy(principal=admin, assistant_id=assistant.id, environment="staging"))
    assert trial.begun == []


def test_promotion_goes_from_one_environment_to_the_next(assistant: Assistant, admin: Principal, trial: Trial) -> None:
    trial.verdict = Verdict.PASSED
    made = deployments.deploy(principal=admin, assistant_id=assistant.id, environment="development")
    change(admin, assistant, "Not of this.")
    for environment, following in (
        ("development", "testing"), ("testing", "staging"), ("staging", "production"),
    ):  # fmt: skip
        promoted = deployments.promote(principal=admin, assistant_id=assistant.id, environment=environment)
        assert (promoted.environment, promoted.promoted_from) == (following, made.id)
        assert promoted.version_id == made.version_id
        made = promoted
    assert instructions_in(assistant, "production") == "Be brief."
    last = refused(lambda: deployments.promote(principal=admin, assistant_id=assistant.id, environment="production"))
    assert last.code == "nothing_to_promote"


def test_what_is_still_being_tried_in_staging_does_not_get_to_production(
    assistant: Assistant, admin: Principal, trial: Trial
) -> None:
    deployments.deploy(principal=admin, assistant_id=assistant.id, environment="staging")
    refusal = refused(lambda: deployments.promote(principal=admin, assistant_id=assistant.id, environment="staging"))
    assert refusal.code == "nothing_to_promote"
    assert not Deployment.objects.filter(environment="production").exists()


def test_while_one_is_tried_no_other_is_begun(assistant: Assistant, admin: Principal, trial: Trial) -> None:
    first = deployed(admin, assistant, "One.", "staging")
    refusal = refused(lambda: deployed(admin, assistant, "Two.", "staging"))
    assert (refusal.status, refusal.code) == (409, "deployment_conflict")
    assert first.id in refusal.message
    deployed(admin, assistant, "Two.", "testing")


def test_who_expects_something_else_is_told(assistant: Assistant, analyst: Principal) -> None:
    first = deployed(analyst, assistant, "One.", expected_deployment=None)
    for expected in (None, "dep_other"):
        refusal = refused(lambda: deployed(analyst, assistant, "Two.", expected_deployment=expected))  # noqa: B023
        assert (refusal.status, refusal.code) == (409, "deployment_conflict")
    assert deployed(analyst, assistant, "Two.", expected_deployment=first.id).status == Status.ACTIVE


def test_an_inactive_assistant_is_not_deployed_until_it_answers_again(assistant: Assistant, analyst: Principal) -> None:
    Assistant.objects.update(status="inactive")
    error = refused(partial(deployed, analyst, assistant, "One."))
    assert (error.status, error.code, error.param) == (400, "assistant_inactive", "assistant_id")
    assert (
        f"Make it active again: on its page in the admin, or by its status with PUT /api/v1/assistants/{assistant.id}."
        in (error.message)
    )
    assert not Deployment.objects.exists()
    Assistant.objects.update(status="active")
    assert deployed(analyst, assistant, "One.").status == Status.ACTIVE


def test_who_asked_for_the_next_one_has_ended_the_one_before(
    assistant: Assistant, admin: Principal, trial: Trial
) -> None:
    trial.verdict = Verdict.PASSED
    first = deployed(admin, assistant, "One.", "staging")
    trial.verdict = Verdict.PENDING
    second = deployed(admin, assistant, "Two.", "staging")
    trial.verdict = Verdict.PASSED
    deployments.settle(second.id)  # by a worker
    first.refresh_from_db()
    assert (first.status, first.reason) == (Status.SUPERSEDED, "Version 2 took its place.")
    assert (first.ended_by_user, first.ended_by_key) == (admin.user_id, None)


def test_an_archived_assistant_is_not_deployed(assistant: Assistant, analyst: Principal) -> None:
    Assistant.objects.update(status="archived")
    refusal = refused(
        lambda: deployments.deploy(principal=analyst, assistant_id=assistant.id, environment="development")
    )
    assert refusal.code == "assistant_archived"


EVERYWHERE = ["development", "testing", "staging", "production"]


@pytest.mark.parametrize(
    ("role", "places"), [("viewer", []), ("analyst", EVERYWHERE[:2]), ("admin", EVERYWHERE), ("owner", EVERYWHERE)]
)
def test_who_may_deploy_where(
    role: str, places: list[str], assistant: Assistant, project: Project, owner: Principal, trial: Trial
) -> None:
    trial.verdict = Verdict.PASSED
    change(owner, assistant, "Published by somebody who may.")
    services.versions.publish(principal=owner, assistant_id=assistant.id)
    principal = acting(project, role)
    for environment in EVERYWHERE:
        ask = partial(deployments.deploy, principal=principal, assistant_id=assistant.id, environment=environment)
        if environment in places:
            assert ask().status == Status.ACTIVE
        else:
            assert refused(ask).status == 403


def test_another_project_finds_nothing(assistant: Assistant, analyst: Principal, charlies_project: Project) -> None:
    made = deployed(analyst, assistant, "One.")
    stranger = acting(charlies_project, "admin")
    for call in (
        lambda: deployments.deploy(principal=stranger, assistant_id=assistant.id, environment="testing"),
        lambda: deployments.promote(principal=stranger, assistant_id=assistant.id, environment="development"),
        lambda: deployments.roll_back(principal=stranger, assistant_id=assistant.id, environment="development"),
        lambda: deployments.validate(principal=stranger, assistant_id=assistant.id, environment="testing"),
        lambda: deployments.set_status(principal=stranger, deployment_id=made.id, status="retired"),
        lambda: deployments.scale(principal=stranger, assistant_id=assistant.id, environment="testing"),
    ):
        assert refused(call).status == 404


def test_validating_tells_without_beginning(assistant: Assistant, analyst: Principal, trial: Trial) -> None:
    validate = partial(deployments.validate, principal=analyst, assistant_id=assistant.id, environment="production")
    version, findings = validate()
    assert (version.number, findings[-1]["verdict"]) == (1, "pending")
    assert not AssistantVersion.objects.exists()
    made = deployed(analyst, assistant, "One.")
    version, findings = validate()
    assert version == made.version
    assert [finding["verdict"] for finding in findings] == ["passed"] * 4 + ["pending"]
    change(analyst, assistant, "Two.")
    assert (validate()[0].number, validate(version="1")[0]) == (2, made.version)
    assert refused(lambda: validate(version="2")).status == 404
    assert trial.begun == []
    assert Deployment.objects.count() == AssistantVersion.objects.count() == 1


def test_what_a_constraint_refuses_is_a_conflict(
    assistant: Assistant, analyst: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the lock of the assistant's row there is the table itself."""
    first = deployed(analyst, assistant, "One.")
    monkeypatch.setattr("assistants.deployments.activation.active_in", lambda *_: None)
    refusal = refused(lambda: deployed(analyst, assistant, "Two."))
    assert (refusal.status, refusal.code) == (409, "deployment_conflict")
    assert list(Deployment.objects.all()) == [first]


def test_the_draft_is_validated_by_the_checks_of_the_rooms_above_too(assistant: Assistant, analyst: Principal) -> None:
    """What has to be tried is pending for a version that no row has, and nothing is begun for it."""
    gate = EvaluationSet.objects.create(project_id=assistant.project_id, name="Gate", gates={"production": 1.0})
    EvaluationCase.objects.create(set=gate, position=1, messages=[{"role": "user", "content": "Hello?"}])
    version, findings = deployments.validate(principal=analyst, assistant_id=assistant.id, environment="production")
    found = {finding["name"]: finding["verdict"] for finding in findings}
    assert (found["smoke_conversation"], found["evaluation"]) == ("pending", "pending")
    assert not Run.objects.exists()
    assert not AssistantVersion.objects.filter(pk=version.pk).exists()
