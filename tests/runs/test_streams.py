"""Every kind of stream, from its first event to ``done``: the exact order, and what clients' accumulators need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from assistants.models import Assistant
from inference.chat import InferenceError, Usage
from runs.models import Run
from runs.services import control, creation
from runs.streaming import rights
from runs.streaming.reader import frames
from runs.streaming.rights import Rights
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.accumulator import Accumulator
from tests.runs.support import (
    Gate,
    Model,
    age_run,
    asked_calls,
    call,
    end,
    ended,
    kill,
    names,
    outputs_for,
    steps_of,
    streamed_text,
    text,
    until,
    within,
    working,
)
from tests.runs.test_readers import parsed

pytestmark = pytest.mark.django_db(transaction=True)

BEGUN = ["run.created", "run.queued", "run.in_progress"]
AGAIN = ["run.step.completed", "run.queued", "run.in_progress"]  # what a submit's stream begins with
TEXT = ["run.step.created", "run.step.in_progress", "message.created", "message.in_progress", "message.delta"]
CALLS = ["run.step.created", "run.step.in_progress", "run.step.delta"]
WHOLE = ["message.completed", "run.step.completed", "run.completed", "done"]
ASKS = ["run.requires_action", "done"]


@pytest.fixture(autouse=True)
async def no_connection_stays() -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture
def watcher(principal: Principal, monkeypatch: pytest.MonkeyPatch) -> Rights:
    monkeypatch.setattr(rights, "_verdicts", {})
    return Rights(principal)


@pytest.fixture
def follow(watcher: Rights) -> Callable[..., Any]:
    """``await follow(run)``: the stream of the request that made the run, read to its end."""

    async def read(run: Run, cursor: int = 0) -> Accumulator:
        return Accumulator().read(await within(parsed(frames(run.id, cursor, watcher))))

    return read


@pytest.fixture
def submit(principal: Principal) -> Callable[..., Any]:
    async def make(run: Run, outputs: list[dict[str, Any]]) -> int:
        """The outputs are taken; the cursor that the submit's stream begins at."""
        begun = await in_database(
            control.submit_tool_outputs,
            principal=principal,
            thread_id=run.thread_id,
            run_id=run.id,
            tool_outputs=outputs,
        )
        cursor: int = begun.cursor
        return cursor

    return make


@pytest.fixture
def cancel(principal: Principal) -> Callable[[Run], Run]:
    return lambda run: control.cancel_run(principal=principal, thread_id=run.thread_id, run_id=run.id)


async def test_plain(model: Model, begin: Callable[..., Run], follow: Callable[..., Any]) -> None:
    run = await in_database(begin)
    model.answers(*text("Good", " morning"), end())
    async with working():
        stream = await follow(run)
    assert stream.names == [*BEGUN, *TEXT, *WHOLE]
    assert list(stream.texts.values()) == ["Good morning"]


async def test_thread_and_run(
    model: Model, principal: Principal, assistant: Assistant, follow: Callable[..., Any]
) -> None:
    def make() -> Run:
        thread = {"messages": [{"role": "user", "content": "Hi"}]}
        return creation.create_thread_and_run(principal=principal, assistant_id=assistant.id, thread=thread).run

    run = await in_database(make)
    model.answers(*text("Hello"), end())
    async with working():
        stream = await follow(run)
    assert stream.names == ["created", *BEGUN, *TEXT, *WHOLE]


async def test_outputs_submitted_from_inside_the_open_stream(
    model: Model, begin: Callable[..., Run], tooled: Assistant, watcher: Rights, submit: Callable[..., Any]
) -> None:
    """The client's handler submits before it reads on; what follows is told once, to the submit's own stream."""
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather", '{"city":', ' "Bern"}'), end("tool_calls"))
    model.answers(*text("Sunny."), end())
    outer: list[Any] = []
    async with working(), aclosing(frames(run.id, 0, watcher)) as stream:
        async for frame in stream:
            outer += await parsed(once(frame))
            if outer[-1][1] == "thread.run.requires_action":
                waiting = await in_database(Run.objects.get, pk=run.id)
                assert waiting.status == "requires_action"  # (i) committed before it was told
                told = outer[-1][2]["required_action"]["submit_tool_outputs"]["tool_calls"]
                cursor = await submit(run, [{"tool_call_id": asked["id"], "output": "20"} for asked in told])
                inner = Accumulator().read(await within(parsed(frames(run.id, cursor, watcher))))
    first = Accumulator().read(outer)
    assert first.names == [*BEGUN, *CALLS, *ASKS]
    assert inner.names == [*AGAIN, *TEXT, *WHOLE]
    ((asked,),) = first.calls.values()
    assert (asked["name"], asked["arguments"]) == ("weather", '{"city": "Bern"}')
    assert list(inner.texts.values()) == ["Sunny."]


