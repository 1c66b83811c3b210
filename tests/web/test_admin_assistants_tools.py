"""The section "Tools" of an assistant's page: boxes that say what they do, and what is kept of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from assistants.catalog import entries, services
from assistants.catalog.models import Function, McpServer
from assistants.models import Assistant
from assistants.services import update_assistant
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from tests.catalog.people import a_server, listed, tool
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(alice: User, project: Project, model: str, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


@pytest.fixture
def function(principal: Principal) -> Function:
    return services.create_function(principal=principal, name="look_up", description="Looks things up.")


@pytest.fixture
def server(alice: User, principal: Principal) -> McpServer:
    server = a_server(alice, tool("read", description="Reads."), tool("write"))
    return services.allow_tools(principal=principal, server_id=server.pk, allowed={"read": tool("read").digest})


def address(assistant: Assistant) -> str:
    return reverse("admin:assistants_assistant_change", args=[assistant.pk])


def shown(client: Client, assistant: Assistant) -> dict[str, Any]:
    """The form as a browser has it: also what was ticked when it was shown."""
    form = client.get(address(assistant)).context["adminform"].form
    data: dict[str, Any] = {}
    for name, field in form.fields.items():
        bound = form[name]
        value = bound.value()
        data[name] = "" if value is None else value
        if field.show_hidden_initial:
            data[bound.html_initial_name] = data[name]
    return {name: value for name, value in data.items() if value is not False}


def save(client: Client, assistant: Assistant, **changes: Any) -> None:
    answer = client.post(address(assistant), {**shown(client, assistant), **changes})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    assistant.refresh_from_db()


def errors(client: Client, assistant: Assistant, **changes: Any) -> dict[str, list[str]]:
    answer = client.post(address(assistant), {**shown(client, assistant), **changes})
    assert answer.status_code == 200
    found: dict[str, list[str]] = answer.context["adminform"].form.errors
    return found


def test_everything_is_off_and_says_what_it_does(client: Client, assistant: Assistant) -> None:
    page = unescape(client.get(address(assistant)).content.decode())
    for built_in in entries.BUILT_IN.values():
        assert built_in.title in page
        assert built_in.does in page
    assert "The project has none: its administrators register them" in page
    assert not re.search(r'name="(built_in|contract_tools|mcp_tools|functions)"[^>]* checked', page)
    save(client, assistant)
    assert (assistant.tools, assistant.server_tools, assistant.functions) == ([], [], [])


def test_what_is_ticked_is_kept_and_shown(
    client: Client, assistant: Assistant, function: Function, server: McpServer
) -> None:
    save(
        client, assistant, contract_tools=["file_search"], built_in=["calculator", "fetch"],
        fetch_addresses="https://a.example/v1/\nhttps://b.example", mcp_tools=[f"{server.pk}/read"],
        functions=[function.pk], offered_over_mcp="on",
    )  # fmt: skip
    assert [tool["type"] for tool in assistant.tools] == ["file_search"]
    assert assistant.server_tools == [
        {"type": "calculator"},
        {"type": "fetch", "addresses": ["https://a.example/v1/", "https://b.example/"]},
        {"type": "mcp", "server_id": server.pk, "tools": ["read"]},
    ]
    assert (assistant.functions, assistant.offered_over_mcp) == ([function.pk], True)
    again = shown(client, assistant)
    assert again["built_in"] == ["calculator", "fetch"]
    assert again["fetch_addresses"] == "https://a.example/v1/\nhttps://b.example/"
    assert (again["mcp_tools"], again["functions"]) == ([f"{server.pk}/read"], [function.pk])

    save(client, assistant, built_in=["calculator"], fetch_addresses="", mcp_tools=[server.pk, f"{server.pk}/read"])
    assert assistant.server_tools == [
        {"type": "calculator"},
        {"type": "mcp", "server_id": server.pk, "tools": None},
    ]
    save(client, assistant, built_in=[], mcp_tools=[], contract_tools=[], functions=[])
    assert (assistant.tools, assistant.server_tools, assistant.functions) == ([], [], [])


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"built_in": ["fetch"]}, "fetch_addresses", "at least one address"),
        ({"built_in": ["fetch"], "fetch_addresses": "http://a.example"}, "fetch_addresses", "https://"),
        ({"built_in": ["fetch"], "fetch_addresses": "https://10.0.0.1/"}, "fetch_addresses", "inner network"),
        ({"fetch_addresses": "https://a.example/"}, "fetch_addresses", "Tick Fetch as well"),
        ({"built_in": ["rocket"]}, "built_in", "not one of the available choices"),
        ({"functions": ["func_none"]}, "functions", "not one of the available choices"),
        ({"mcp_tools": ["mcp_none"]}, "mcp_tools", "not one of the available choices"),
    ],
)
def test_a_refusal_stands_at_its_field(
    client: Client, assistant: Assistant, changes: dict[str, Any], field: str, words: str
) -> None:
    assert words in errors(client, assistant, **changes)[field][0]


def test_a_tool_that_is_not_allowed_cannot_be_ticked(client: Client, assistant: Assistant, server: McpServer) -> None:
    page = client.get(address(assistant)).content.decode()
    assert re.search(rf'value="{server.pk}/write" disabled>', page)
    assert re.search(rf'value="{server.pk}/read">', page)
    assert "An administrator has not allowed it." in page


def test_a_tool_that_changed_or_is_gone_says_so_and_stays_chosen(
    client: Client, assistant: Assistant, server: McpServer
) -> None:
    save(client, assistant, mcp_tools=[f"{server.pk}/read"])
    listed(server, tool("read", digest="another"))
    assert "It has changed since it was allowed, and is withheld." in client.get(address(assistant)).content.decode()
    listed(server, tool("write"))
    assert "It is not listed any more." in client.get(address(assistant)).content.decode()
    save(client, assistant, name="Renamed")
    assert assistant.server_tools[0]["tools"] == ["read"]


def test_boxes_and_the_list_of_tools_go_together(client: Client, assistant: Assistant) -> None:
    own = '[{"type": "function", "function": {"name": "own"}}]'
    save(client, assistant, tools=own, contract_tools=["code_interpreter", "file_search"])
    kinds = {tool["type"] for tool in assistant.tools}
    assert kinds == {"function", "code_interpreter", "file_search"}
    save(client, assistant, contract_tools=["code_interpreter"])
    assert [tool["type"] for tool in assistant.tools] == ["function", "code_interpreter"]
    save(client, assistant, tools="[]")  # the box is still ticked, and was not touched
    assert assistant.tools == []


def test_who_did_not_touch_a_box_changes_nothing(
    client: Client, assistant: Assistant, principal: Principal, function: Function
) -> None:
    before = shown(client, assistant)
    update_assistant(
        principal=principal, assistant_id=assistant.pk, tools=[{"type": "file_search"}],
        server_tools=[{"type": "calculator"}], functions=[function.pk],
    )  # fmt: skip
    assert client.post(address(assistant), {**before, "name": "Renamed"}).status_code == 302
    assistant.refresh_from_db()
    assert assistant.name == "Renamed"
    assert [tool["type"] for tool in assistant.tools] == ["file_search"]
    assert assistant.server_tools == [{"type": "calculator"}]
    assert assistant.functions == [function.pk]


def test_a_tool_that_cannot_run_here_says_why(
    client: Client, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(entries.reasons, "code_interpreter", lambda: "bubblewrap is not installed.")
    assert "Not on this server now: bubblewrap is not installed." in client.get(address(assistant)).content.decode()


def test_only_the_catalog_of_the_assistants_project_is_offered(
    client: Client, assistant: Assistant, charlie: User, function: Function
) -> None:
    theirs = a_server(charlie, tool("theirs"), label="others")
    page = client.get(address(assistant)).content.decode()
    assert "look_up" in page
    assert theirs.pk not in page
    assert "not one of the available choices" in errors(client, assistant, mcp_tools=[theirs.pk])["mcp_tools"][0]


def test_a_new_assistant_of_the_only_project_has_its_tools_at_once(
    client: Client, project: Project, function: Function
) -> None:
    data = {
        "name": "Guide", "description": "", "project": project.pk, "model": "fake", "instructions": "", "tools": "[]",
        "temperature": "1.0", "top_p": "1.0", "reasoning_effort": "", "response_format": '"auto"', "metadata": "{}",
        "retrieval": "auto", "built_in": ["current_time"], "functions": [function.pk], "type": "general",
        "status": "draft", "visibility": "project",
    }  # fmt: skip
    assert client.post(reverse("admin:assistants_assistant_add"), data).status_code == 302
    made = Assistant.objects.get()
    assert (made.server_tools, made.functions) == ([{"type": "current_time"}], [function.pk])


def test_where_there_are_projects_to_choose_from_their_tools_come_after_saving(
    alice: User, project: Project, charlies_project: Project, model: str, visit: Callable[[User], Client]
) -> None:
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    page = visit(alice).get(reverse("admin:assistants_assistant_add")).content.decode()
    assert "Once the assistant is saved, functions of its project can be chosen here." in page
    assert "Once the assistant is saved, tools of MCP servers of its project can be chosen here." in page


def test_an_analyst_gives_tools(
    bob: User, assistant: Assistant, server: McpServer, function: Function, visit: Callable[[User], Client]
) -> None:
    save(visit(bob), assistant, built_in=["current_time"], mcp_tools=[server.pk], functions=[function.pk])
    assert [entry["type"] for entry in assistant.server_tools] == ["current_time", "mcp"]
    assert assistant.functions == [function.pk]


def test_what_servers_say_is_escaped(client: Client, assistant: Assistant, alice: User) -> None:
    a_server(alice, tool(EVIL, description=EVIL, title=EVIL), label="evil")
    page = client.get(address(assistant)).content.decode()
    assert "MCP server evil" in page
    assert not any(mark in page for mark in EVIL_MARKS)
