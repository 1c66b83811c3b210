"""The pages of deployments: what they show, and what their buttons do."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from assistants import deployments
from assistants.deployments import measures
from assistants.deployments.checks import Verdict
from assistants.deployments.measures import Measure
from assistants.models import Assistant, AssistantVersion, Deployment, EnvironmentPolicy, LifeStatus, Scale
from assistants.services import versions
from runs.lifecycle.comparing import compared
from runs.models import Feedback, Run
from runs.services.creation import create_thread_and_run
from sovereign.accounts.models import AuditEvent, User
from sovereign.accounts.principals import Principal
from tests.deployments.pages import (
    InService,
    act,
    adas,
    bobs,
    client,
    decide,
    in_service,
    page,
    problem,
    said,
    section,
    shown,
    status_of,
    visit,
)
from tests.deployments.support import Trial, change
from tests.web.conftest import EVIL, EVIL_MARKS

__all__ = ["adas", "bobs", "client", "in_service", "visit"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("trial")]

Status = Deployment.Status


def test_the_page_of_an_assistant_leads_to_its_deployments(client: Client, assistant: Assistant) -> None:
    own = reverse("admin:assistants_assistant_change", args=[quote(assistant.pk)])
    assert f'href="{page(assistant)}"' in shown(client, own)
    assert "Nothing of it was deployed yet." in shown(client, page(assistant))


def test_the_draft_is_deployed_with_notes(bobs: Client, bob: User, assistant: Assistant) -> None:
    assert "Deploy to Development" in shown(bobs, act(assistant, "deploy"))
    assert AssistantVersion.objects.count() == 0  # looking at it changes nothing
    answer = bobs.post(act(assistant, "deploy"), {"notes": " To see ", "expected": ""})
    assert said(answer) == "Version 1 is in service in Development."
    made = Deployment.objects.get()
    assert (made.status, made.notes, made.asked_by_user, made.version.number) == ("active", "To see", bob.pk, 1)
    html = shown(bobs, page(assistant))
    assert "in service since" in section(html, "development")
    assert "bob" in section(html, "history")
    assert "Nothing is in service here." in section(html, "testing")


def test_a_version_is_deployed_for_a_part_of_the_threads(
    client: Client, assistant: Assistant, owner: Principal, in_service: InService, trial: Trial
) -> None:
    stable = in_service("production", "The first")
    change(owner, assistant, "The second")
    second = versions.publish(principal=owner, assistant_id=assistant.pk)
    change(owner, assistant, "A draft that nobody wants")
    trial.verdict = Verdict.PASSED
    sent = {"version": "2", "percent": "12.5", "error_rate": "5", "minimum_runs": "7", "expected": stable.pk}
    answer = client.post(act(assistant, "deploy", "production"), sent)
    assert said(answer) == "Version 2 is in service for 12.5 % of the threads in Production."
    canary = Deployment.objects.get(status=Status.CANARY)
    assert (canary.version_id, float(canary.percent or 0)) == (second.pk, 12.5)
    told = {"error_rate": 0.05, "latency_ratio": 2.0, "thumbs_down_rate": 0.3, "minimum_runs": 7}
    assert canary.thresholds == told
    assert AssistantVersion.objects.count() == 2


def test_what_is_not_ready_says_what_to_do(client: Client, assistant: Assistant, served: SimpleNamespace) -> None:
    served.ready = False
    answer = client.post(act(assistant, "deploy"), {"notes": "", "expected": ""})
    assert "is not ready for development. The checks below say why" in problem(answer)
    html = answer.content.decode()
    assert '<span class="sv-outcome sv-danger">failed</span>' in html
    assert "No engine serves it." in html
    assert not Deployment.objects.exists()
    told = AuditEvent.objects.get(action="assistant.deploy_refused")
    assert (told.object_id, told.details["code"]) == (assistant.pk, "not_ready")


def test_a_version_is_checked_without_being_deployed(client: Client, assistant: Assistant) -> None:
    html = client.post(act(assistant, "deploy", "production"), {"check": "1", "expected": ""}).content.decode()
    assert "A trial" in html
    assert "being tried" in html
    assert (Deployment.objects.count(), AssistantVersion.objects.count()) == (0, 0)


def test_numbers_that_make_no_sense_are_told_at_their_fields(client: Client, assistant: Assistant) -> None:
    first = client.post(act(assistant, "deploy"), {"percent": "100", "expected": ""})
    assert "99.99" in problem(first)
    second = client.post(act(assistant, "deploy"), {"percent": "10", "expected": ""})
    assert "Nothing is in service in development beside which" in problem(second)
    past = client.post(act(assistant, "deploy"), {"scheduled_at": "2020-01-01T10:00", "expected": ""})
    assert "expected a time in the future" in problem(past)
    alone = client.post(act(assistant, "deploy"), {"error_rate": "5", "expected": ""})
    assert "Only a canary has thresholds" in problem(alone)
    other = client.post(act(assistant, "deploy"), {"version": "99", "expected": ""})
    assert "99" in problem(other)
    assert not Deployment.objects.exists()


def test_who_comes_second_is_told(client: Client, assistant: Assistant, in_service: InService) -> None:
    in_service("development", "The first")
    in_service("development", "The second")
    answer = client.post(act(assistant, "rollback"), {"expected": "dep_old", "reason": ""})
    assert "Somebody else has deployed meanwhile" in problem(answer)
    assert AuditEvent.objects.get(action="assistant.roll_back_refused").details["code"] == "deployment_conflict"


def test_it_is_scheduled_and_called_off(client: Client, assistant: Assistant) -> None:
    soon = timezone.now() + timedelta(days=2)
    answer = client.post(act(assistant, "deploy"), {"scheduled_at": f"{soon:%Y-%m-%dT%H:%M}", "expected": ""})
    assert said(answer) == f"Version 1 comes to Development on {soon:%Y-%m-%d %H:%M} UTC."
    made = Deployment.objects.get()
    place = section(shown(client, page(assistant)), "development")
    assert f"not before {soon:%Y-%m-%d %H:%M}" in place
    assert decide(made, "cancelled") in place
    assert "Call off version 1 for Development" in shown(client, decide(made, "cancelled"))
    assert said(client.post(decide(made, "cancelled"), {"reason": "Too early"})).startswith("Version 1 does not come")
    made.refresh_from_db()
    assert (made.status, made.reason) == ("cancelled", "Too early")
    assert "Too early" in section(shown(client, page(assistant)), "history")


def test_it_is_promoted_and_its_checks_are_shown(
    client: Client, assistant: Assistant, in_service: InService, trial: Trial
) -> None:
    in_service("testing", "The first")
    assert "Promote version 1 from Testing to Staging" in shown(client, act(assistant, "promote", "testing"))
    answer = client.post(act(assistant, "promote", "testing"), {"notes": "On", "expected": ""})
    assert "Version 1 is being tried" in said(answer)
    made = Deployment.objects.get(environment="staging")
    place = section(shown(client, page(assistant)), "staging")
    assert "As the test says." in place
    assert "Look again" in place
    trial.verdict = Verdict.FAILED
    deployments.settle(made.pk)
    place = section(shown(client, page(assistant)), "staging")
    assert "was not ready" in place
    assert "Be better." in place
    own = reverse("admin:assistants_deployment_change", args=[quote(made.pk)])
    assert "Be better." in shown(client, own)
    assert client.get(act(assistant, "promote", "production")).status_code == 404


def test_it_is_rolled_back_and_retired(client: Client, assistant: Assistant, in_service: InService) -> None:
    first = in_service("development", "The first")
    place = section(shown(client, page(assistant)), "development")
    assert "There is nothing to roll back to" in place
    assert act(assistant, "rollback") not in place
    second = in_service("development", "The second")
    answer = client.post(act(assistant, "rollback"), {"reason": "It lies", "expected": second.pk})
    assert said(answer) == "Version 1 is in service in Development."
    assert (status_of(first), status_of(second)) == ("superseded", "rolled_back")
    now = Deployment.objects.get(status=Status.ACTIVE)
    assert "is not in service in Development any more" in said(client.post(decide(now, "retired"), {"reason": ""}))
    assert status_of(now) == "retired"


def test_a_canary_is_compared_shared_and_completed(
    client: Client, assistant: Assistant, in_service: InService, monkeypatch: pytest.MonkeyPatch
) -> None:
    stable = in_service("production", "The first")
    canary = in_service("production", "The second", percent=10)
    seen: list[tuple[str, str]] = []

    def read(one: Deployment, beside: Deployment) -> list[Measure]:
        seen.append((one.pk, beside.pk))
        return [Measure(title="Smiles", canary="3", beside="4", limit="at least 2")]

    monkeypatch.setattr(measures, "READERS", {"test": read})
    place = section(shown(client, page(assistant)), "production")
    assert seen == [(canary.pk, stable.pk)]
    assert '<th scope="row">Smiles</th><td>3</td><td>4</td><td>at least 2</td>' in place
    assert "10 % of the threads" in place
    assert said(client.post(decide(canary, "share"), {"percent": "50"})).startswith("Version 2 is in service for 50 %")
    assert "99.99" in problem(client.post(decide(canary, "share"), {"percent": "500"}))
    assert said(client.post(decide(canary, "active"))) == "Version 2 is in service in Production."
    assert (status_of(stable), status_of(canary)) == ("superseded", "active")


def test_a_canary_is_taken_back(client: Client, assistant: Assistant, in_service: InService) -> None:
    stable = in_service("production", "The first")
    canary = in_service("production", "The second", percent=10)
    client.post(act(assistant, "rollback", "production"), {"reason": "Rude", "expected": stable.pk})
    assert (status_of(stable), status_of(canary)) == ("active", "rolled_back")
    assert "Rude" in section(shown(client, page(assistant)), "production")


def test_how_runs_of_a_canary_go(owner: Principal, assistant: Assistant, in_service: InService) -> None:
    stable = in_service("production", "The first")
    canary = in_service("production", "The second", percent=10)
    message = {"role": "user", "content": "Hello"}
    for number in range(4):
        run = create_thread_and_run(principal=owner, assistant_id=assistant.pk, thread={"messages": [message]}).run
        begun = timezone.now()
        Run.objects.filter(pk=run.pk).update(
            deployment_id=canary.pk if number < 3 else stable.pk,
            status="failed" if number == 0 else "completed",
            started_at=begun,
            completed_at=begun + timedelta(seconds=number),
            last_error={"code": "server_error", "message": "No"} if number == 0 else None,
        )
        if number == 1:
            Feedback.objects.create(
                project_id=run.project_id, run=run, user_id=owner.user_id, rating=Feedback.Rating.DOWN
            )
    lines = {measure.title: (measure.canary, measure.beside) for measure in compared(canary, stable)}
    assert lines == {
        "Runs that ended": ("3", "1"),
        "Failed": ("1 of 3 (33 %)", "0 of 1 (0 %)"),
        "95 % of the answers took up to": ("2.0 s", "3.0 s"),
        "Thumbs down": ("1 of 1 (100 %)", "–"),
    }
    assert measures.measures(canary, stable)[0].limit == "it is judged from 20 on"  # the runs' room tells it


def test_somebody_else_approves(
    client: Client, adas: Client, assistant: Assistant, admin: Principal, trial: Trial
) -> None:
    assert said(client.post(act(assistant, "policy", "production"), {"four_eyes": "on"})).startswith("Deployments to")
    assert EnvironmentPolicy.objects.get().four_eyes
    answer = client.post(act(assistant, "deploy", "production"), {"expected": ""})
    assert "waits for somebody else" in said(answer)
    made = Deployment.objects.get()
    own = section(shown(client, page(assistant)), "production")
    assert "You asked for this deployment yourself" in own
    assert decide(made, "approved") not in own
    assert decide(made, "rejected") in own
    assert "yourself" in problem(client.post(decide(made, "approved"), {"reason": ""}))
    told = AuditEvent.objects.get(action="deployment.set_status_refused")
    assert (told.object_id, told.details["code"]) == (made.pk, "four_eyes")
    trial.verdict = Verdict.PASSED
    assert decide(made, "approved") in shown(adas, page(assistant))
    assert said(adas.post(decide(made, "approved"), {"reason": "Seen"})) == "Version 1 is in service in Production."
    made.refresh_from_db()
    assert (made.status, made.approved_by_user) == ("active", admin.user_id)
    assert "ada" in section(shown(client, page(assistant)), "history")


def test_what_is_rejected_does_not_come(client: Client, adas: Client, assistant: Assistant) -> None:
    client.post(act(assistant, "policy", "staging"), {"four_eyes": "on"})
    client.post(act(assistant, "deploy", "staging"), {"expected": ""})
    made = Deployment.objects.get()
    assert "does not come to Staging" in said(adas.post(decide(made, "rejected"), {"reason": "No"}))
    assert adas.get(decide(made, "rejected"))["Location"] == page(assistant)  # it has come further
    assert "cannot be rejected" in problem(adas.post(decide(made, "rejected"), {"reason": "No"}))


def test_it_is_scaled(adas: Client, assistant: Assistant) -> None:
    sent = {"worker_slots": "2", "priority": "-5", "tokens_per_day": ""}
    assert "What it may have in Production is set." in said(adas.post(act(assistant, "scale", "production"), sent))
    row = Scale.objects.get()
    assert (row.environment, row.worker_slots, row.priority, row.tokens_per_day) == ("production", 2, -5, None)
    assert "2 runs at once, priority -5, any number of tokens." in section(shown(adas, page(assistant)), "production")
    form = shown(adas, act(assistant, "scale", "production"))
    assert re.search(r'name="worker_slots"[^>]*value="2"|value="2"[^>]*name="worker_slots"', form)
    assert "101" not in problem(adas.post(act(assistant, "scale", "production"), {**sent, "priority": "101"}))
    assert Scale.objects.get().priority == -5


def test_what_is_archived_is_not_deployed(client: Client, assistant: Assistant) -> None:
    Assistant.objects.update(status=LifeStatus.ARCHIVED)
    assert "The assistant is archived" in section(shown(client, page(assistant)), "development")
    assert "archived" in problem(client.post(act(assistant, "deploy"), {"expected": ""}))
    assert not Deployment.objects.exists()


def test_what_is_inactive_is_made_active_first(client: Client, assistant: Assistant, in_service: InService) -> None:
    in_service("development", "The first")
    Assistant.objects.update(status=LifeStatus.INACTIVE)
    place = section(shown(client, page(assistant)), "development")
    assert "The assistant is inactive and answers nobody" in place
    assert act(assistant, "deploy") not in place
    assert act(assistant, "scale") in place
    assert "inactive" in problem(client.post(act(assistant, "promote"), {"expected": ""}))


def test_a_canary_that_four_eyes_let_in_is_not_completed_by_who_asked(
    client: Client, adas: Client, assistant: Assistant, in_service: InService
) -> None:
    in_service("production", "The first")
    canary = in_service("production", "The second", percent=10)
    EnvironmentPolicy.objects.create(project=assistant.project, environment="production", four_eyes=True)
    assert decide(canary, "active") not in shown(client, page(assistant))
    assert "yourself" in problem(client.post(decide(canary, "active")))
    assert "yourself" in problem(client.post(decide(canary, "share"), {"percent": "50"}))
    assert said(client.post(decide(canary, "share"), {"percent": "5"})).startswith("Version 2 is in service for 5 %")
    assert decide(canary, "active") in shown(adas, page(assistant))
    assert said(adas.post(decide(canary, "active"))) == "Version 2 is in service in Production."


def test_the_list_has_all_of_them_with_filters(
    client: Client, assistant: Assistant, owner: Principal, in_service: InService
) -> None:
    made = in_service("development", "The first")
    other = in_service("testing", "The second")
    listed = reverse("admin:assistants_deployment_changelist")
    index = shown(client, reverse("admin:index"))
    assert f'href="{listed}"' in index
    own = {one: reverse("admin:assistants_deployment_change", args=[quote(one.pk)]) for one in (made, other)}
    assert all(address in shown(client, listed) for address in own.values())
    for query in ({"environment__exact": "development"}, {"q": made.pk}):
        html = shown(client, listed, **query)
        assert own[made] in html
        assert own[other] not in html
    assert own[made] not in shown(client, listed, status="failed")
    assert own[made] in shown(client, listed, status="active", assistant=assistant.pk)
    assert own[made] not in shown(client, listed, assistant="asst_other")
    assert "Delete" not in shown(client, own[made])
    assert client.post(own[made], {"notes": "x"}).status_code == 403


def test_an_assistant_goes_with_its_deployments(client: Client, assistant: Assistant, in_service: InService) -> None:
    in_service("development", "The first")
    address = reverse("admin:assistants_assistant_delete", args=[quote(assistant.pk)])
    assert "lacks permission" not in shown(client, address)
    assert said(client.post(address, {"post": "yes"}))
    assert not Deployment.objects.exists()


def test_texts_of_deployments_are_escaped(client: Client, assistant: Assistant, in_service: InService) -> None:
    in_service("development", "The first", notes=EVIL)
    made = in_service("development", "The second")
    Assistant.objects.update(name=EVIL[:200])
    client.post(act(assistant, "rollback"), {"reason": EVIL, "expected": made.pk})
    listed = reverse("admin:assistants_deployment_changelist")
    for address in (page(assistant), act(assistant, "deploy"), listed, f"{listed}{quote(made.pk)}/change/"):
        assert not any(mark in shown(client, address) for mark in EVIL_MARKS)