async def once(frame: bytes) -> AsyncIterator[bytes]:
    yield frame


async def test_parallel_calls(
    model: Model, begin: Callable[..., Run], tooled: Assistant, follow: Callable[..., Any], submit: Callable[..., Any]
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(
        *call(0, "weather", '{"a"', ":1}"), *call(1, "weather", "{}"), *call(2, "weather", "[]"), end("tool_calls")
    )
    model.answers(*text("Done"), end())
    async with working():
        first = await follow(run)
        waiting = await ended(run.id)
        second = await follow(run, await submit(waiting, outputs_for(waiting)))
    assert first.names == [*BEGUN, *CALLS, *ASKS]
    (calls,) = first.calls.values()
    assert [asked["arguments"] for asked in calls] == ['{"a":1}', "{}", "[]"]
    assert [asked["id"] for asked in calls] == [asked["id"] for asked in asked_calls(waiting)]
    assert second.names == [*AGAIN, *TEXT, *WHOLE]


async def test_rounds_of_calls(
    model: Model, begin: Callable[..., Run], tooled: Assistant, follow: Callable[..., Any], submit: Callable[..., Any]
) -> None:
    run = await in_database(
        begin, assistant_id=tooled.id, tool_choice={"type": "function", "function": {"name": "weather"}}
    )
    rounds = 4
    for number in range(rounds):
        model.answers(*call(0, "weather", str(number)), end("tool_calls", Usage(10 + number, 2)))
    model.answers(*text("Done"), end("stop", Usage(20, 1)))
    cursor, asked = 0, []
    async with working():
        for number in range(rounds):
            stream = await follow(run, cursor)
            assert stream.names == [*(AGAIN if number else BEGUN), *CALLS, *ASKS]
            waiting = await in_database(Run.objects.get, pk=run.id)
            asked.append(asked_calls(waiting)[0])
            cursor = await submit(waiting, outputs_for(waiting, output=f"output {number}"))
        last = await follow(run, cursor)
    assert last.names == [*AGAIN, *TEXT, *WHOLE]
    assert [one["function"]["arguments"] for one in asked] == ["0", "1", "2", "3"]
    assert len({one["id"] for one in asked}) == rounds
    assert (last.last_run["usage"]["prompt_tokens"], last.last_run["usage"]["completion_tokens"]) == (66, 9)
    choices = [request.tool_choice for request in model.requests]
    assert choices == [{"type": "function", "function": {"name": "weather"}}, *["auto"] * rounds]
    told = [message["content"] for message in model.requests[-1].messages if message["role"] == "tool"]
    assert told == ["output 0", "output 1", "output 2", "output 3"]


async def test_text_and_then_a_call(
    model: Model, begin: Callable[..., Run], tooled: Assistant, follow: Callable[..., Any], submit: Callable[..., Any]
) -> None:
    """One turn of the model, two steps."""
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*text("Let", " me", " look."), *call(0, "weather"), end("tool_calls", Usage(20, 9)))
    model.answers(*text("Sunny."), end("stop", Usage(40, 2)))
    async with working():
        first = await follow(run)
        waiting = await ended(run.id)
        second = await follow(run, await submit(waiting, outputs_for(waiting)))
    assert first.names == [*BEGUN, *TEXT, "message.completed", "run.step.completed", *CALLS, *ASKS]
    assert second.names == [*AGAIN, *TEXT, *WHOLE]
    usages = await in_database(usages_of, run.id)
    assert [(usage["prompt_tokens"], usage["completion_tokens"]) for usage in usages] == [(0, 3), (20, 6), (40, 2)]
    assert second.last_run["usage"]["total_tokens"] == 71 == sum(usage["total_tokens"] for usage in usages)


def usages_of(run_id: str) -> list[dict[str, Any]]:
    return [step.usage for step in steps_of(run_id)]


