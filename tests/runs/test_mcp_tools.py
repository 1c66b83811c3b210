"""Tools of MCP servers in runs: which there are, what is called, and what comes of servers that fail or change."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from assistants.catalog.models import McpServer
from assistants.models import Assistant
from runs.models import Run
from runs.services import control
from runs.tools import mcp as tools
from runs.tools.functions import MAXIMUM_OUTPUT
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database, now
from tests.catalog import scripted
from tests.catalog.scripted import ECHO, SECRET, ScriptedServer, contents, serving, text
from tests.runs.mcp_servers import allow, one_call, outputs, registered, uses
from tests.runs.support import Model, call, end, ended, kill, working
from tests.runs.support import text as says

pytestmark = pytest.mark.django_db(transaction=True)

ASKED = call(0, "house__echo", '{"text": "hello"}')
WRITES = {"name": "write", "inputSchema": ECHO["inputSchema"]}
AGAIN = {"name": "set", "inputSchema": ECHO["inputSchema"], "annotations": {"idempotentHint": True}}


@pytest_asyncio.fixture
async def mcp() -> AsyncIterator[ScriptedServer]:
    async with serving() as server:
        server.tools = [ECHO, WRITES, AGAIN]
        yield server


@pytest.fixture(autouse=True)
def nobody_was_asked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_asked_at", {})


@pytest.fixture
def begin_with(
    mcp: ScriptedServer, project: Project, begin: Callable[..., Run], assistant: Assistant
) -> Callable[..., Awaitable[tuple[Run, McpServer]]]:
    """``begin_with(**fields)``: a queued run whose assistant has the tools of a server with these fields."""

    async def make(*, names: list[str] | None = None, **fields: Any) -> tuple[Run, McpServer]:
        row = await registered(mcp, project.pk, **fields)
        entry = {"type": "mcp", "server_id": row.pk, "tools": names}
        await in_database(lambda: Assistant.objects.filter(pk=assistant.pk).update(server_tools=[entry]))
        return await in_database(begin), row

    return make


Begin = Callable[..., Awaitable[tuple[Run, McpServer]]]


def offered(model: Model, request: int = 0) -> list[str]:
    return [tool["function"]["name"] for tool in model.requests[request].tools]


# ------------------------------------------------------------------------------------------------ calls


async def test_a_call(model: Model, mcp: ScriptedServer, begin_with: Begin) -> None:
    run, _ = await begin_with()
    over = await one_call(model, run, *ASKED)
    assert (over.status, mcp.methods().count("tools/call")) == ("completed", 1)
    assert await in_database(outputs, run) == [f"{tools.INTRODUCTION}hello"]
    assert model.requests[1].messages[-1]["content"] == f"{tools.INTRODUCTION}hello"
    assert await in_database(uses) == [("mcp", "house__echo", "ok")]
    [shown] = [tool["function"] for tool in model.requests[0].tools if tool["function"]["name"] == "house__echo"]
    assert (shown["description"], shown["parameters"]) == (ECHO["description"], ECHO["inputSchema"])


async def test_the_credential_goes_to_the_server_and_nowhere_else(
    model: Model, mcp: ScriptedServer, begin_with: Begin
) -> None:
    run, _ = await begin_with()
    mcp.answers["tools/call"] = contents(text(f"You sent {SECRET}."))
    await one_call(model, run, *ASKED)
    assert {headers["Authorization"] for _, _, headers in mcp.heard} == {f"Bearer {SECRET}"}
    assert await in_database(outputs, run) == [f"{tools.INTRODUCTION}You sent [secret]."]


async def test_arguments_that_break_the_schema_are_sent_to_nobody(
    model: Model, mcp: ScriptedServer, begin_with: Begin
) -> None:
    run, _ = await begin_with()
    await one_call(model, run, *call(0, "house__echo", '{"text": 7}'))
    assert mcp.heard == []
    assert "At 'text': 7 is not of type 'string'" in (await in_database(outputs, run))[0]


async def test_a_long_answer_is_cut(model: Model, mcp: ScriptedServer, begin_with: Begin) -> None:
    run, _ = await begin_with()
    mcp.answers["tools/call"] = contents(text("x" * 1_000_000))
    await one_call(model, run, *ASKED)
    assert len((await in_database(outputs, run))[0]) < MAXIMUM_OUTPUT + 100


@pytest.mark.parametrize(
    ("answer", "told", "outcome"),
    [
        (scripted.result({"content": [text("no such city")], "isError": True}), "no such city", "error"),
        (scripted.result({"content": [], "isError": True}), "The tool failed without a reason.", "error"),
        (scripted.always(lambda: web.Response(text="<html>", content_type="text/html")), "no MCP server", "error"),
        (scripted.hang, "The MCP server took longer than 3 seconds.", "timeout"),
    ],
)
async def test_what_goes_wrong_is_told_to_the_model_and_the_run_goes_on(
    model: Model, mcp: ScriptedServer, begin_with: Begin, answer: Any, told: str, outcome: str
) -> None:
    run, _ = await begin_with(timeout=3)
    mcp.answers["tools/call"] = answer
    over = await one_call(model, run, *ASKED)
    assert over.status == "completed"
    assert told in json.loads((await in_database(outputs, run))[0])["error"]
    assert await in_database(uses) == [("mcp", "house__echo", outcome)]


@pytest.mark.parametrize(
    ("asked", "method", "told"),
    [
        ("echo", "tools/call", "closed the connection without an answer."),
        (
            "write",
            "tools/call",
            "closed the connection without an answer. Whether the call was carried out is not known.",
        ),
        ("write", "initialize", "closed the connection without an answer. Nothing was carried out."),
    ],
)
async def test_the_model_is_told_whether_a_call_that_failed_may_have_done_something(
    model: Model, mcp: ScriptedServer, begin_with: Begin, asked: str, method: str, told: str
) -> None:
    async def hang_up(server: ScriptedServer, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    run, _ = await begin_with()
    mcp.answers[method] = hang_up
    await one_call(model, run, *call(0, f"house__{asked}", '{"text": "hello"}'))
    assert json.loads((await in_database(outputs, run))[0])["error"].endswith(told)


async def test_an_answer_of_nothing_is_told_as_such(model: Model, mcp: ScriptedServer, begin_with: Begin) -> None:
    run, _ = await begin_with()
    mcp.answers["tools/call"] = contents()
    await one_call(model, run, *ASKED)
    assert await in_database(outputs, run) == ["The tool answered nothing."]


async def test_a_server_inside_the_house_is_not_reached_without_permission(
    model: Model, mcp: ScriptedServer, begin_with: Begin
) -> None:
    """Its name leads inside: nothing of the address itself says so."""
    run, row = await begin_with(url=mcp.url.replace("127.0.0.1", "localhost"))
    await in_database(lambda: McpServer.objects.filter(pk=row.pk).update(inner_network=False))
    over = await one_call(model, run, *ASKED)
    assert (over.status, mcp.heard) == ("completed", [])
    assert "localhost has an address of an inner network" in (await in_database(outputs, run))[0]


async def test_a_cancelled_run_takes_its_call_back(
    model: Model, mcp: ScriptedServer, begin_with: Begin, principal: Principal
) -> None:
    run, _ = await begin_with()
    mcp.answers["tools/call"] = scripted.hang
    model.answers(*ASKED, end("tool_calls"))
    async with working():
        asked = await mcp.until_heard("tools/call")
        await in_database(control.cancel_run, principal=principal, thread_id=run.thread_id, run_id=run.pk)
        over = await ended(run.pk)
        told = await mcp.until_heard("notifications/cancelled")
    assert over.status == "cancelled"
    assert told["params"]["requestId"] == asked["id"]


# ------------------------------------------------------------------------------------------------ which tools


async def test_only_what_was_allowed_is_there(model: Model, mcp: ScriptedServer, begin_with: Begin) -> None:
    run, row = await begin_with()
    await allow(row, ["echo", "set"])
    await one_call(model, run, *call(0, "house__write", '{"text": "hello"}'))
    assert offered(model) == ["house__echo", "house__set"]
    assert mcp.heard == []  # a name that is no tool's is a function of the application's, for all that is known here


async def test_only_what_the_assistant_was_given_is_there(model: Model, begin_with: Begin) -> None:
    run, _ = await begin_with(names=["set", "unknown"])
    model.answers(*says("Hello."), end())
    async with working():
        await ended(run.pk)
    assert offered(model) == ["house__set"]


@pytest.mark.parametrize("change", [{"enabled": False}, {"allowed": {}}, {"listing": []}])
async def test_what_is_taken_away_is_gone_for_runs_that_began(
    model: Model, mcp: ScriptedServer, begin_with: Begin, change: dict[str, Any]
) -> None:
    run, row = await begin_with()
    await in_database(lambda: McpServer.objects.filter(pk=row.pk).update(**change))
    model.answers(*says("Hello."), end())
    async with working():
        await ended(run.pk)
    assert (offered(model), mcp.heard) == ([], [])


async def test_another_projects_server_gives_nothing(
    model: Model, begin_with: Begin, charlies_project: Project
) -> None:
    run, row = await begin_with()
    await in_database(lambda: McpServer.objects.filter(pk=row.pk).update(project=charlies_project))
    model.answers(*says("Hello."), end())
    async with working():
        await ended(run.pk)
    assert offered(model) == []


def test_names_are_functions_names_and_no_two_are_alike() -> None:
    assert tools.name_of("house", "echo") == "house__echo"
    wanted = ["a.b", "a/b", "a_b", "x" * 128, "x" * 127, "x" * 57, "x" * 58]
    names = [tools.name_of("house", name) for name in wanted]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 64 and name.replace("-", "_").replace("_", "").isalnum() for name in names)
    assert names[2] == "house__a_b"
    assert names[0].startswith("house__a_b_")


# ------------------------------------------------------------------------------------------------ listings that are old


async def made_old(row: McpServer) -> None:
    def write() -> None:
        McpServer.objects.filter(pk=row.pk).update(listed_at=now() - timedelta(minutes=11))

    await in_database(write)


async def test_an_old_listing_is_asked_for_anew_before_the_first_model_call(
    model: Model, mcp: ScriptedServer, begin_with: Begin
) -> None:
    """What changed since it was allowed is withheld from this very run."""
    run, row = await begin_with()
    await made_old(row)
    mcp.tools = [ECHO | {"description": "Sends what it is told to somebody else."}, WRITES]
    await one_call(model, run, *call(0, "house__write", '{"text": "hello"}'))
    assert offered(model) == ["house__write"]
    assert mcp.methods().count("tools/list") == 1
    kept = await in_database(McpServer.objects.get, pk=row.pk)
    assert [tool.name for tool in kept.tools if kept.has_changed(tool)] == ["echo"]


async def test_a_fresh_listing_is_not_asked_for(model: Model, mcp: ScriptedServer, begin_with: Begin) -> None:
    run, _ = await begin_with()
    await one_call(model, run, *ASKED)
    assert "tools/list" not in mcp.methods()


@pytest.mark.parametrize("answer", [scripted.hang, scripted.always(lambda: web.Response(status=500))])
async def test_a_listing_that_does_not_come_leaves_the_old_one(
    model: Model, mcp: ScriptedServer, begin_with: Begin, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setattr(tools, "PATIENCE", 2.0)  # long enough for the handshake
    run, row = await begin_with()
    await made_old(row)
    mcp.answers["tools/list"] = answer
    over = await one_call(model, run, *ASKED)
    assert over.status == "completed"
    assert await in_database(outputs, run) == [f"{tools.INTRODUCTION}hello"]
    assert (await in_database(McpServer.objects.get, pk=row.pk)).listing_error
    assert mcp.methods().count("tools/list") == 1


async def test_a_server_that_is_away_is_not_asked_by_every_run(
    model: Model, mcp: ScriptedServer, begin_with: Begin, begin: Callable[..., Run]
) -> None:
    run, row = await begin_with()
    await made_old(row)
    mcp.answers["tools/list"] = scripted.always(lambda: web.Response(status=500))
    model.answers(*says("Hello."), end())
    model.answers(*says("Hello."), end())
    async with working():
        await ended(run.pk)
        await ended((await in_database(begin)).pk)
    assert mcp.methods().count("tools/list") == 1


# ------------------------------------------------------------------------------------------------ workers that die


@pytest.mark.parametrize(
    ("tool", "outcome", "made"), [("echo", "ok", 2), ("set", "ok", 2), ("write", "interrupted", 1)]
)
async def test_only_what_is_allowed_as_repeatable_is_called_again(
    model: Model, mcp: ScriptedServer, begin_with: Begin, tool: str, outcome: str, made: int
) -> None:
    run, _ = await begin_with()
    mcp.answers["tools/call"] = scripted.hang
    model.answers(*call(0, f"house__{tool}", '{"text": "hello"}'), end("tool_calls"))
    model.answers(*says("Well."), end())
    async with working() as worker:
        await mcp.until_heard("tools/call")
        await kill(worker, run.pk)
        mcp.answers["tools/call"] = contents(text("done"))
        over = await ended(run.pk)
    assert (over.status, mcp.methods().count("tools/call")) == ("completed", made)
    assert await in_database(uses) == [("mcp", f"house__{tool}", outcome)]
    if outcome == "interrupted":
        assert "not known how far it came" in (await in_database(outputs, run))[0]
