"""Function calls: what is asked, what is submitted, and how the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assistants.models import Assistant
from inference.chat import Usage
from runs.models import Run
from runs.services import control
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError
from tests.runs.support import (
    Model,
    asked_calls,
    call,
    end,
    ended,
    names,
    outputs_for,
    payloads,
    steps_of,
    text,
    until,
    working,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def submit(principal: Principal) -> Callable[..., Any]:
    """``submit(run, outputs)``: what the route does."""

    def make(run: Run, outputs: list[dict[str, Any]]) -> Any:
        return control.submit_tool_outputs(
            principal=principal, thread_id=run.thread_id, run_id=run.id, tool_outputs=outputs
        )

    return make


async def test_a_function_call_and_its_output_in_the_contracts_order(
    model: Model, begin: Callable[..., Run], tooled: Assistant, submit: Callable[..., Any]
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather", '{"city":', ' "Bern"}'), end("tool_calls", Usage(20, 5)))
    async with working():
        waiting = await ended(run.id)
        assert waiting.status == "requires_action"
        assert (waiting.lease_owner, waiting.lease_expires_at) == (None, None)
        assert await in_database(names, run.id) == [
            "run.created",
            "run.queued",
            "run.in_progress",
            "run.step.created",
            "run.step.in_progress",
            "run.step.delta",
            "run.requires_action",
        ]
        model.answers(*text("Sunny."), end("stop", Usage(30, 6)))
        begun = await in_database(submit, waiting, outputs_for(waiting, output="20 degrees"))
        assert begun.cursor == waiting.last_seq
        over = await until(lambda: Run.objects.filter(pk=run.id, status="completed").first())

    assert (await in_database(names, run.id))[7:] == [
        "run.step.completed",
        "run.queued",
        "run.in_progress",
        "run.step.created",
        "run.step.in_progress",
        "message.created",
        "message.in_progress",
        "message.delta",
        "message.completed",
        "run.step.completed",
        "run.completed",
    ]
    assert (over.prompt_tokens, over.completion_tokens) == (50, 11)
    tools, message = await in_database(steps_of, run.id)
    assert tools.tool_calls[0]["function"] == {
        "name": "weather",
        "arguments": '{"city": "Bern"}',
        "output": "20 degrees",
    }
    assert (tools.status, tools.usage["total_tokens"], message.usage["total_tokens"]) == ("completed", 25, 36)


async def test_the_step_deltas_merge_in_the_clients(model: Model, begin: Callable[..., Run], tooled: Assistant) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather", "{", "}"), *call(1, "weather", "[]"), end("tool_calls"))
    async with working():
        waiting = await ended(run.id)

    (created,) = await in_database(payloads, run.id, "run.step.created")
    assert created["step_details"] == {"type": "tool_calls", "tool_calls": []}
    deltas = [
        delta["delta"]["step_details"]["tool_calls"][0]
        for delta in await in_database(payloads, run.id, "run.step.delta")
    ]
    first, second = asked_calls(waiting)
    begun = [delta for delta in deltas if "name" in delta["function"]]
    pieces = [delta for delta in deltas if delta not in begun]  # as few or many as there were flushes
    assert [delta["index"] for delta in begun] == [0, 1]
    assert [delta["index"] for delta in deltas] == sorted(delta["index"] for delta in deltas)
    assert deltas[0]["function"] == {"name": "weather", "arguments": "", "output": None}
    assert [delta["id"] for delta in begun] == [first["id"], second["id"]]
    assert pieces
    assert all("id" not in delta and set(delta["function"]) == {"arguments"} for delta in pieces)
    assert (first["function"]["arguments"], second["function"]["arguments"]) == ("{}", "[]")
    assert first["id"].startswith("call_")
    (told,) = await in_database(payloads, run.id, "run.requires_action")
    assert told["required_action"] == waiting.required_action
    assert told["usage"] is None


async def test_several_calls_go_back_together_and_the_model_sees_them(
    model: Model, begin: Callable[..., Run], tooled: Assistant, submit: Callable[..., Any]
) -> None:
    run = await in_database(begin, assistant_id=tooled.id, tool_choice="required")
    model.answers(*text("Let me look."), *call(0, "weather", "1"), *call(1, "weather", "2"), end("tool_calls"))
    async with working():
        waiting = await ended(run.id)
        model.answers(*text("Done"), end())
        await in_database(submit, waiting, list(reversed(outputs_for(waiting))))
        await until(lambda: Run.objects.filter(pk=run.id, status="completed").first())

    first, second = asked_calls(waiting)
    assert model.requests[1].messages == [
        {"role": "user", "content": "Hello?"},
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [
                {"id": first["id"], "type": "function", "function": {"name": "weather", "arguments": "1"}},
                {"id": second["id"], "type": "function", "function": {"name": "weather", "arguments": "2"}},
            ],
        },
        {"role": "tool", "tool_call_id": first["id"], "content": "0"},
        {"role": "tool", "tool_call_id": second["id"], "content": "1"},
    ]
    # a forced choice holds for the first call only: otherwise the loop would never end
    assert [request.tool_choice for request in model.requests] == ["required", "auto"]
    kinds = [(step.type, step.status) for step in await in_database(steps_of, run.id)]
    assert kinds == [("message_creation", "completed"), ("tool_calls", "completed"), ("message_creation", "completed")]


async def test_without_parallel_calls_only_the_first_is_asked(
    model: Model, begin: Callable[..., Run], tooled: Assistant
) -> None:
    run = await in_database(begin, assistant_id=tooled.id, parallel_tool_calls=False)
    model.answers(*call(0, "weather", "1"), *call(1, "weather", "2"), end("tool_calls"))
    async with working():
        waiting = await ended(run.id)
    assert [asked["function"]["arguments"] for asked in asked_calls(waiting)] == ["1"]
    assert model.requests[0].parallel_tool_calls is False


async def test_the_only_call_needs_no_id(
    model: Model, begin: Callable[..., Run], tooled: Assistant, submit: Callable[..., Any]
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather"), end("tool_calls"))
    async with working():
        waiting = await ended(run.id)
    await in_database(submit, waiting, [{"output": "21 degrees"}])
    (step,) = await in_database(steps_of, run.id)
    assert [asked["function"]["output"] for asked in step.tool_calls] == ["21 degrees"]


async def test_of_several_calls_each_needs_its_id(
    model: Model, begin: Callable[..., Run], tooled: Assistant, submit: Callable[..., Any]
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather"), *call(1, "weather"), end("tool_calls"))
    async with working():
        waiting = await ended(run.id)
    first, second = outputs_for(waiting)
    for given, shown in (([{"output": "x"}], [None]), ([first, {"output": "x"}], [first["tool_call_id"], None])):
        with pytest.raises(ApiError) as refused:
            await in_database(submit, waiting, given)
        expected = [first["tool_call_id"], second["tool_call_id"]]
        assert refused.value.message == f"Expected tool outputs for call_ids {expected}, got {shown}"


async def test_nul_in_a_call_is_dropped(model: Model, begin: Callable[..., Run], tooled: Assistant) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "wea\x00ther", '{"a":\x00 1}', "\x00"), end("tool_calls"))
    async with working():
        waiting = await ended(run.id)
    assert asked_calls(waiting)[0]["function"] == {"name": "weather", "arguments": '{"a": 1}'}


async def test_a_call_cut_by_the_budget_ends_incomplete(
    model: Model, begin: Callable[..., Run], tooled: Assistant
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather", '{"a'), end("length"))
    async with working():
        over = await ended(run.id)
    assert over.status == "incomplete"
    (step,) = await in_database(steps_of, run.id)
    assert step.tool_calls[0]["function"]["arguments"] == '{"a'


async def test_a_spent_budget_ends_the_run_before_the_next_call(
    model: Model, begin: Callable[..., Run], tooled: Assistant, submit: Callable[..., Any]
) -> None:
    run = await in_database(begin, assistant_id=tooled.id, max_prompt_tokens=256)
    model.answers(*call(0, "weather"), end("tool_calls", Usage(300, 5)))
    async with working():
        waiting = await ended(run.id)
        await in_database(submit, waiting, outputs_for(waiting))
        over = await until(lambda: Run.objects.filter(pk=run.id, status="incomplete").first())
    assert over.incomplete_details == {"reason": "max_prompt_tokens"}
    assert len(model.requests) == 1