CUT_SHORT = [
    pytest.param([], [], id="at-once"),
    pytest.param(text("Once"), [*TEXT, "message.incomplete"], id="in-text"),
    pytest.param(call(0, "weather", '{"a'), CALLS, id="in-a-call"),
    pytest.param(
        [*text("Look"), *call(0, "weather")],
        [*TEXT, "message.completed", "run.step.completed", *CALLS],
        id="in-a-call-after-text",
    ),
]


def told(events: list[str], ending: str) -> list[str]:
    """The order of a run that ends badly: what is open is ended first."""
    step = [f"run.step.{ending}"] if events else []
    return [*events, *step, f"run.{ending}", "done"]


@pytest.mark.parametrize(("said", "events"), CUT_SHORT)
async def test_failure(
    model: Model, begin: Callable[..., Run], tooled: Assistant, follow: Callable[..., Any], said: Any, events: list[str]
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*said, InferenceError("The engine went away."))
    async with working():
        stream = await follow(run)
    assert stream.names == [*BEGUN, *told(events, "failed")]
    assert stream.last_run["last_error"] == {"code": "server_error", "message": "The engine went away."}
    assert stream.last_run["failed_at"] is not None


@pytest.mark.parametrize(("said", "events"), CUT_SHORT)
async def test_cancelled_by_another_request(
    model: Model,
    begin: Callable[..., Run],
    tooled: Assistant,
    follow: Callable[..., Any],
    cancel: Callable[[Run], Run],
    said: Any,
    events: list[str],
) -> None:
    run, gate = await in_database(begin, assistant_id=tooled.id), Gate()
    model.answers(*said, gate)
    async with working():
        viewer = asyncio.create_task(follow(run))
        await within(gate.reached.wait())
        await written(run, events)
        await in_database(cancel, run)
        stream = await within(viewer)
    said_before = [name for name in events if name != "message.incomplete"]
    assert stream.names == [*BEGUN, *said_before, "run.cancelling", *told(events, "cancelled")[len(said_before) :]]
    assert stream.last_run["cancelled_at"] is not None


async def written(run: Run, events: list[str]) -> None:
    """Wait for the last thing the model said to be in the log."""
    said = [name for name in events if name != "message.incomplete"]
    await until(lambda: names(run.id)[len(BEGUN) :] == said)


@pytest.mark.parametrize(("said", "events"), CUT_SHORT)
async def test_expired_under_an_open_stream(
    model: Model, begin: Callable[..., Run], tooled: Assistant, follow: Callable[..., Any], said: Any, events: list[str]
) -> None:
    run, gate = await in_database(begin, assistant_id=tooled.id), Gate()
    model.answers(*said, gate)
    async with working():
        viewer = asyncio.create_task(follow(run))
        await within(gate.reached.wait())
        await written(run, events)
        await in_database(age_run, run.id)
        stream = await within(viewer)
    assert stream.names == [*BEGUN, *told(events, "expired")]


async def test_expired_without_any_worker(
    begin: Callable[..., Run], follow: Callable[..., Any], principal: Principal
) -> None:
    """A reading by anybody ends the run, and the stream that waits is told."""
    run = await in_database(begin)
    viewer = asyncio.create_task(follow(run))
    await in_database(age_run, run.id)
    await in_database(control.get_run, principal=principal, thread_id=run.thread_id, run_id=run.id)
    assert (await within(viewer)).names == ["run.created", "run.queued", "run.expired", "done"]


async def test_cancelled_while_queued(
    begin: Callable[..., Run], follow: Callable[..., Any], cancel: Callable[[Run], Run]
) -> None:
    run = await in_database(begin)
    viewer = asyncio.create_task(follow(run))
    await in_database(cancel, run)
    async with working():
        assert (await within(viewer)).names == ["run.created", "run.queued", "run.cancelling", "run.cancelled", "done"]


