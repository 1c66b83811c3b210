"""Whose runs are answered by what: people of the chat get what is in production, and who deploys may choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from assistants.models import Assistant, AssistantVersion, Deployment
from assistants.services import update_assistant, versions
from runs.models import Run
from sovereign.accounts import services
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_DEPLOY, ROLE_SCOPES, Role
from tests.web.test_chat import page_data

pytestmark = pytest.mark.django_db

HEADER = "X-Sovereign-Environment"


@pytest.fixture
def vera(project: Project) -> User:
    """A viewer of Alice's project."""
    user = User.objects.create_user("vera")
    services.add_member(project=project, user=user, role=Role.VIEWER)
    return user


@pytest.fixture
def version(principal: Principal, assistant: Assistant) -> AssistantVersion:
    """In service in production; the draft has gone on since."""
    made = versions.publish(principal=principal, assistant_id=assistant.id)
    Deployment.objects.create(
        project_id=assistant.project_id, assistant=assistant, version=made, environment="production", status="active"
    )
    update_assistant(principal=principal, assistant_id=assistant.id, instructions="Newer.")
    return made


@pytest.fixture
def ask(assistant: Assistant) -> Callable[..., Any]:
    """``ask(user, chosen)``: begin a run as the chat page of that person does."""

    def make(user: User, chosen: str | None = None, thread_id: str | None = None) -> Any:
        client = APIClient()
        client.force_login(user)
        path = f"/v1/threads/{thread_id}/runs" if thread_id else "/v1/threads/runs"
        message = {"role": "user", "content": "Hello?"}
        fields = {"additional_messages": [message]} if thread_id else {"thread": {"messages": [message]}}
        headers = {HEADER: chosen} if chosen is not None else {}
        return client.post(path, {"assistant_id": assistant.id, **fields}, format="json", headers=headers)

    return make


def origin(answer: Any) -> tuple[str | None, str | None]:
    """The environment and the version of the run that was begun."""
    assert answer.status_code == 200, answer.json()
    run = Run.objects.get(pk=answer.json()["id"])
    return run.environment, run.version_id


@pytest.mark.parametrize("who", ["vera", "bob", "alice"])
def test_the_chat_answers_with_what_is_in_production(
    who: str, ask: Callable[..., Any], version: AssistantVersion, request: pytest.FixtureRequest
) -> None:
    assert origin(ask(request.getfixturevalue(who), "production")) == ("production", version.id)


def test_who_may_not_choose_gets_production_always(
    ask: Callable[..., Any], version: AssistantVersion, vera: User
) -> None:
    assert origin(ask(vera)) == ("production", version.id)
    for chosen in ("draft", "staging"):
        refused = ask(vera, chosen)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_permissions")
        assert "assistants:deploy" in refused.json()["error"]["message"]


def test_who_deploys_may_choose(ask: Callable[..., Any], version: AssistantVersion, bob: User) -> None:
    assert origin(ask(bob, "draft")) == (None, None)
    assert origin(ask(bob)) == (None, None), "without the chat, a person writes and runs the draft"
    refused = ask(bob, "staging")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "assistant_not_deployed")
    assert "is deployed in staging" in refused.json()["error"]["message"]
    assert not Run.objects.filter(environment="staging").exists()
    Deployment.objects.update(environment="staging")
    assert origin(ask(bob, "staging")) == ("staging", version.id)
    wrong = ask(bob, "nowhere")
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "environment")
    assert "production, staging, testing, development, draft" in wrong.json()["error"]["message"]


def test_where_nothing_is_deployed_the_draft_answers(ask: Callable[..., Any], assistant: Assistant, vera: User) -> None:
    assert origin(ask(vera, "production")) == ("production", None)


@pytest.mark.parametrize("status", ["inactive", "archived"])
def test_who_is_at_rest_is_not_asked(
    status: str, ask: Callable[..., Any], assistant: Assistant, vera: User, visit: Callable[[User], Client]
) -> None:
    Assistant.objects.filter(pk=assistant.pk).update(status=status)
    refused = ask(vera, "production")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "assistant_inactive")
    offered = page_data(visit(vera).get("/chat/"))["assistants"]
    assert [(entry["is_at_rest"], entry["status"]) for entry in offered] == [(True, status)]


