"""openai-python's AsyncOpenAI against real processes: the helper loops and streams of its own code."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from tests.sdk.recorders import BROKEN_OFF, FUNCTION, PLAIN, AsyncRecorder, Log, answers_to
from tests.support.client import tokens, unique
from tests.support.processes import Stack, Upstream
from tests.support.viewers import logged

pytestmark = [
    pytest.mark.sdk,
    # OpenAI's own service is gone, and its SDK says so; that is what this product is for
    pytest.mark.filterwarnings("ignore:deprecated|The Assistants API is deprecated:DeprecationWarning"),
]

TOOLS: Any = [{"type": "function", "function": {"name": "look_up"}}]


async def begin(sdk: openai.AsyncOpenAI, text: str) -> dict[str, str]:
    """A thread with a question, and an assistant for it."""
    assistant = await sdk.beta.assistants.create(model="fake", instructions="Be brief.", tools=TOOLS)
    thread = await sdk.beta.threads.create(messages=[{"role": "user", "content": text}])
    return {"thread_id": thread.id, "assistant_id": assistant.id}


async def streamed(sdk: openai.AsyncOpenAI, text: str) -> AsyncRecorder:
    """A stream that was read to its end."""
    handler = AsyncRecorder()
    async with sdk.beta.threads.runs.stream(**await begin(sdk, text), event_handler=handler) as stream:
        await stream.until_done()
    return handler


async def test_a_stream_calls_every_handler(async_sdk: openai.AsyncOpenAI, server: Stack) -> None:
    handler = await streamed(async_sdk, "[tokens=40]")
    assert handler.log.calls == PLAIN
    assert handler.log.text == tokens(40)
    [message] = await handler.get_final_messages()
    assert message.content[0].text.value == tokens(40)
    [step] = await handler.get_final_run_steps()
    assert step.step_details.message_creation.message_id == message.id
    run = await handler.get_final_run()
    assert run.status == "completed"
    assert handler.log.events == [name for _, name in logged(server, run.id)]


async def test_streams_are_read_side_by_side(async_sdk: openai.AsyncOpenAI) -> None:
    handlers = await asyncio.gather(*(streamed(async_sdk, f"[tokens={count}]") for count in range(20, 26)))
    assert [handler.log.text for handler in handlers] == [tokens(count) for count in range(20, 26)]
    assert all(handler.log.calls == PLAIN for handler in handlers)


async def test_create_and_run_stream_begins_with_the_thread(async_sdk: openai.AsyncOpenAI) -> None:
    assistant = await async_sdk.beta.assistants.create(model="fake")
    handler = AsyncRecorder()
    async with async_sdk.beta.threads.create_and_run_stream(
        assistant_id=assistant.id,
        thread={"messages": [{"role": "user", "content": "[tokens=12]"}]},
        event_handler=handler,
    ) as stream:
        await stream.until_done()
    assert handler.log.events[:2] == ["thread.created", "thread.run.created"]
    assert handler.log.calls == PLAIN


class ToolUser(AsyncRecorder):
    """Submits the outputs from inside the open stream."""

    def __init__(self, sdk: openai.AsyncOpenAI, logs: list[Log]) -> None:
        super().__init__()
        self._sdk, self._logs = sdk, logs
        logs.append(self.log)

    async def on_event(self, event: Any) -> None:
        await super().on_event(event)
        if event.event != "thread.run.requires_action":
            return
        async with self._sdk.beta.threads.runs.submit_tool_outputs_stream(
            thread_id=event.data.thread_id,
            run_id=event.data.id,
            tool_outputs=answers_to(event.data),
            event_handler=ToolUser(self._sdk, self._logs),
        ) as stream:
            await stream.until_done()


@pytest.mark.parametrize(("calls", "rounds"), [(1, 1), (2, 3)])
async def test_tool_outputs_are_submitted_from_inside_the_open_stream(
    async_sdk: openai.AsyncOpenAI, server: Stack, calls: int, rounds: int
) -> None:
    where = await begin(async_sdk, f"[tool=look_up calls={calls} rounds={rounds} tokens=9]")
    logs: list[Log] = []
    async with async_sdk.beta.threads.runs.stream(**where, event_handler=ToolUser(async_sdk, logs)) as stream:
        await stream.until_done()
    assert len(logs) == rounds + 1
    for log in logs[:-1]:
        assert log.arguments == [f'{{"number": {index}}}' for index in range(calls)]
        assert log.events[-1] == "thread.run.requires_action"
    if calls == 1:
        assert logs[0].calls == FUNCTION
    assert logs[-1].calls == ["run_step_done", *PLAIN]
    assert logs[-1].text == tokens(9)
    [run] = (await async_sdk.beta.threads.runs.list(where["thread_id"])).data
    assert run.status == "completed"
    assert [name for log in logs for name in log.events] == [name for _, name in logged(server, run.id)]


async def test_outputs_are_submitted_and_polled_for_until_the_run_is_done(async_sdk: openai.AsyncOpenAI) -> None:
    where = await begin(async_sdk, "[tool=look_up calls=2 rounds=2 tokens=4]")
    run = await async_sdk.beta.threads.runs.create_and_poll(**where)
    rounds = 0
    while run.status == "requires_action":
        rounds += 1
        outputs: Any = answers_to(run)
        run = await async_sdk.beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs
        )
    assert (run.status, rounds) == ("completed", 2)
    messages = [message async for message in async_sdk.beta.threads.messages.list(run.thread_id, limit=1)]
    assert [message.role for message in messages] == ["assistant", "user"]
    assert messages[0].content[0].text.value == tokens(4)


async def test_a_run_that_somebody_else_cancels_is_told_to_its_end(async_sdk: openai.AsyncOpenAI) -> None:
    where = await begin(async_sdk, f"[tokens=50 hold=7 key={unique()}]")
    handler = AsyncRecorder()
    async with (
        async_sdk.beta.threads.runs.stream(**where, event_handler=handler) as stream,
        async_sdk.copy() as other,
    ):
        async for text in stream.text_deltas:
            if text.endswith(tokens(7)[-3:]):
                await other.beta.threads.runs.cancel(handler.current_run.id, thread_id=where["thread_id"])
    assert handler.log.calls == BROKEN_OFF
    assert handler.log.text == tokens(7)
    assert handler.log.events[-1] == "thread.run.cancelled"


async def test_an_engine_that_breaks_off_is_told_to_the_end_of_the_stream(async_sdk: openai.AsyncOpenAI) -> None:
    handler = await streamed(async_sdk, "[tokens=30 drop=6]")
    assert handler.log.calls == BROKEN_OFF
    run = await handler.get_final_run()
    assert run.status == "failed"
    assert handler.log.text == tokens(6)


async def test_what_goes_wrong_in_a_stream_is_raised(server: Stack, upstream: Upstream) -> None:
    name = unique()
    handler = AsyncRecorder()

    async def read(sdk: openai.AsyncOpenAI) -> None:
        where = await begin(sdk, f"[tokens=8 hold=4 key={name}]")
        async with sdk.beta.threads.runs.stream(**where, event_handler=handler) as stream:
            async for _ in stream.text_deltas:
                server.database.revoke_key(name)

    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.another_key(name), max_retries=0) as sdk:
        with pytest.raises(openai.APIError, match="Your right to follow this run was withdrawn") as raised:
            await read(sdk)
    assert handler.log.calls[-2:] == ["exception", "end"]
    assert handler.log.exceptions == [raised.value]
    upstream.release(name)
