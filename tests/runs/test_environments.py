"""Runs of a key that is bound to an environment: what is deployed there, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.models import Assistant, AssistantVersion, Deployment
from assistants.services import versions
from runs.models import Run
from runs.services.environments import acting_in
from sovereign.accounts import services as accounts
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES
from sovereign.core.errors import ApiError
from tests.runs.support import Model

pytestmark = pytest.mark.django_db


@pytest.fixture
def bound(client_of: Callable[[str], APIClient], project: Project) -> APIClient:
    """A client whose key is bound to production."""
    return client_of(accounts.create_api_key(project=project, environment="production")[1])


@pytest.fixture
def version(principal: Principal, assistant: Assistant, model: Model) -> AssistantVersion:
    """In service in production; the draft has gone on since."""
    made = versions.publish(principal=principal, assistant_id=assistant.id)
    Deployment.objects.create(
        project_id=assistant.project_id, assistant=assistant, version=made, environment="production", status="active"
    )
    assistants.update_assistant(principal=principal, assistant_id=assistant.id, instructions="Be long.")
    return made


def ask(client: APIClient, assistant: Assistant, **overrides: Any) -> Any:
    body = {"assistant_id": assistant.id, "thread": {"messages": [{"role": "user", "content": "Hello?"}]}}
    return client.post("/v1/threads/runs", {**body, **overrides}, format="json")


def test_a_bound_key_runs_what_is_deployed_and_another_what_was_written_last(
    bound: APIClient, api: APIClient, assistant: Assistant, version: AssistantVersion
) -> None:
    told = {client: ask(client, assistant).json() for client in (bound, api)}
    assert [told[client]["instructions"] for client in (bound, api)] == ["Be brief.", "Be long."]
    runs = [Run.objects.get(pk=told[client]["id"]) for client in (bound, api)]
    assert [(run.version_id, run.environment) for run in runs] == [(version.id, "production"), (None, None)]
    assert runs[0].deployment_id == Deployment.objects.get().id


def test_a_bound_key_reads_and_writes_the_draft(
    bound: APIClient, assistant: Assistant, version: AssistantVersion
) -> None:
    address = f"/v1/assistants/{assistant.id}"
    assert bound.get(address).json()["instructions"] == "Be long."
    assert bound.post(address, {"instructions": "Be quick."}, format="json").json()["instructions"] == "Be quick."
    assert ask(bound, assistant).json()["instructions"] == "Be brief."


def test_a_request_overrides_what_is_deployed(
    bound: APIClient, assistant: Assistant, version: AssistantVersion
) -> None:
    told = ask(bound, assistant, instructions="Be loud.").json()
    assert told["instructions"] == "Be loud."
    assert Run.objects.get(pk=told["id"]).version_id == version.id


@pytest.mark.parametrize("where", ["nowhere", "staging"])
def test_where_nothing_is_deployed_a_bound_key_gets_no_run(
    where: str, bound: APIClient, assistant: Assistant, version: AssistantVersion
) -> None:
    Deployment.objects.update(status="retired") if where == "nowhere" else Deployment.objects.update(environment=where)
    answer = ask(bound, assistant)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "assistant_not_deployed", "assistant_id")
    assert "deployed in production" in error["message"]
    assert not Run.objects.exists()


@pytest.mark.parametrize("status", ["inactive", "archived"])
def test_an_assistant_at_rest_answers_no_bound_key_and_any_other(
    status: str, bound: APIClient, api: APIClient, assistant: Assistant, version: AssistantVersion
) -> None:
    Assistant.objects.update(status=status)
    refused = ask(bound, assistant)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "assistant_inactive")
    assert ask(api, assistant).status_code == 200


def test_a_key_stays_where_it_is_bound() -> None:
    for environment in (None, "staging"):
        key = Principal(project_id="proj_1", key_id="key_1", scopes=ALL_SCOPES, environment=environment)
        assert acting_in(key, "production") is key


def test_a_person_is_sent_where_they_choose(alice: User) -> None:
    person = Principal(project_id="proj_1", user_id=alice.pk, scopes=ALL_SCOPES)
    assert acting_in(person, "staging").environment == "staging"
    assert acting_in(person, "draft").environment is None
    with pytest.raises(ApiError, match=r"Invalid environment: 'x{64}'\."):
        acting_in(person, "x" * 1000)
