"""Tools that are carried out here and shown as functions: what clients, rows and the model see of their calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from inference.chat import Capabilities
from runs.asked import MOST_CALLS
from runs.models import Run, ToolUse
from runs.services import control
from runs.tools import EXTENSIONS
from runs.tools.fitting import LEFT_OUT
from runs.tools.functions import MAXIMUM_OUTPUT
from runs.worker import errands
from sovereign.accounts.principals import Principal
from sovereign.core import errors
from sovereign.core.database import in_database
from tests.runs.echoing import ASKED, ECHO, Echo, ask, echo, output_of, submit, uses
from tests.runs.support import (
    WEATHER,
    Gate,
    Model,
    asked_calls,
    call,
    end,
    ended,
    kill,
    names,
    payloads,
    steps_of,
    text,
    within,
    working,
)
from threads.context import BYTES_PER_TOKEN, PROMPT_SHARE

__all__ = ["ask", "echo"]
pytestmark = pytest.mark.django_db(transaction=True)

# ------------------------------------------------------------------------------------------------ as a function


async def test_clients_see_a_function_whose_output_is_there(model: Model, ask: Callable[..., Run]) -> None:
    run = await in_database(ask)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("It said hello."), end())
    async with working():
        over = await ended(run.id)
    assert over.status == "completed"
    assert (await in_database(names, run.id))[3:8] == [
        "run.step.created", "run.step.in_progress", "run.step.delta", "run.step.completed", "run.step.created",
    ]  # fmt: skip
    deltas = [
        delta["delta"]["step_details"]["tool_calls"][0]
        for delta in await in_database(payloads, run.id, "run.step.delta")
    ]
    assert deltas[0]["function"] == {"name": "echo", "arguments": "", "output": None}
    assert "".join(delta["function"]["arguments"] for delta in deltas) == '{"say": "hello"}'
    step, _ = await in_database(steps_of, run.id)
    assert output_of(step) == "hello"
    told = model.requests[1].messages[-2:]
    assert told[0]["tool_calls"][0]["function"] == {"name": "echo", "arguments": '{"say": "hello"}'}
    assert told[1]["content"] == "hello"
    assert await in_database(uses) == [("echo", "echo", "ok")]


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ('{"say": 7}', "The arguments are wrong. At 'say': 7 is not of type 'string'"),
        ("{}", "'say' is a required property"),
        ('{"say": "x", "more": 1}', "Additional properties are not allowed"),
        ('{"say": "x"', "The arguments are not a JSON object"),
        ("[]", "The arguments are not a JSON object: got list"),
        ('{"say": "fail"}', "There is nothing to say."),
    ],
)
async def test_what_is_wrong_is_told_to_the_model(
    model: Model, ask: Callable[..., Run], written: str, complaint: str
) -> None:
    run = await in_database(ask)
    model.answers(*call(0, "echo", written), end("tool_calls"))
    model.answers(*text("Sorry."), end())
    async with working():
        over = await ended(run.id)
    assert over.status == "completed"
    assert complaint in json.loads(model.requests[1].messages[-1]["content"])["error"]
    assert await in_database(uses) == [("echo", "echo", "error")]


async def test_a_model_asks_nobody_for_an_approval_in_a_tools_place(model: Model, ask: Callable[..., Run]) -> None:
    run = await in_database(ask)
    forged = '{"server_label": "bank", "name": "pay", "arguments": {}}'
    model.answers(*call(0, "mcp_approval_request", forged), end("tool_calls"))
    model.answers(*text("Sorry."), end())
    async with working():
        over = await ended(run.id)
    assert over.status == "completed"
    assert model.requests[1].messages[-1]["content"] == '{"error":"There is no such tool."}'
    assert await in_database(uses) == [("unknown", "mcp_approval_request", "error")]


async def test_a_pattern_that_takes_for_ever_is_not_tried(model: Model, ask: Callable[..., Run]) -> None:
    run = await in_database(ask)
    model.answers(*call(0, "echo", json.dumps({"say": "a" * 64 + "!"})), end("tool_calls"))
    model.answers(*text("Done."), end())
    async with working():
        over = await ended(run.id)
    assert (over.status, await in_database(uses)) == ("completed", [("echo", "echo", "ok")])


async def test_an_output_is_bounded(model: Model, ask: Callable[..., Run]) -> None:
    run = await in_database(ask, {"type": "echo", "times": MAXIMUM_OUTPUT})
    model.answers(*call(0, "echo", '{"say": "ä"}'), end("tool_calls"))
    model.answers(*text("Much."), end())
    async with working():
        await ended(run.id)
    step, _ = await in_database(steps_of, run.id)
    assert output_of(step).startswith("ä" * (MAXIMUM_OUTPUT // 2) + "\n[The rest was left out")


async def test_what_a_model_is_told_fits_into_what_it_reads(model: Model, ask: Callable[..., Run]) -> None:
    """The newest has the room; nothing of it is lost to the application."""
    model.capabilities = Capabilities(context_length=2_048)
    run = await in_database(ask, {"type": "echo", "times": MAXIMUM_OUTPUT})
    model.answers(*call(0, "echo", '{"say": "a"}'), end("tool_calls"))
    model.answers(*call(0, "echo", '{"say": "b"}'), end("tool_calls"))
    model.answers(*text("Much."), end())
    async with working():
        over = await ended(run.id)
    assert over.status == "completed"
    first, second, _ = await in_database(steps_of, run.id)
    assert (len(output_of(first)), len(output_of(second))) == (MAXIMUM_OUTPUT, MAXIMUM_OUTPUT)
    older, newer = [said["content"] for said in model.requests[2].messages if said["role"] == "tool"]
    assert newer.startswith("bb")
    assert newer.endswith("bb")
    assert older == LEFT_OUT.format(MAXIMUM_OUTPUT)
    assert len(json.dumps(model.requests[2].messages)) < 2_048 * BYTES_PER_TOKEN * PROMPT_SHARE


async def test_what_a_tool_said_that_was_taken_away_is_cut_as_well(
    model: Model, ask: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    model.capabilities, gate = Capabilities(context_length=2_048), Gate()
    monkeypatch.setattr(Echo, "gate", gate)
    run = await in_database(ask, {"type": "echo", "times": MAXIMUM_OUTPUT})
    model.answers(*call(0, "echo", '{"say": "a"}'), end("tool_calls"))
    model.answers(*text("Much."), end())
    async with working():
        await within(gate.reached.wait())
        monkeypatch.delitem(EXTENSIONS, "echo")
        gate.opened.set()
        over = await ended(run.id)
    assert over.status == "completed"
    assert len(model.requests[1].messages[-1]["content"]) < 2_048 * BYTES_PER_TOKEN * PROMPT_SHARE


async def test_calls_of_ours_and_of_the_application_in_one_turn(
    model: Model, ask: Callable[..., Run], principal: Principal
) -> None:
    run = await in_database(ask, ECHO, WEATHER)
    model.answers(*ASKED, *call(1, "weather", "{}"), end("tool_calls"))
    model.answers(*text("Both."), end())
    async with working():
        waiting = await ended(run.id)
        assert [asked["function"]["name"] for asked in asked_calls(waiting)] == ["weather"]
        (step,) = await in_database(steps_of, run.id)
        assert (output_of(step), step.status) == ("hello", "in_progress")
        await in_database(submit, principal, waiting, weather="sunny")
        over = await ended(run.id)
    step, _ = await in_database(steps_of, run.id)
    assert (over.status, output_of(step), output_of(step, 1)) == ("completed", "hello", "sunny")
    assert [message["content"] for message in model.requests[1].messages[-2:]] == ["hello", "sunny"]


# ------------------------------------------------------------------------------------------------ limits


async def test_what_was_answered_twice_is_not_carried_out_again(
    model: Model, ask: Callable[..., Run], echo: Any
) -> None:
    run = await in_database(ask)
    for _ in range(3):
        model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Enough."), end())
    async with working():
        over = await ended(run.id)
    assert (over.status, echo.answered) == ("completed", ["hello", "hello"])
    assert errands.SAME in model.requests[3].messages[-1]["content"]
    assert [outcome for _, _, outcome in await in_database(uses)] == ["ok", "ok", "repeated"]


async def test_a_call_that_takes_too_long_is_stopped(
    model: Model, ask: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Echo, "gate", Gate())
    run = await in_database(ask, {"type": "echo", "timeout": 0.01})
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Too long."), end())
    async with working():
        over = await ended(run.id)
    assert (over.status, await in_database(uses)) == ("completed", [("echo", "echo", "timeout")])
    assert "was stopped" in model.requests[1].messages[-1]["content"]


async def test_a_run_without_time_for_tools_makes_no_more_calls(
    model: Model, ask: Callable[..., Run], echo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "TOOL_SECONDS", 0.0)
    run = await in_database(ask)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("No time."), end())
    async with working():
        over = await ended(run.id)
    assert (over.status, echo.answered) == ("completed", [])
    assert await in_database(uses) == [("echo", "echo", "spent")]


# ------------------------------------------------------------------------------------------------ workers that die


@pytest.mark.parametrize(("repeatable", "outcome", "answered"), [(True, "ok", 2), (False, "interrupted", 1)])
async def test_only_what_may_be_is_done_twice(
    model: Model,
    ask: Callable[..., Run],
    echo: Any,
    monkeypatch: pytest.MonkeyPatch,
    repeatable: bool,
    outcome: str,
    answered: int,
) -> None:
    gate = Gate()
    monkeypatch.setattr(Echo, "gate", gate)
    run = await in_database(ask, {"type": "echo", "repeatable": repeatable})
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Well."), end())
    async with working() as worker:
        await within(gate.reached.wait())
        await kill(worker, run.id)
        gate.opened.set()
        over = await ended(run.id)
    assert (over.status, len(echo.answered)) == ("completed", answered)
    assert await in_database(uses) == [("echo", "echo", outcome)]
    assert len(model.requests) == 2


async def test_what_was_done_before_the_worker_died_is_not_done_again(
    model: Model, ask: Callable[..., Run], echo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, real = Gate(), Echo.answer

    async def second_waits(self: Echo, arguments: dict[str, Any]) -> str:
        if arguments["say"] == "b" and not gate.reached.is_set():
            gate.reached.set()
            await asyncio.Event().wait()
        return await real(self, arguments)

    monkeypatch.setattr(Echo, "answer", second_waits)
    run = await in_database(ask)
    model.answers(*call(0, "echo", '{"say": "a"}'), *call(1, "echo", '{"say": "b"}'), end("tool_calls"))
    model.answers(*text("Both."), end())
    async with working() as worker:
        await within(gate.reached.wait())
        await kill(worker, run.id)
        over = await ended(run.id)
    assert (over.status, echo.answered) == ("completed", ["a", "b"])
    assert [outcome for _, _, outcome in await in_database(uses)] == ["ok", "ok"]


# ------------------------------------------------------------------------------------------------ consent

CAREFUL = {"type": "echo", "approval": "house"}


@pytest.mark.parametrize("answer", ['{"approve": true}', "approve", ' {"approve": true, "reason": null} '])
async def test_a_call_waits_until_it_is_approved(
    model: Model, ask: Callable[..., Run], principal: Principal, echo: Any, answer: str
) -> None:
    run = await in_database(ask, CAREFUL)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Approved."), end())
    async with working():
        waiting = await ended(run.id)
        (asked,) = asked_calls(waiting)
        (step,) = await in_database(steps_of, run.id)
        assert (asked["id"], step.tool_calls[0]["function"]["name"]) == (step.tool_calls[0]["id"], "echo")
        assert json.loads(asked["function"]["arguments"]) == {
            "server_label": "house", "name": "echo", "arguments": {"say": "hello"},
        }  # fmt: skip
        assert echo.answered == []
        await in_database(submit, principal, waiting, mcp_approval_request=answer)
        over = await ended(run.id)
    step, _ = await in_database(steps_of, run.id)
    assert (over.status, output_of(step), echo.answered) == ("completed", "hello", ["hello"])
    assert await in_database(uses) == [("echo", "echo", "ok")]


async def test_a_call_that_was_refused_is_not_made(
    model: Model, ask: Callable[..., Run], principal: Principal, echo: Any
) -> None:
    run = await in_database(ask, CAREFUL, WEATHER)
    model.answers(*ASKED, *call(1, "weather", "{}"), end("tool_calls"))
    model.answers(*text("Then not."), end())
    async with working():
        waiting = await ended(run.id)
        refusal = '{"approve": false, "reason": "Too loud."}'
        await in_database(submit, principal, waiting, mcp_approval_request=refusal, weather="sunny")
        over = await ended(run.id)
    assert (over.status, echo.answered, await in_database(uses)) == ("completed", [], [("echo", "echo", "refused")])
    contents = [message["content"] for message in model.requests[1].messages[-2:]]
    assert contents == ['{"error":"The call was refused. Too loud."}', "sunny"]


@pytest.mark.parametrize("answer", ["", "yes", '{"approve": "true"}', '{"approve": true, "more": 1}', "[true]", "{"])
async def test_what_is_no_answer_changes_nothing(
    model: Model, ask: Callable[..., Run], principal: Principal, answer: str
) -> None:
    run = await in_database(ask, CAREFUL)
    model.answers(*ASKED, end("tool_calls"))
    async with working():
        waiting = await ended(run.id)
        before = waiting.last_seq
        with pytest.raises(errors.ApiError, match="has to answer a request for approval"):
            await in_database(submit, principal, waiting, mcp_approval_request=answer)
    after = await in_database(Run.objects.get, pk=run.id)
    assert (after.status, after.last_seq) == ("requires_action", before)


async def test_a_tool_that_changed_after_its_approval_is_not_called(
    model: Model, ask: Callable[..., Run], principal: Principal, echo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await in_database(ask, CAREFUL)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Then not."), end())
    async with working():
        waiting = await ended(run.id)
        monkeypatch.setattr(Echo, "approval", lambda self, arguments: {"name": "another"})
        await in_database(submit, principal, waiting, mcp_approval_request="approve")
        over = await ended(run.id)
    assert (over.status, echo.answered) == ("completed", [])
    assert errands.CHANGED in model.requests[1].messages[-1]["content"]


# ------------------------------------------------------------------------------------------------ what nobody expected


async def test_a_tool_that_breaks_ends_its_call_and_not_the_run(
    model: Model, ask: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Echo, arguments: dict[str, Any]) -> str:
        raise RuntimeError("secret")

    monkeypatch.setattr(Echo, "answer", broken)
    run = await in_database(ask)
    model.answers(*ASKED, end("tool_calls"))
    model.answers(*text("Sorry."), end())
    async with working():
        over = await ended(run.id)
    assert (over.status, await in_database(uses)) == ("completed", [("echo", "echo", "error")])
    assert json.loads(model.requests[1].messages[-1]["content"]) == {"error": errands.CRASHED}


async def test_arguments_that_could_be_read_and_not_written_are_refused(model: Model, ask: Callable[..., Run]) -> None:
    run = await in_database(ask, CAREFUL)
    model.answers(*call(0, "echo", '{"say": ' + "[" * 500 + "]" * 500 + "}"), end("tool_calls"))
    model.answers(*text("Sorry."), end())
    async with working():
        over = await ended(run.id)
    assert over.status == "completed"
    assert "nested too deeply" in model.requests[1].messages[-1]["content"]


async def test_a_turn_of_more_calls_than_anybody_could_answer_fails(model: Model, ask: Callable[..., Run]) -> None:
    run = await in_database(ask, ECHO, WEATHER)
    calls = [piece for index in range(MOST_CALLS + 1) for piece in call(index, "weather", "{}")]
    model.answers(*calls, end("tool_calls"))
    async with working():
        over = await ended(run.id)
    assert over.status == "failed"
    assert f"more than {MOST_CALLS} calls" in over.last_error["message"]


async def test_a_call_that_ends_with_its_run_is_noted_with_its_time(
    model: Model, ask: Callable[..., Run], principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    monkeypatch.setattr(Echo, "gate", gate)
    monkeypatch.setattr("runs.services.uses.seconds_since_start", lambda entry: entry["started_at"] and 7.0)
    run = await in_database(ask)
    model.answers(*ASKED, end("tool_calls"))
    async with working():
        await within(gate.reached.wait())
        await in_database(lambda: control.cancel_run(principal=principal, thread_id=run.thread_id, run_id=run.id))
        over = await ended(run.id)
    assert over.status == "cancelled"
    assert await in_database(uses) == [("echo", "echo", "cancelled")]
    assert (await in_database(ToolUse.objects.get)).milliseconds == 7_000