@pytest.mark.parametrize(
    ("said", "events"),
    [
        pytest.param([], [], id="at-once"),
        pytest.param(text("Once"), [*TEXT, "message.incomplete", "run.step.completed"], id="in-text"),
        pytest.param(call(0, "weather", '{"a'), [*CALLS, "run.step.completed"], id="in-a-call"),
    ],
)
async def test_completion_budget(
    model: Model, begin: Callable[..., Run], tooled: Assistant, follow: Callable[..., Any], said: Any, events: list[str]
) -> None:
    run = await in_database(begin, assistant_id=tooled.id, max_completion_tokens=256)
    model.answers(*said, end("length", Usage(10, 256)))
    async with working():
        stream = await follow(run)
    assert stream.names == [*BEGUN, *events, "run.incomplete", "done"]
    assert stream.last_run["incomplete_details"] == {"reason": "max_completion_tokens"}
    assert stream.last_run["usage"]["completion_tokens"] == 256


async def test_prompt_budget(model: Model, begin: Callable[..., Run], follow: Callable[..., Any]) -> None:
    """The answer is whole, but what was asked was longer than the run may send."""
    run = await in_database(begin, max_prompt_tokens=256)
    model.answers(*text("Yes"), end("stop", Usage(257, 1)))
    async with working():
        stream = await follow(run)
    assert stream.names == [*BEGUN, *TEXT, "message.completed", "run.step.completed", "run.incomplete", "done"]
    assert stream.last_run["incomplete_details"] == {"reason": "max_prompt_tokens"}


async def test_a_spent_budget_after_the_outputs(
    model: Model, begin: Callable[..., Run], tooled: Assistant, follow: Callable[..., Any], submit: Callable[..., Any]
) -> None:
    run = await in_database(begin, assistant_id=tooled.id, max_completion_tokens=256)
    model.answers(*call(0, "weather"), end("tool_calls", Usage(10, 256)))
    async with working():
        await follow(run)
        waiting = await ended(run.id)
        stream = await follow(run, await submit(waiting, outputs_for(waiting)))
    assert stream.names == [*AGAIN, "run.incomplete", "done"]
    assert stream.last_run["incomplete_details"] == {"reason": "max_completion_tokens"}


async def test_a_dead_worker_is_not_seen_in_the_stream(
    model: Model, begin: Callable[..., Run], follow: Callable[..., Any]
) -> None:
    run, gate = await in_database(begin), Gate()
    model.answers(*text("Once", " upon"), gate)
    model.answers(*text(" a", " time"), end())
    async with working() as worker:
        viewer = asyncio.create_task(follow(run))
        await until(lambda: streamed_text(run.id) == "Once upon")
        await kill(worker, run.id)
        stream = await within(viewer)
    assert stream.names == [*BEGUN, *TEXT, *WHOLE]
    assert list(stream.texts.values()) == ["Once upon a time"]


async def test_a_dead_worker_whose_engine_cannot_continue(
    model: Model, begin: Callable[..., Run], follow: Callable[..., Any]
) -> None:
    model.capabilities = replace(model.capabilities, continuation=False)
    run, gate = await in_database(begin), Gate()
    model.answers(*text("Once"), gate)
    async with working() as worker:
        viewer = asyncio.create_task(follow(run))
        await until(lambda: streamed_text(run.id) == "Once")
        await kill(worker, run.id)
        stream = await within(viewer)
    assert stream.names == [*BEGUN, *told([*TEXT, "message.incomplete"], "failed")]


async def test_a_dead_worker_in_a_call(
    model: Model, begin: Callable[..., Run], tooled: Assistant, follow: Callable[..., Any]
) -> None:
    run, gate = await in_database(begin, assistant_id=tooled.id), Gate()
    model.answers(*call(0, "weather", '{"ci'), gate)
    model.answers(*call(0, "weather", "{}"), end("tool_calls"))
    async with working() as worker:
        viewer = asyncio.create_task(follow(run))
        await written(run, CALLS)
        await kill(worker, run.id)
        stream = await within(viewer)
    assert stream.names == [*BEGUN, *CALLS, "run.step.failed", *CALLS, *ASKS]


async def test_when_its_event_is_told_the_run_is_over_for_everybody(
    model: Model, begin: Callable[..., Run], watcher: Rights
) -> None:
    """(i) The next run may be made from inside the handler of the last event."""
    run = await in_database(begin)
    model.answers(*text("One"), end())
    model.answers(*text("Two"), end())
    async with working(), aclosing(frames(run.id, 0, watcher)) as stream:
        async for frame in stream:
            if b"thread.run.completed" in frame:
                following = await in_database(begin)
                assert (await ended(following.id)).status == "completed"
