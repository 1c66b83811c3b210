"""Assistants in the admin: the API's rules, said at the field; saved through the same door."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from assistants.models import Assistant
from assistants.services import create_assistant
from inference.models import Engine
from inference.services import add_alias
from sovereign.accounts import services
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from tests.inference.helpers import ready_engine
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db

LIST = "/admin/assistants/assistant/"
CAPABILITIES = ["tools", "parallel_tool_calls", "vision"]
FUNCTION = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


def page(view: str, *args: str) -> str:
    return reverse(f"admin:assistants_assistant_{view}", args=args)


def form(project: Project, **changes: Any) -> dict[str, Any]:
    return {
        "name": "Guide", "description": "", "project": project.pk, "model": "fake", "instructions": "Be brief.",
        "tools": "[]", "temperature": "1.0", "top_p": "1.0", "reasoning_effort": "", "response_format": '"auto"',
        "metadata": "{}", "retrieval": "auto", "initial-tools": "[]", "type": "general", "status": "draft",
        "visibility": "project", "capabilities": CAPABILITIES, "initial-capabilities": CAPABILITIES, **changes,
    }  # fmt: skip


def states(answer: Any) -> dict[str, str]:
    """The models that the form offers, each with what is said of it."""
    return {name: offer.state for name, offer in answer.context["adminform"].form.fields["model"].widget.choices}


@pytest.fixture
def client(alice: User, project: Project, model: str, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


def test_an_assistant_is_made_with_the_form(client: Client, project: Project, alice: User) -> None:
    data = form(project, tools=json.dumps([FUNCTION]), metadata='{"team": "blue"}', temperature="0.5")
    assert client.post(page("add"), data).status_code == 302
    made = Assistant.objects.get()
    assert (made.project, made.name, made.temperature, made.metadata) == (project, "Guide", 0.5, {"team": "blue"})
    assert made.description is None  # as over the API: nothing, and not an empty text
    assert made.tools[0]["function"]["strict"] is False  # in the contract's normal form
    assert AuditEvent.objects.filter(action="assistant.created", user_id=alice.pk, object_id=made.pk).exists()


def test_only_what_was_changed_is_changed(client: Client, project: Project, assistant: Assistant) -> None:
    data = form(project, name="Renamed", description=assistant.description, instructions="")
    assert client.post(page("change", assistant.pk), data).status_code == 302
    assistant.refresh_from_db()
    assert (assistant.name, assistant.description, assistant.instructions) == ("Renamed", "Knows the way.", None)
    event = AuditEvent.objects.get(action="assistant.updated")
    assert event.details["fields"] == ["name"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("model", "no-such-model", "does not exist"),
        ("tools", "[{", "valid JSON"),
        ("tools", "{}", "expected an array"),
        ("tools", '[{"type": "rocket"}]', "Supported values are"),
        ("tools", '[{"type": "function", "function": {"name": "with space"}}]', "does not match pattern"),
        ("tools", json.dumps([{**FUNCTION, "function": {"name": "f", "parameters": {"type": "text"}}}]), "f: Invalid"),
        (
            "tools",
            json.dumps([{**FUNCTION, "function": {"name": "f", "parameters": {"type": "object", "properties": 1}}}]),
            "1 is not of type",
        ),
        ("temperature", "3", "above maximum"),
        ("top_p", "-1", "below minimum"),
        ("name", "x" * 257, "at most 256"),
        ("instructions", "x" * 256_001, "at most 256000"),
        ("metadata", '{"a": 1}', "expected a string"),
        ("metadata", "[]", "expected an object"),
        ("response_format", '"loud"', "Supported values are"),
        ("response_format", '{"type": "json_schema"}', "json_schema"),
    ],
)
def test_a_refusal_stands_at_its_field(field: str, value: str, words: str, client: Client, project: Project) -> None:
    answer = client.post(page("add"), form(project, **{field: value}))
    assert answer.status_code == 200
    errors = answer.context["adminform"].form.errors
    assert list(errors) == [field]
    assert words in str(errors[field])
    assert not Assistant.objects.exists()


def test_places_that_nothing_fills_in_are_told(client: Client, project: Project) -> None:
    data = form(project, instructions="Help {{ company }}, {{#list}}so{{/list}} {{ 7 }}.", personality="{{ company }}!")
    answer = client.post(page("add"), data)
    assert answer.status_code == 302
    told = [str(one) for one in get_messages(answer.wsgi_request) if one.level_tag == "warning"]
    assert [(one.partition(":")[0], one.rpartition(": ")[2]) for one in told] == [
        ("Instructions", "{{ company }}, {{ list }}"),
        ("Personality", "{{ company }}"),
    ]
    assert Assistant.objects.get().instructions.startswith("Help {{ company }}")


def test_a_function_that_was_there_is_in_nobodys_way(
    client: Client, project: Project, principal: Principal, model: str
) -> None:
    kept = [{"type": "function", "function": {"name": "f", "parameters": {"type": "text"}}}]
    made = create_assistant(principal=principal, model=model, name="Old", tools=kept)
    data = form(project, name="New", tools=json.dumps(kept), **{"initial-tools": json.dumps(kept)})
    assert client.post(page("change", made.pk), {**data, "instructions": ""}).status_code == 302
    made.refresh_from_db()
    assert (made.name, made.tools) == ("New", kept)


def test_what_could_not_be_read_is_given_back_as_it_was_typed(client: Client, project: Project) -> None:
    answer = client.post(page("add"), form(project, tools='[{"type": '))
    assert "[{&quot;type&quot;: </textarea>" in answer.content.decode()


def test_the_picker_says_which_models_run(
    client: Client, project: Project, model: str, engine: Callable[..., Engine]
) -> None:
    assert states(client.get(page("add"))) == {"fake": "not running now"}
    row = engine(state="ready")
    shown = client.get(page("add"))
    assert states(shown) == {"fake": "ready"}
    assert "2048 tokens" in shown.content.decode()
    from inference.models import RegisteredModel

    add_alias(alias="house", model=RegisteredModel.objects.get())
    row.delete()
    shown = client.get(page("add"))
    assert states(shown) == {"fake": "not running now", "house": "not running now"}
    assert "house → fake" in shown.content.decode()


def test_a_model_that_is_gone_stays_chosen_until_it_is_changed(
    client: Client, project: Project, assistant: Assistant
) -> None:
    Assistant.objects.update(model="gone")
    shown = client.get(page("change", assistant.pk)).content.decode()
    assert 'value="gone" checked' in shown
    assert "not known any more: choose another" in shown
    data = form(project, model="gone", name="Renamed", description=assistant.description, instructions="")
    assert client.post(page("change", assistant.pk), data).status_code == 302
    assistant.refresh_from_db()
    assert (assistant.name, assistant.model) == ("Renamed", "gone")


def test_a_model_that_an_openai_client_named_keeps_its_name(
    client: Client, principal: Principal, project: Project
) -> None:
    made = create_assistant(principal=principal, model="gpt-4o")
    assert states(client.get(page("change", made.pk)))["gpt-4o"] == "the default model answers"


def test_deleting_goes_through_the_service(client: Client, assistant: Assistant) -> None:
    assert client.post(page("delete", assistant.pk), {"post": "yes"}).status_code == 302
    assert not Assistant.objects.exists()
    assert AuditEvent.objects.filter(action="assistant.deleted").exists()


def test_from_an_assistant_one_gets_to_the_chat_and_to_its_runs(client: Client, assistant: Assistant) -> None:
    content = client.get(page("change", assistant.pk)).content.decode()
    assert "open-chat" in content
    answer = client.get(reverse("admin:assistants_assistant_try_it", args=[assistant.pk]))
    assert answer["Location"] == f"/chat/?assistant={assistant.pk}"
    assert f"/chat/?assistant={assistant.pk}" in client.get(LIST).content.decode()


def test_another_tenants_assistants_do_not_exist(
    assistant: Assistant, charlie: User, visit: Callable[[User], Client]
) -> None:
    client = visit(charlie)
    assert "Guide" not in client.get(LIST).content.decode()
    for view in ("change", "delete"):
        answer = client.get(page(view, assistant.pk))
        assert answer.status_code == 302
        assert "Guide" not in " ".join(map(str, get_messages(answer.wsgi_request)))
    client.post(page("change", assistant.pk), form(assistant.project, name="Charlie was here"))
    assistant.refresh_from_db()
    assert assistant.name == "Guide"


def test_an_assistant_is_made_in_no_other_tenants_project(
    charlie: User, project: Project, model: str, visit: Callable[[User], Client]
) -> None:
    answer = visit(charlie).post(page("add"), form(project))
    assert answer.status_code == 200
    assert list(answer.context["adminform"].form.errors) == ["project"]
    assert not Assistant.objects.exists()


def test_an_analyst_makes_assistants_and_a_viewer_does_not_get_in(
    bob: User, project: Project, model: str, visit: Callable[[User], Client]
) -> None:
    assert visit(bob).post(page("add"), form(project)).status_code == 302
    assert Assistant.objects.count() == 1
    viewer = User.objects.create_user("dora")
    services.add_member(project=project, user=viewer, role="viewer")
    assert visit(viewer).get(LIST).status_code == 302


def test_search_and_filters_find_an_assistant(client: Client, principal: Principal, assistant: Assistant) -> None:
    create_assistant(principal=principal, model="gpt-4o", name="Other")
    for query in ("q=Guid", f"q={assistant.pk}", "q=knows+the", "model=fake"):
        content = client.get(f"{LIST}?{query}").content.decode()
        assert "Guide" in content, query
        assert "Other" not in content, query


def test_the_list_takes_few_queries(
    client: Client, principal: Principal, model: str, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        create_assistant(principal=principal, model=model, name=f"Assistant {number}")
    with django_assert_max_num_queries(20):
        assert client.get(LIST).status_code == 200


def test_what_analysts_wrote_stands_escaped(client: Client, principal: Principal, model: str) -> None:
    made = create_assistant(
        principal=principal, model=model, name=EVIL, description=EVIL, instructions=EVIL, metadata={"a": EVIL},
        tools=[{"type": "function", "function": {"name": "f", "description": EVIL, "parameters": {}, "strict": False}}],
    )  # fmt: skip
    for address in (LIST, page("change", made.pk), page("delete", made.pk), page("history", made.pk)):
        content = client.get(address).content.decode()
        assert "&lt;script&gt;" in content, address
        for mark in EVIL_MARKS:
            assert mark not in content, address


def test_the_models_of_others_are_not_offered(client: Client, project: Project, charlie: User) -> None:
    theirs = Project.objects.get(name="Charlie's")
    for name, granted in (("our-model", project), ("their-model", theirs)):
        ready_engine("http://127.0.0.1:9/v1", name, name=name, provider={"all_projects": False, "projects": [granted]})
    shown = client.get(page("add"))
    assert states(shown)["our-model"] == "ready"
    assert "their-model" not in shown.content.decode()
    now = client.get(page("models"))
    assert now.json()["our-model"] == "ready"
    assert "their-model" not in now.json()
    assert client.get(page("models"), {"project": project.pk}).json() == now.json()
    assert client.get(page("models"), {"project": theirs.pk}).status_code == 404