def test_a_key_has_no_choice(
    api: APIClient, client_of: Callable[[str], APIClient], project: Project, assistant: Assistant,
    version: AssistantVersion,
) -> None:  # fmt: skip
    body = {"assistant_id": assistant.id, "thread": {"messages": [{"role": "user", "content": "Hello?"}]}}
    bound = client_of(services.create_api_key(project=project, environment="production")[1])
    for client, expected in ((api, (None, None)), (bound, ("production", version.id))):
        answer = client.post("/v1/threads/runs", body, format="json", headers={HEADER: "staging"})
        assert origin(answer) == expected


# ------------------------------------------------------------------------------------------------ the page


def chosen(client: Client, path: str) -> str | None:
    """The environment that the page begins with; ``None`` where it offers none."""
    offered = client.get(path).context["environments"]
    return next((choice["name"] for choice in offered if choice["is_chosen"]), None)


def test_the_page_offers_environments_to_who_deploys(
    vera: User, bob: User, assistant: Assistant, visit: Callable[[User], Client]
) -> None:
    assert chosen(visit(vera), "/chat/?environment=draft") is None
    assert "Which version answers" not in visit(vera).get("/chat/").content.decode()
    client = visit(bob)
    assert [choice["title"] for choice in client.get("/chat/").context["environments"]] == [
        "Production", "Staging", "Testing", "Development", "Draft",
    ]  # fmt: skip
    assert chosen(client, "/chat/") == chosen(client, "/chat/?environment=nowhere") == "production"
    assert chosen(client, "/chat/?environment=testing") == "testing"


def test_the_page_says_to_who_chooses_what_is_in_service_where(
    vera: User, bob: User, version: AssistantVersion, visit: Callable[[User], Client]
) -> None:
    Deployment.objects.create(
        project_id=version.project_id, assistant_id=version.assistant_id, version=version, environment="testing",
        status="retired",
    )  # fmt: skip
    assert [entry["deployed"] for entry in page_data(visit(bob).get("/chat/"))["assistants"]] == [{"production": 1}]
    assert "deployed" not in page_data(visit(vera).get("/chat/"))["assistants"][0]


@pytest.mark.parametrize("environment", ["draft", "staging", "production"])
def test_a_thread_goes_on_with_what_answered_last(
    environment: str, ask: Callable[..., Any], bob: User, visit: Callable[[User], Client], version: AssistantVersion
) -> None:
    if environment == "staging":
        Deployment.objects.update(environment="staging")
    thread_id = ask(bob, environment).json()["thread_id"]
    assert chosen(visit(bob), f"/chat/{thread_id}") == environment
    assert chosen(visit(bob), f"/chat/{thread_id}?environment=testing") == "testing"


def test_an_assistants_page_leads_to_its_draft(
    assistant: Assistant, version: AssistantVersion, bob: User, charlie: User, visit: Callable[[User], Client]
) -> None:
    page, button = (
        reverse(f"admin:assistants_assistant_{view}", args=[quote(assistant.pk)]) for view in ("change", "try_draft")
    )
    client = visit(bob)
    assert button in client.get(page).content.decode()
    chat = client.get(button)["Location"]
    assert chat == f"/chat/?assistant={assistant.pk}&environment=draft"
    assert chosen(client, chat) == "draft"
    assert visit(charlie).get(button).status_code == 403


def test_who_may_not_choose_is_not_led_there(
    assistant: Assistant, bob: User, visit: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Today all who get into the admin may deploy: the button asks for the right itself, and not for the page."""
    monkeypatch.setitem(ROLE_SCOPES, Role.ANALYST.value, ROLE_SCOPES[Role.ANALYST.value] - {ASSISTANTS_DEPLOY})
    page, button = (
        reverse(f"admin:assistants_assistant_{view}", args=[quote(assistant.pk)]) for view in ("change", "try_draft")
    )
    client = visit(bob)
    shown = client.get(page)
    assert (shown.status_code, button in shown.content.decode()) == (200, False)
    assert client.get(button).status_code == 403
