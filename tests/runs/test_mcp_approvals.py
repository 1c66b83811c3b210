"""Calls of MCP servers' tools that a person has to agree to: asked for, given, refused, late, twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from assistants.catalog.models import McpServer
from assistants.models import Assistant
from runs.models import Run
from runs.services import control, reaping
from runs.tools import mcp as tools
from runs.worker import errands
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError
from tests.catalog import scripted
from tests.catalog.scripted import ECHO, ScriptedServer, contents, serving, text
from tests.runs.mcp_servers import outputs, registered, uses
from tests.runs.support import Gate, Model, age_run, asked_calls, call, end, ended, kill, within, working
from tests.runs.support import text as says

pytestmark = pytest.mark.django_db(transaction=True)

READS, WRITES = call(0, "house__echo", '{"text": "hello"}'), call(1, "house__write", '{"text": "again"}')
APPROVED, REFUSED = '{"approve": true}', '{"approve": false, "reason": "Not today."}'
RACERS = 4
Waiting = Callable[..., Awaitable[Run]]
Submit = Callable[..., Awaitable[str]]


@pytest_asyncio.fixture
async def mcp() -> AsyncIterator[ScriptedServer]:
    async with serving() as server:
        server.tools = [ECHO, {"name": "write", "inputSchema": ECHO["inputSchema"]}]
        yield server


@pytest.fixture
def waiting(
    model: Model, mcp: ScriptedServer, project: Project, begin: Callable[..., Run], assistant: Assistant
) -> Waiting:
    """``waiting(*asked, approval=…)``: a run at rest after the model asked for these calls.

    ``then`` is what the model says where nobody has to be asked.
    """

    async def make(*asked: Any, then: list[Any] | None = None, **fields: Any) -> Run:
        row = await registered(mcp, project.pk, **{"approval": "always", **fields})
        entry = {"type": "mcp", "server_id": row.pk, "tools": None}
        await in_database(lambda: Assistant.objects.filter(pk=assistant.pk).update(server_tools=[entry]))
        run = await in_database(begin)
        model.answers(*asked, end("tool_calls"))
        if then is not None:
            model.answers(*then)
        async with working():
            return await ended(run.pk)

    return make


@pytest.fixture
def submit(principal: Principal) -> Submit:
    """``submit(run, *outputs)``: "taken", or why not."""

    async def make(run: Run, *outputs: str) -> str:
        given = [
            {"tool_call_id": asked["id"], "output": output}
            for asked, output in zip(asked_calls(run), outputs, strict=True)
        ]
        try:
            await in_database(
                control.submit_tool_outputs,
                principal=principal,
                thread_id=run.thread_id,
                run_id=run.pk,
                tool_outputs=given,
            )
        except ApiError as refused:
            return refused.message
        return "taken"

    return make


async def finished(model: Model, run: Run) -> Run:
    """The run's end, once a worker is there again."""
    model.answers(*says("Well."), end())
    async with working():
        return await ended(run.pk)


def called(mcp: ScriptedServer) -> list[str]:
    return [message["params"]["name"] for method, message, _ in mcp.heard if method == "tools/call"]


async def test_a_person_is_asked_what_exactly_is_to_be_called(
    model: Model, mcp: ScriptedServer, waiting: Waiting, submit: Submit
) -> None:
    run = await waiting(*READS)
    [asked] = asked_calls(run)
    assert asked["function"]["name"] == "mcp_approval_request"
    assert json.loads(asked["function"]["arguments"]) == {
        "server_label": "house", "name": "echo", "arguments": {"text": "hello"},
    }  # fmt: skip
    assert mcp.heard == []
    assert await submit(run, APPROVED) == "taken"
    over = await finished(model, run)
    assert (over.status, called(mcp)) == ("completed", ["echo"])
    assert await in_database(outputs, run) == [f"{tools.INTRODUCTION}hello"]


async def test_a_refusal_is_told_to_the_model(
    model: Model, mcp: ScriptedServer, waiting: Waiting, submit: Submit
) -> None:
    run = await waiting(*READS)
    assert await submit(run, REFUSED) == "taken"
    over = await finished(model, run)
    assert (over.status, mcp.heard) == ("completed", [])
    assert await in_database(outputs, run) == ['{"error":"The call was refused. Not today."}']
    assert await in_database(uses) == [("mcp", "house__echo", "refused")]


async def test_one_of_two_is_refused(model: Model, mcp: ScriptedServer, waiting: Waiting, submit: Submit) -> None:
    run = await waiting(*READS, *WRITES)
    assert await submit(run, REFUSED, APPROVED) == "taken"
    await finished(model, run)
    assert called(mcp) == ["write"]
    assert await in_database(uses) == [("mcp", "house__echo", "refused"), ("mcp", "house__write", "ok")]


@pytest.mark.parametrize("output", ["yes", "{}", '{"approve": 1}', '{"approve": true', ""])
async def test_nonsense_changes_nothing(
    model: Model, mcp: ScriptedServer, waiting: Waiting, submit: Submit, output: str
) -> None:
    run = await waiting(*READS, *WRITES)
    assert "has to answer a request for approval" in await submit(run, APPROVED, output)
    assert await submit(run, APPROVED, APPROVED) == "taken"
    await finished(model, run)
    assert called(mcp) == ["echo", "write"]


async def test_unticked_tools_are_not_asked_about(
    model: Model, mcp: ScriptedServer, waiting: Waiting, submit: Submit
) -> None:
    """The others are called meanwhile."""
    run = await waiting(*READS, *WRITES, approval="listed", unasked_tools=["echo"])
    assert [json.loads(asked["function"]["arguments"])["name"] for asked in asked_calls(run)] == ["write"]
    assert called(mcp) == ["echo"]
    assert await submit(run, APPROVED) == "taken"
    await finished(model, run)
    assert called(mcp) == ["echo", "write"]


