"""The catalog's pages: functions that are checked while they are typed, servers and what is allowed of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from assistants.catalog import services
from assistants.catalog.mcp import McpError
from assistants.catalog.models import Function, McpServer
from assistants.services import update_assistant
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from tests.catalog.people import URL, WEATHER, a_server, again, listed, person, tool
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db

SECRET = "secret-of-tools"


def page(model: str, view: str, *args: str) -> str:
    return reverse(f"admin:catalog_{model}_{view}", args=[quote(arg) for arg in args])


def told(answer: Any) -> str:
    return " ".join(message.message for message in get_messages(answer.wsgi_request))


@pytest.fixture
def client(alice: User, project: Project, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


def function_form(project: Project, **changes: Any) -> dict[str, Any]:
    return {
        "name": "look_up", "project": project.pk, "description": "Looks things up.",
        "parameters": json.dumps(WEATHER), "examples": '[{"arguments": {"city": "Bonn"}, "output": 1}]', **changes,
    }  # fmt: skip


def server_form(project: Project, **changes: Any) -> dict[str, Any]:
    return {
        "label": "tools", "project": project.pk, "url": URL, "enabled": "on", "header": "Authorization",
        "new_key": "", "approval": "always", "timeout": "30", **changes,
    }  # fmt: skip


# ----------------------------------------------------------------------------------------- functions


def test_a_function_is_made_changed_and_deleted(client: Client, project: Project) -> None:
    assert client.post(page("function", "add"), function_form(project)).status_code == 302
    made = Function.objects.get()
    assert (made.project, made.parameters, made.examples[0]["output"]) == (project, WEATHER, 1)
    changed = function_form(project, description="Finds.", parameters="", examples="")
    assert client.post(page("function", "change", made.pk), changed).status_code == 302
    made.refresh_from_db()
    assert (made.description, made.parameters["properties"], made.examples) == ("Finds.", {}, [])
    assert "look_up" in client.get(page("function", "changelist")).content.decode()
    assert client.post(page("function", "delete", made.pk), {"post": "yes"}).status_code == 302
    assert not Function.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": "with space"}, "name", "letters, digits"),
        ({"parameters": "[{"}, "parameters", "valid JSON"),
        ({"parameters": '{"type": "object", "required": 1}'}, "parameters", "At 'required'"),
        ({"strict": "on"}, "parameters", "additionalProperties"),
        ({"examples": '[{"arguments": {}}]'}, "examples", "'city' is a required property"),
    ],
)
def test_what_is_wrong_stands_at_its_field_on_saving_and_while_typing(
    client: Client, project: Project, changes: dict[str, str], field: str, words: str
) -> None:
    data = function_form(project, **changes)
    answer = client.post(page("function", "add"), data)
    assert answer.status_code == 200
    assert words in answer.context["adminform"].form.errors[field][0]
    problem = client.post(page("function", "check"), data).json()
    assert problem["field"] == field
    assert words in problem["message"] or "no JSON" in problem["message"]
    assert not Function.objects.exists()


def test_what_is_right_is_said_while_typing_and_nothing_is_kept(client: Client, project: Project) -> None:
    assert client.post(page("function", "check"), function_form(project)).json() == {}
    assert client.post(page("function", "check"), {"parameters": "[" * 100_000}).json()["field"] == "parameters"
    assert client.get(page("function", "check")).status_code == 403
    assert not Function.objects.exists()


def test_a_function_that_is_used_is_not_deleted(client: Client, principal: Principal, assistant: Any) -> None:
    made = services.create_function(principal=principal, name="look_up")
    update_assistant(principal=principal, assistant_id=assistant.pk, functions=[made.pk])
    assert "'look_up' is used by Guide" in told(client.post(page("function", "delete", made.pk), {"post": "yes"}))
    assert Function.objects.exists()


# ----------------------------------------------------------------------------------------- servers


def test_a_server_is_registered_and_its_credential_never_shown(client: Client, project: Project) -> None:
    answer = client.post(page("mcpserver", "add"), server_form(project, new_key=SECRET))
    server = McpServer.objects.get()
    assert answer["Location"] == page("mcpserver", "change", server.pk)
    assert server.key() == SECRET
    for address in (answer["Location"], page("mcpserver", "changelist")):
        assert SECRET not in client.get(address).content.decode()
        assert server.sealed_key not in client.get(address).content.decode()
    moved = server_form(project, url="https://elsewhere.example/mcp")
    refused = client.post(page("mcpserver", "change", server.pk), moved)
    assert "enter it again" in refused.context["adminform"].form.errors["new_key"][0]
    assert client.post(page("mcpserver", "change", server.pk), server_form(project, timeout="5")).status_code == 302
    assert (again(server).timeout, again(server).key()) == (5, SECRET)
    client.post(page("mcpserver", "change", server.pk), server_form(project, forget_key="on"))
    assert again(server).key() == ""


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"label": "Big"}, "label", "small letters"),
        ({"url": "https://10.0.0.5/"}, "url", "inner network"),
        ({"url": "http://tools.example.org/"}, "url", "https://"),
        ({"header": "Host"}, "header", "credential"),
        ({"new_key": "a b"}, "new_key", "printable ASCII"),
        ({"timeout": "0"}, "timeout", "One second"),
        ({"approval": "sometimes"}, "approval", "not one of the available choices"),
    ],
)
def test_a_refusal_stands_at_its_field(
    client: Client, project: Project, changes: dict[str, str], field: str, words: str
) -> None:
    answer = client.post(page("mcpserver", "add"), server_form(project, **changes))
    assert answer.status_code == 200
    assert words in answer.context["adminform"].form.errors[field][0]
    assert not McpServer.objects.exists()


def test_inner_networks_and_variables_are_for_superusers(client: Client, alice: User, project: Project) -> None:
    inner = server_form(project, url="http://10.0.0.5/mcp", inner_network="on", key_variable="OPENAI_API_KEY")
    html = client.get(page("mcpserver", "add")).content.decode()
    assert 'name="inner_network"' not in html
    assert 'name="key_variable"' not in html
    assert client.post(page("mcpserver", "add"), inner).status_code == 200  # what is not asked for is not taken
    assert not McpServer.objects.exists()
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    inner = {**inner, "key_variable": ""}
    assert client.post(page("mcpserver", "add"), inner).status_code == 302
    assert McpServer.objects.get().inner_network


def test_tools_are_refreshed_read_and_allowed(
    client: Client, alice: User, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = a_server(alice, tool("read", description="Reads."), tool("write", hints={"destructiveHint": True}),
                      tool("broken", problem="Its schema is none."))  # fmt: skip
    address = page("mcpserver", "change", server.pk)
    html = client.get(address).content.decode()
    assert all(words in html for words in ("Reads.", "may destroy", "Its schema is none.", "not allowed"))
    allow = {"allow": [f"{tool('read').digest} read", f"{tool('write').digest} write"]}
    answer = client.post(page("mcpserver", "tools", server.pk), allow)
    assert "2 of 3 tools are allowed." in told(answer)
    assert [tool.name for tool in again(server).offered(None)] == ["read", "write"]

    listed(server, tool("read", digest="another"), tool("write"))
    html = client.get(address).content.decode()
    assert "changed: withheld" in html
    assert "It is not what was allowed." in html
    assert "tools changed" in client.get(page("mcpserver", "changelist")).content.decode()
    answer = client.post(page("mcpserver", "tools", server.pk), allow)  # as it was shown before
    assert "'read' has changed since this page was shown" in told(answer)
    assert [tool.name for tool in again(server).offered(None)] == ["write"]
    client.post(page("mcpserver", "tools", server.pk), {"allow": ["nonsense"]})
    assert [tool.name for tool in again(server).offered(None)] == ["write"]


def test_approval_is_chosen_for_each_tool_where_it_is_asked_for_some(
    client: Client, alice: User, project: Project
) -> None:
    server = a_server(alice, tool("read"), tool("write"), approval="listed")
    html = client.get(page("mcpserver", "change", server.pk)).content.decode()
    assert 'name="approve" value="write" checked' in html  # until somebody unticks it
    allow = [f"{tool(name).digest} {name}" for name in ("read", "write")]
    client.post(page("mcpserver", "tools", server.pk), {"listed": "1", "allow": allow, "approve": ["write"]})
    assert again(server).unasked_tools == ["read"]
    html = client.get(page("mcpserver", "change", server.pk)).content.decode()
    assert ('name="approve" value="write" checked' in html, 'name="approve" value="read">' in html) == (True, True)
    services.update_server(principal=person(alice), server_id=server.pk, approval="always")
    assert 'name="approve"' not in client.get(page("mcpserver", "change", server.pk)).content.decode()
    client.post(page("mcpserver", "tools", server.pk), {"allow": allow})  # the choice is kept while it does not count
    assert again(server).unasked_tools == ["read"]
    listed(server, tool("read", digest="another"), tool("write"))
    changed = ["another read", allow[1]]
    client.post(page("mcpserver", "tools", server.pk), {"allow": changed})  # but not for what is another tool by now
    assert again(server).unasked_tools == []


@pytest.mark.django_db(transaction=True)
def test_a_refresh_asks_the_server_and_shows_what_came_of_it(
    alice: User, project: Project, visit: Callable[[User], Client], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MIDDLEWARE = ["tests.support.later.Awaiting", *settings.MIDDLEWARE]
    server, client = a_server(alice), visit(alice)

    async def answers(endpoint: object) -> list[Any]:
        return [tool("read")]

    monkeypatch.setattr("assistants.catalog.mcp.list_tools", answers)
    answer = client.post(page("mcpserver", "refresh", server.pk))
    assert answer["Location"] == page("mcpserver", "change", server.pk) + "#tools"
    assert [tool.name for tool in again(server).tools] == ["read"]

    async def fails(endpoint: object) -> list[Any]:
        raise McpError("The MCP server cannot be reached.")

    monkeypatch.setattr("assistants.catalog.mcp.list_tools", fails)
    client.post(page("mcpserver", "refresh", server.pk))
    html = client.get(page("mcpserver", "change", server.pk)).content.decode()
    assert "Last error: The MCP server cannot be reached. What it listed before is still used." in html
    assert "no answer" in client.get(page("mcpserver", "changelist")).content.decode()


def test_an_analyst_sees_servers_and_changes_none(
    alice: User, bob: User, project: Project, visit: Callable[[User], Client]
) -> None:
    server, client = a_server(alice, tool("read")), visit(bob)
    html = client.get(page("mcpserver", "change", server.pk)).content.decode()
    assert "read" in html
    assert "Refresh tools" not in html
    assert client.get(page("mcpserver", "add")).status_code == 403
    for view in ("tools", "refresh", "delete"):
        assert client.post(page("mcpserver", view, server.pk), {"post": "yes"}).status_code == 403
    assert client.post(page("mcpserver", "change", server.pk), server_form(project, label="x")).status_code == 403
    assert again(server).label == "tools"


def test_others_see_nothing_of_it(
    alice: User, charlie: User, principal: Principal, visit: Callable[[User], Client]
) -> None:
    server, function = a_server(alice, tool("read")), services.create_function(principal=principal, name="look_up")
    client = visit(charlie)
    for view in ("tools", "refresh"):
        assert client.post(page("mcpserver", view, server.pk)).status_code == 404
    for model, row in (("mcpserver", server), ("function", function)):
        assert quote(row.pk) not in client.get(page(model, "changelist")).content.decode()
        assert client.get(page(model, "change", row.pk)).status_code == 302  # to the first page, as of an unknown one
        client.post(page(model, "delete", row.pk), {"post": "yes"})
        assert type(row).objects.filter(pk=row.pk).exists()


def test_what_servers_say_is_escaped(client: Client, alice: User, project: Project) -> None:
    server = a_server(alice, tool(EVIL, title=EVIL, description=EVIL, problem=EVIL), tool("ok", description=EVIL))
    services.store_failure(server_id=server.pk, url=server.url, message=EVIL)
    for address in (page("mcpserver", "change", server.pk), page("mcpserver", "changelist")):
        html = client.get(address).content.decode()
        assert "Last error" in html or "no answer" in html
        assert not any(mark in html for mark in EVIL_MARKS)


def test_what_models_read_and_nobody_sees_is_spelt_out(client: Client, alice: User, project: Project) -> None:
    hidden = "Searches.\U000e0073\U000e0065\u200b\u202e"
    schema = {"type": "object", "properties": {hidden: {"type": "string"}}}
    server = a_server(alice, replace(tool("read", title=hidden, description=hidden), input_schema=schema))
    html = client.get(page("mcpserver", "change", server.pk)).content.decode()
    assert html.count(r"Searches.\u{e0073}\u{e0065}\u200b\u202e") == 3
    assert "\U000e0073" not in html
