"""Which version, deployment and prompts made a run: told by the API to who may see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.models import Assistant, AssistantVersion, Deployment
from assistants.prompts import services as prompts
from assistants.services import links, versions
from runs.models import Run
from runs.services import origins
from sovereign.accounts import credentials
from sovereign.accounts import services as accounts
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES, RUNS_READ
from tests.runs.support import Model
from threads import services as threads

pytestmark = pytest.mark.django_db


@pytest.fixture
def deployment(principal: Principal, assistant: Assistant, model: Model) -> Deployment:
    """A version with a prompt, in service in production."""
    prompt = prompts.create_prompt(
        principal=credentials.principal_of_person(User.objects.get(username="alice").pk), name="Tone", template="Kind."
    )
    links.link_prompt(principal=_whole(principal), assistant_id=assistant.id, prompt_id=prompt.id)
    version = versions.publish(principal=principal, assistant_id=assistant.id)
    return Deployment.objects.create(
        project_id=assistant.project_id, assistant=assistant, version=version, environment="production", status="active"
    )


def _whole(principal: Principal) -> Principal:
    return Principal(project_id=principal.project_id, key_id=principal.key_id, scopes=ALL_SCOPES)


@pytest.fixture
def website(client_of: Callable[[str], APIClient], project: Project) -> APIClient:
    """With a key that is bound to production."""
    return client_of(accounts.create_api_key(project=project, environment="production")[1])


def ask(client: APIClient, assistant: Assistant) -> str:
    body = {"assistant_id": assistant.id, "thread": {"messages": [{"role": "user", "content": "Hello?"}]}}
    return str(client.post("/v1/threads/runs", body, format="json").json()["id"])


def told(client: APIClient, run_id: str) -> Any:
    answer = client.get(f"/api/v1/runs/{run_id}")
    assert answer.status_code == 200, answer.json()
    return answer.json()


def test_a_run_tells_its_version_deployment_and_prompts_with_reasons(
    website: APIClient, assistant: Assistant, deployment: Deployment
) -> None:
    run_id = ask(website, assistant)
    origin = told(website, run_id)
    assert (origin["id"], origin["object"], origin["status"]) == (run_id, "run.origin", "queued")
    assert (origin["assistant_id"], origin["environment"]) == (assistant.id, "production")
    assert origin["version"] == {"id": deployment.version_id, "number": 1}
    assert origin["deployment"] == {"id": deployment.id, "status": "active"}
    [used] = origin["prompts"]
    assert (used["name"], used["number"], used["kind"]) == ("Tone", 1, "primary")
    assert used["reason"] == "it has no conditions"
    assert origin["feedback"] == []


def test_a_run_of_the_draft_has_no_version(api: APIClient, assistant: Assistant, model: Model) -> None:
    origin = told(api, ask(api, assistant))
    assert [origin[name] for name in ("version", "deployment", "environment", "prompts")] == [None, None, None, []]


def test_feedback_is_told(api: APIClient, begin: Callable[..., Run], model: Model) -> None:
    run = begin()
    Run.objects.filter(pk=run.pk).update(status="completed")
    said = api.post(f"/api/v1/runs/{run.id}/feedback", {"rating": "down", "comment": "No."}, format="json").json()
    assert told(api, run.id)["feedback"] == [said]


def test_what_was_deleted_since_is_still_named(
    website: APIClient, assistant: Assistant, deployment: Deployment
) -> None:
    run_id = ask(website, assistant)
    Assistant.objects.filter(pk=assistant.pk).delete()
    origin = told(website, run_id)
    assert origin["version"] == {"id": deployment.version_id, "number": None}
    assert origin["deployment"] == {"id": deployment.id, "status": None}


def test_of_another_tenant_and_without_the_scope_nothing_is_told(
    api: APIClient, outsider: APIClient, client_of: Callable[[str], APIClient], project: Project,
    begin: Callable[..., Run], model: Model,
) -> None:  # fmt: skip
    run = begin()
    for run_id in (run.id, "run_none"):
        refused = outsider.get(f"/api/v1/runs/{run_id}")
        assert (refused.status_code, refused.json()["error"]["message"]) == (404, f"No run found with id '{run_id}'.")
    for scopes, status in (([RUNS_READ], 200), (["threads:read"], 403)):
        client = client_of(accounts.create_api_key(project=project, scopes=scopes)[1])
        assert client.get(f"/api/v1/runs/{run.id}").status_code == status


def test_another_members_chat_is_read_by_who_may_and_that_is_recorded(
    api: APIClient, client_of: Callable[[str], APIClient], begin: Callable[..., Run], model: Model, alice: User,
    project: Project,
) -> None:  # fmt: skip
    run = begin()
    mine = threads.create_thread(principal=credentials.principal_of_person(alice.pk))
    Run.objects.filter(pk=run.pk).update(thread=mine)
    assert api.get(f"/api/v1/runs/{run.id}").status_code == 404
    auditor = client_of(accounts.create_api_key(project=project, scopes=sorted(ALL_SCOPES))[1])
    before = AuditEvent.objects.filter(object_id=mine.id).count()
    assert told(auditor, run.id)["thread_id"] == mine.id
    assert AuditEvent.objects.filter(object_id=mine.id).count() == before + 1


def test_it_is_said_in_words(website: APIClient, api: APIClient, assistant: Assistant, deployment: Deployment) -> None:
    runs = [Run.objects.get(pk=ask(client, assistant)) for client in (website, api)]
    assert [*origins.in_words(runs).values()] == ["Version 1, Production", "Draft"]
    runs[1].environment = "production"
    assert origins.in_words(runs)[runs[1].id] == "Draft: nothing was deployed in Production"
    AssistantVersion.objects.all().delete()
    assert origins.in_words(runs)[runs[0].id] == "A version that was deleted, Production"