async def test_nobody_is_asked_about_arguments_that_break_the_schema(mcp: ScriptedServer, waiting: Waiting) -> None:
    run = await waiting(*call(0, "house__echo", '{"text": 7}'), then=[*says("Sorry."), end()])
    assert (run.status, mcp.heard) == ("completed", [])
    assert await in_database(uses) == [("mcp", "house__echo", "error")]


# ------------------------------------------------------------------------------------------------ meanwhile


async def test_a_tool_that_changes_while_somebody_thinks_is_not_called(
    model: Model, mcp: ScriptedServer, waiting: Waiting, submit: Submit
) -> None:
    run = await waiting(*READS)
    row = await in_database(McpServer.objects.get)
    mcp.tools = [ECHO | {"description": "Now it does something else."}]
    await tools.refresh([row])
    mcp.heard.clear()
    assert await submit(run, APPROVED) == "taken"
    over = await finished(model, run)
    assert (over.status, mcp.heard) == ("completed", [])
    assert errands.GONE in (await in_database(outputs, run))[0]


async def test_another_tool_that_has_its_name_by_now_is_not_called(
    model: Model, mcp: ScriptedServer, waiting: Waiting, submit: Submit
) -> None:
    name = tools.name_of("house", "a.b")
    mcp.tools = [ECHO | {"name": "a.b"}]
    run = await waiting(*call(0, name, '{"text": "hello"}'))
    row = await in_database(McpServer.objects.get)
    mcp.tools = [ECHO | {"name": name.removeprefix("house__")}]
    await tools.refresh([row])
    [listed] = (await in_database(McpServer.objects.get)).tools
    allowed = {listed.name: listed.digest}
    await in_database(lambda: McpServer.objects.update(approval="never", allowed=allowed))
    assert tools.name_of("house", listed.name) == name
    assert await submit(run, APPROVED) == "taken"
    await finished(model, run)
    assert called(mcp) == []
    assert errands.CHANGED in (await in_database(outputs, run))[0]


async def test_a_tool_that_is_not_to_be_asked_about_any_more_is_called(
    model: Model, mcp: ScriptedServer, waiting: Waiting, submit: Submit
) -> None:
    run = await waiting(*READS)
    await in_database(lambda: McpServer.objects.update(approval="never"))
    assert await submit(run, APPROVED) == "taken"
    await finished(model, run)
    assert called(mcp) == ["echo"]


async def test_a_run_that_is_cancelled_while_it_waits(
    mcp: ScriptedServer, waiting: Waiting, submit: Submit, principal: Principal
) -> None:
    run = await waiting(*READS)
    await in_database(control.cancel_run, principal=principal, thread_id=run.thread_id, run_id=run.pk)
    assert await submit(run, APPROVED) == 'Runs in status "cancelling" do not accept tool outputs.'
    await in_database(reaping.reap)
    over = await in_database(Run.objects.get, pk=run.pk)
    assert (over.status, over.required_action, mcp.heard) == ("cancelled", None, [])


async def test_an_approval_that_comes_too_late(mcp: ScriptedServer, waiting: Waiting, submit: Submit) -> None:
    run = await waiting(*READS)
    await in_database(age_run, run.pk)
    assert await submit(run, APPROVED) == 'Runs in status "expired" do not accept tool outputs.'
    assert mcp.heard == []


async def test_of_two_answers_at_once_one_counts(
    model: Model, mcp: ScriptedServer, waiting: Waiting, submit: Submit
) -> None:
    run = await waiting(*READS)
    answers = await asyncio.gather(*(submit(run, (APPROVED, REFUSED)[racer % 2]) for racer in range(RACERS)))
    assert answers.count("taken") == 1
    await finished(model, run)
    approved = answers.index("taken") % 2 == 0
    assert called(mcp) == (["echo"] if approved else [])
    assert await in_database(uses) == [("mcp", "house__echo", "ok" if approved else "refused")]


# ------------------------------------------------------------------------------------------------ workers that die


async def test_a_worker_that_dies_between_the_approval_and_the_call(
    model: Model, mcp: ScriptedServer, waiting: Waiting, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another makes the call: nothing says that it was begun."""
    run, gate, commit = await waiting(*WRITES), Gate(), errands.Errands._commit

    async def hangs_once(self: errands.Errands, write: Any) -> None:
        if not gate.reached.is_set():
            gate.reached.set()
            await asyncio.Event().wait()
        await commit(self, write)

    monkeypatch.setattr(errands.Errands, "_commit", hangs_once)
    assert await submit(run, APPROVED) == "taken"
    model.answers(*says("Well."), end())
    async with working() as worker:
        await within(gate.reached.wait())
        assert mcp.heard == []
        await kill(worker, run.pk)
        over = await ended(run.pk)
    assert (over.status, called(mcp)) == ("completed", ["write"])
    assert await in_database(uses) == [("mcp", "house__write", "ok")]


async def test_a_worker_that_dies_in_an_approved_call(
    model: Model, mcp: ScriptedServer, waiting: Waiting, submit: Submit
) -> None:
    """One approval is one call: it is not made a second time."""
    run = await waiting(*WRITES)
    mcp.answers["tools/call"] = scripted.hang
    assert await submit(run, APPROVED) == "taken"
    model.answers(*says("Well."), end())
    async with working() as worker:
        await mcp.until_heard("tools/call")
        await kill(worker, run.pk)
        mcp.answers["tools/call"] = contents(text("done"))
        over = await ended(run.pk)
    assert (over.status, called(mcp)) == ("completed", ["write"])
    assert await in_database(uses) == [("mcp", "house__write", "interrupted")]
