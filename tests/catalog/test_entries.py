"""What an assistant is given beside the contract's tools, and what a run freezes of it."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.catalog import entries
from assistants.catalog.services import create_function, update_function
from assistants.models import Assistant
from assistants.resolution import ResolvedConfiguration, resolve
from assistants.services import create_assistant, update_assistant
from inference.services import register_models
from runs.configuration import compose
from runs.models import Run
from sovereign.accounts.models import User
from sovereign.core.addresses import is_allowed
from sovereign.core.errors import ApiError
from tests.catalog.people import WEATHER, a_server, person

pytestmark = pytest.mark.django_db

CALCULATOR = {"type": "calculator"}
OWN = {"type": "function", "function": {"name": "own", "description": None, "parameters": WEATHER, "strict": False}}


@pytest.fixture(autouse=True)
def model(db: None) -> None:
    register_models(names=[("fake", "", None)])


def made(user: User, **fields: Any) -> Assistant:
    return create_assistant(principal=person(user), model="fake", name="Guide", **fields)


def resolved(assistant: Assistant) -> ResolvedConfiguration:
    assistant.refresh_from_db()
    return resolve(assistant=assistant, environment=None, thread_id=None, variables=None)


def test_entries_are_kept_in_their_normal_form(alice: User, project: object) -> None:
    server = a_server(alice)
    given: list[dict[str, Any]] = [
        CALCULATOR,
        {"type": "fetch", "addresses": ["https://API.example.org", "https://api.example.org/", "https://b.example:443/v1"]},
        {"type": "mcp", "server_id": server.pk, "tools": ["look", "look"]},
    ]  # fmt: skip
    assistant = made(alice, server_tools=given)
    assert resolved(assistant).content.server_tools == [
        CALCULATOR,
        {"type": "fetch", "addresses": ["https://api.example.org/", "https://b.example/v1"]},
        {"type": "mcp", "server_id": server.pk, "tools": ["look"]},
    ]
    update_assistant(principal=person(alice), assistant_id=assistant.pk, server_tools=None)
    assert resolved(assistant).content.server_tools == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "expected a list"),
        (["calculator"], "expected a list of objects"),
        ([{}], "supported values are: current_time, calculator, fetch, search_threads, mcp"),
        ([{"type": "rocket"}], "supported values"),
        ([{"type": ["calculator"]}], "supported values"),
        ([CALCULATOR, CALCULATOR], "'calculator' is there more than once"),
        ([{**CALCULATOR, "digits": 3}], "Unknown parameter: 'server_tools[0].digits'"),
        ([CALCULATOR] * 65, "at most 64"),
        ([{"type": "mcp", "server_id": "mcp_none", "tools": None}], "No MCP server found with id 'mcp_none'"),
        ([{"type": "mcp", "server_id": 7, "tools": None}], "No MCP server found"),
        ([{"type": "fetch"}], "at least one address"),
        ([{"type": "fetch", "addresses": []}], "at least one address"),
        ([{"type": "fetch", "addresses": ["https://a.example/"] * 33}], "at most 32"),
    ],
)
def test_what_is_wrong_is_said(alice: User, project: object, given: Any, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        made(alice, server_tools=given)
    assert words in refused.value.message
    assert not Assistant.objects.exists()


@pytest.mark.parametrize(
    "address",
    [
        "http://a.example/", "https://", "a.example", "https://127.0.0.1/", "https://localhost/", "https://intranet/",
        "https://printer.local/", "https://a.example/?q=1", "https://a.example/#x", "https://u@a.example/",
        "https://a.example/a/../b", "https://a.example//b", "https://a.example/..;/b",
        "https://a.example/%2e%2e/", "https://a.example\\b", "https://0x7f.1/",
        "https://[::1]/", "https://169.254.169.254/latest", "https://a.example./", "https://a.example/" + "x" * 500, "https://a.example:0/",
    ],
)  # fmt: skip
def test_addresses_that_are_not_plain_public_ones_are_refused(address: str) -> None:
    with pytest.raises(ApiError) as refused:
        entries.checked_addresses([address])
    assert refused.value.param == "addresses"


@pytest.mark.parametrize("names", ["look", [1], [""], ["x" * 129], ["a\n"], ["a"] * 257])
def test_names_of_tools_are_names(alice: User, project: object, names: Any) -> None:
    server = a_server(alice)
    with pytest.raises(ApiError, match="names of tools"):
        made(alice, server_tools=[{"type": "mcp", "server_id": server.pk, "tools": names}])


def test_others_servers_and_functions_do_not_exist(alice: User, charlie: User, project: object) -> None:
    server, function = a_server(charlie), create_function(principal=person(charlie), name="theirs")
    for fields in (
        {"server_tools": [{"type": "mcp", "server_id": server.pk, "tools": None}]},
        {"functions": [function.pk]},
        {"functions": ["func_none"]},
    ):
        with pytest.raises(ApiError) as refused:
            made(alice, **fields)
        assert refused.value.status == 404


def test_library_functions_follow_the_assistants_own(alice: User, project: object) -> None:
    first, second, own = (create_function(principal=person(alice), name=name) for name in ("first", "second", "own"))
    assistant = made(alice, tools=[OWN, {"type": "code_interpreter"}], functions=[second.pk, own.pk, first.pk])
    named = [tool.get("function", tool) for tool in resolved(assistant).tools]
    assert [tool.get("name", tool.get("type")) for tool in named] == ["own", "code_interpreter", "second", "first"]
    assert named[0] == OWN["function"]  # its own goes before the library's

    update_function(principal=person(alice), function_id=first.pk, description="Changed for all that have it.")
    assert resolved(assistant).tools[-1]["function"]["description"] == "Changed for all that have it."
    type(second).objects.filter(pk=second.pk).delete()  # as when it went at the same moment as it was chosen
    assert [tool["function"]["name"] for tool in resolved(assistant).tools if "function" in tool] == ["own", "first"]


def test_all_tools_together_are_as_many_as_the_contract_allows(alice: User, project: object) -> None:
    library = [create_function(principal=person(alice), name=f"f{n}").pk for n in range(3)]
    own = [{**OWN, "function": {**OWN["function"], "name": f"own{n}"}} for n in range(126)]
    assistant = made(alice, tools=own, functions=library[:2])
    with pytest.raises(ApiError, match="129 tools with the 3 functions of the library"):
        update_assistant(principal=person(alice), assistant_id=assistant.pk, functions=library)


def test_a_run_that_names_its_tools_gets_these_alone(alice: User, project: object) -> None:
    function = create_function(principal=person(alice), name="look_up")
    configuration = resolved(made(alice, server_tools=[CALCULATOR], functions=[function.pk]))
    usual = compose(configuration, {})
    assert usual.server_tools == [CALCULATOR]
    assert [tool["function"]["name"] for tool in usual.tools] == ["look_up"]
    for tools in ([], [OWN]):
        named = compose(configuration, {"tools": tools})
        assert (named.tools, named.server_tools) == (tools, [])


def test_a_run_is_made_with_what_its_assistant_has(alice: User, api: APIClient) -> None:
    function = create_function(principal=person(alice), name="look_up")
    assistant = made(alice, server_tools=[CALCULATOR], functions=[function.pk])
    body = {"assistant_id": assistant.pk, "thread": {"messages": [{"role": "user", "content": "How much is it?"}]}}
    run = api.post("/v1/threads/runs", body, format="json").json()
    assert [tool["function"]["name"] for tool in run["tools"]] == ["look_up"]
    assert Run.objects.get(pk=run["id"]).configuration.data["server_tools"] == [CALCULATOR]
    update_assistant(principal=person(alice), assistant_id=assistant.pk, server_tools=None, functions=None)
    assert Run.objects.get(pk=run["id"]).configuration.data["server_tools"] == [CALCULATOR]  # as it was made


def test_v1_neither_shows_nor_changes_them(alice: User, api: APIClient) -> None:
    function = create_function(principal=person(alice), name="look_up")
    assistant = made(alice, server_tools=[CALCULATOR], functions=[function.pk])
    path = f"/v1/assistants/{assistant.pk}"
    body = api.get(path).json()
    assert body["tools"] == []
    assert not {"server_tools", "functions", "offered_over_mcp"} & set(body)
    assert api.post(path, {"tools": body["tools"], "name": "Renamed"}, format="json").status_code == 200
    assert resolved(assistant).content.server_tools == [CALCULATOR]
    assert assistant.functions == [function.pk]
    for field, value in (("server_tools", []), ("functions", []), ("offered_over_mcp", True)):
        answer = api.post(path, {field: value}, format="json")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unknown_parameter")


def test_why_a_tool_cannot_be_used_is_asked_of_those_who_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(entries.reasons, "calculator", lambda: "It rests.")
    assert entries.unavailable("calculator") == "It rests."
    assert entries.unavailable("something else") == ""


def test_those_who_run_the_contracts_tools_are_asked() -> None:
    assert {"code_interpreter", "file_search"} <= set(entries.reasons)
    assert entries.unavailable("file_search") == ""


@pytest.mark.parametrize(
    "address",
    ["https://a.example", "https://a.example/v1", "https://a.example:8443/v1/", "https://[2606:4700::1111]/a%20b"],
)
def test_what_is_kept_is_what_fetch_allows(address: str) -> None:
    kept = entries.checked_addresses([address])
    assert is_allowed(f"{address.rstrip('/')}/v2", kept)
    assert entries.checked_addresses(kept) == kept
    assert not is_allowed("https://b.example/v1/v2", kept)
