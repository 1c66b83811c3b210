"""The official Python SDK against real processes: its helper loops, its streams with every callback, its errors.

It validates every answer strictly (see ``sdk``). ``test_openai_python_async.py`` has what differs without blocking.
"""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai.types.beta import Assistant, Thread

from tests.sdk.recorders import BROKEN_OFF, CALLBACKS, FUNCTION, PLAIN, Log, Recorder, answers_to
from tests.support.client import tokens, unique
from tests.support.processes import Stack, Upstream, eventually
from tests.support.viewers import await_end, logged

pytestmark = [
    pytest.mark.sdk,
    # OpenAI's own service is gone, and its SDK says so; that is what this product is for
    pytest.mark.filterwarnings("ignore:deprecated|The Assistants API is deprecated:DeprecationWarning"),
]

TOOLS: Any = [{"type": "function", "function": {"name": "look_up"}}]


def begin(sdk: openai.OpenAI, text: str, **fields: Any) -> tuple[Assistant, Thread]:
    assistant = sdk.beta.assistants.create(model="fake", instructions="Be brief.", **fields)
    thread = sdk.beta.threads.create(messages=[{"role": "user", "content": text}])
    return assistant, thread


def streamed(sdk: openai.OpenAI, text: str, **fields: Any) -> Recorder:
    """A stream that was read to its end."""
    assistant, thread = begin(sdk, text)
    handler = Recorder()
    with sdk.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=handler, **fields
    ) as stream:
        stream.until_done()
    return handler


# -------------------------------------------------------------------------------------------------------- answers


def test_a_stream_calls_every_handler_in_the_contracts_order(sdk: openai.OpenAI, server: Stack) -> None:
    handler = streamed(sdk, "[tokens=40]")
    assert handler.log.calls == PLAIN
    assert handler.log.text == tokens(40)
    [message] = handler.get_final_messages()
    assert message.content[0].text.value == tokens(40)
    [step] = handler.get_final_run_steps()
    assert step.step_details.message_creation.message_id == message.id
    run = handler.get_final_run()
    assert run.status == "completed"
    assert run.usage is not None
    assert run.usage.completion_tokens == 40
    assert handler.log.events == [name for _, name in logged(server, run.id)]


def test_there_is_no_callback_that_the_tests_leave_out(sdk: openai.OpenAI) -> None:
    called = {f"on_{name}" for name in (*PLAIN, *FUNCTION, "event", "exception", "timeout")}
    assert set(CALLBACKS) - called == {"on_image_file_done"}  # see test_code_interpreter.py


def test_create_and_stream_is_the_old_name_of_stream(sdk: openai.OpenAI) -> None:
    assistant, thread = begin(sdk, "[tokens=3]")
    handler = Recorder()
    with sdk.beta.threads.runs.create_and_stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
    ) as stream:
        stream.until_done()
    assert handler.log.calls == PLAIN


def test_create_and_run_stream_begins_with_the_thread(sdk: openai.OpenAI) -> None:
    assistant = sdk.beta.assistants.create(model="fake")
    handler = Recorder()
    with sdk.beta.threads.create_and_run_stream(
        assistant_id=assistant.id,
        thread={"messages": [{"role": "user", "content": "[tokens=12]"}]},
        event_handler=handler,
    ) as stream:
        stream.until_done()
    assert handler.log.events[:2] == ["thread.created", "thread.run.created"]
    assert handler.log.calls == PLAIN
    assert handler.log.text == tokens(12)


def test_a_stream_may_be_read_without_a_handler(sdk: openai.OpenAI) -> None:
    assistant, thread = begin(sdk, "[tokens=9]")
    with sdk.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        assert "".join(stream.text_deltas) == tokens(9)
    with sdk.beta.threads.runs.create(thread_id=thread.id, assistant_id=assistant.id, stream=True) as events:
        names = [event.event for event in events]
    assert (names[0], names[-1]) == ("thread.run.created", "thread.run.completed")


def test_create_and_poll_gives_the_finished_run(sdk: openai.OpenAI) -> None:
    assistant, thread = begin(sdk, "[tokens=15]")
    run = sdk.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert run.status == "completed"
    messages = list(sdk.beta.threads.messages.list(thread.id, order="asc", limit=1))
    assert [message.role for message in messages] == ["user", "assistant"]
    assert messages[1].content[0].text.value == tokens(15)
    steps = sdk.beta.threads.runs.steps.list(run.id, thread_id=thread.id)
    assert [step.type for step in steps] == ["message_creation"]


def test_create_and_run_poll_makes_the_thread_too(sdk: openai.OpenAI) -> None:
    assistant = sdk.beta.assistants.create(model="fake")
    thread: Any = {"messages": [{"role": "user", "content": "[tokens=2]"}]}
    run = sdk.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=thread)
    assert run.status == "completed"
    [said, asked] = sdk.beta.threads.messages.list(run.thread_id).data
    assert (asked.role, said.content[0].text.value) == ("user", tokens(2))


# ---------------------------------------------------------------------------------------------------------- tools


class ToolUser(Recorder):
    """Submits the outputs from inside the open stream, at the event that asks for them, as many programs do."""

    def __init__(self, sdk: openai.OpenAI, logs: list[Log]) -> None:
        super().__init__()
        self._sdk, self._logs = sdk, logs
        logs.append(self.log)

    def on_event(self, event: Any) -> None:
        super().on_event(event)
        if event.event != "thread.run.requires_action":
            return
        with self._sdk.beta.threads.runs.submit_tool_outputs_stream(
            thread_id=event.data.thread_id,
            run_id=event.data.id,
            tool_outputs=answers_to(event.data),
            event_handler=ToolUser(self._sdk, self._logs),
        ) as stream:
            stream.until_done()


@pytest.mark.parametrize(("calls", "rounds"), [(1, 1), (3, 1), (2, 3)])
def test_tool_outputs_are_submitted_from_inside_the_open_stream(
    sdk: openai.OpenAI, server: Stack, calls: int, rounds: int
) -> None:
    assistant, thread = begin(sdk, f"[tool=look_up calls={calls} rounds={rounds} tokens=9]", tools=TOOLS)
    logs: list[Log] = []
    with sdk.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=ToolUser(sdk, logs)
    ) as stream:
        stream.until_done()

    *asking, answering = logs
    assert len(asking) == rounds
    for log in asking:
        assert log.arguments == [f'{{"number": {index}}}' for index in range(calls)]
        assert log.calls.count("tool_call_created") == calls
        assert log.events[-1] == "thread.run.requires_action"
        if calls == 1:
            assert log.calls == FUNCTION
    assert all(log.calls[0] == "run_step_done" for log in logs[1:])
    assert answering.calls == ["run_step_done", *PLAIN]
    assert answering.text == tokens(9)

    [run] = sdk.beta.threads.runs.list(thread.id).data
    assert run.status == "completed"
    assert [name for log in logs for name in log.events] == [name for _, name in logged(server, run.id)]
    *used, said = sdk.beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc").data
    assert said.type == "message_creation"
    outputs = [[call.function.output for call in step.step_details.tool_calls] for step in used]
    assert outputs == [["look_up says 42"] * calls] * rounds


def test_outputs_are_submitted_and_polled_for_until_the_run_is_done(sdk: openai.OpenAI) -> None:
    assistant, thread = begin(sdk, "[tool=look_up calls=2 rounds=3 tokens=4]", tools=TOOLS)
    run = sdk.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    asked = []
    while run.status == "requires_action":
        outputs: Any = answers_to(run)
        asked += [output["tool_call_id"] for output in outputs]
        run = sdk.beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=thread.id, tool_outputs=outputs
        )
    assert run.status == "completed"
    assert len(set(asked)) == 6
    newest = sdk.beta.threads.messages.list(thread.id, limit=1).data[0]
    assert newest.content[0].text.value == tokens(4)


# ------------------------------------------------------------------------------------------------- other endings


def test_cancelling_from_inside_the_stream_ends_it(sdk: openai.OpenAI, upstream: Upstream) -> None:
    key = unique()
    assistant, thread = begin(sdk, f"[tokens=50 hold=10 key={key}]")
    with sdk.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        for event in stream:
            said = text_so_far(stream)
            if event.event == "thread.message.delta" and said == tokens(10):
                run = sdk.beta.threads.runs.cancel(stream.current_run.id, thread_id=thread.id)
                assert run.status == "cancelling"
        assert stream.current_run is not None
        assert stream.current_run.status == "cancelled"
    [message] = sdk.beta.threads.messages.list(thread.id, run_id=run.id).data
    assert message.status == "incomplete"
    assert message.content[0].text.value == tokens(10)
    eventually(lambda: upstream.stats(key)["aborted"] == 1, what="the engine's request is closed")


def text_so_far(stream: Any) -> str:
    snapshot = stream.current_message_snapshot
    return snapshot.content[0].text.value if snapshot and snapshot.content else ""


class Canceller(Recorder):
    """Another client cancels the run when so much of its answer is read."""

    def __init__(self, server: Stack, said: str) -> None:
        super().__init__()
        self._client, self._said = server.client, said

    def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        super().on_text_delta(delta, snapshot)
        if snapshot.value == self._said:
            assert self.current_run is not None
            self._client.post(f"/v1/threads/{self.current_run.thread_id}/runs/{self.current_run.id}/cancel")


def test_a_run_that_somebody_else_cancels_is_told_to_its_end(sdk: openai.OpenAI, server: Stack) -> None:
    assistant, thread = begin(sdk, f"[tokens=50 hold=7 key={unique()}]")
    handler = Canceller(server, tokens(7))
    with sdk.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=handler) as stream:
        stream.until_done()
    assert handler.log.calls == BROKEN_OFF
    assert handler.log.text == tokens(7)
    assert [name for name in handler.log.events if "cancel" in name] == [
        "thread.run.cancelling",
        "thread.run.step.cancelled",
        "thread.run.cancelled",
    ]
    assert handler.get_final_run().status == "cancelled"


def test_a_failing_engine_is_told_as_a_failed_run(sdk: openai.OpenAI) -> None:
    assistant, thread = begin(sdk, "[error=500]")
    run = sdk.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert run.status == "failed"
    assert run.last_error is not None
    assert run.last_error.code == "server_error"


def test_an_engine_that_breaks_off_is_told_to_the_end_of_the_stream(sdk: openai.OpenAI) -> None:
    handler = streamed(sdk, "[tokens=30 drop=6]")
    assert handler.log.calls == BROKEN_OFF
    assert handler.log.events[-3:] == ["thread.message.incomplete", "thread.run.step.failed", "thread.run.failed"]
    assert handler.get_final_run().last_error.code == "server_error"
    [message] = handler.get_final_messages()
    assert (message.status, message.content[0].text.value) == ("incomplete", tokens(6))


def test_an_engine_that_says_nothing_ends_a_stream_without_a_message(sdk: openai.OpenAI) -> None:
    handler = streamed(sdk, "[error=500]")
    assert handler.log.calls == ["end"]
    assert handler.get_final_run().status == "failed"


def test_a_budget_that_is_used_up_leaves_an_incomplete_run(sdk: openai.OpenAI) -> None:
    handler = streamed(sdk, "[tokens=400]", max_completion_tokens=256)
    assert handler.log.calls == PLAIN
    run = handler.get_final_run()
    assert run.status == "incomplete"
    assert run.incomplete_details.reason == "max_completion_tokens"
    assert handler.log.text == tokens(256)


# --------------------------------------------------------------------------------------------------------- errors


def lose_patience(response: Any) -> None:
    """From its first byte on, a client's pause between two bytes may be no longer than this."""
    response.request.extensions["timeout"]["read"] = 0.5  # seconds; the engine waits until it is told to go on


def test_a_client_that_cannot_wait_is_told_and_the_run_goes_on(
    sdk: openai.OpenAI, server: Stack, upstream: Upstream
) -> None:
    key = unique()
    assistant, thread = begin(sdk, f"[tokens=8 hold=4 key={key}]")
    handler = Recorder()
    hooks: Any = {"response": [lose_patience]}
    with (
        openai.DefaultHttpxClient(event_hooks=hooks) as network,
        pytest.raises(Exception, match="timed out"),
        sdk.with_options(http_client=network).beta.threads.runs.stream(
            thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
        ) as stream,
    ):
        stream.until_done()
    assert handler.log.calls[-3:] == ["timeout", "exception", "end"]
    [run] = sdk.beta.threads.runs.list(thread.id).data
    eventually(lambda: upstream.stats(key)["open"] == 1, what="its answer is being made, whenever it began")
    assert sdk.beta.threads.runs.retrieve(run.id, thread_id=thread.id).status == "in_progress"
    upstream.release(key)
    assert await_end(server, run.id) == "completed"
    assert sdk.beta.threads.messages.list(thread.id, limit=1).data[0].content[0].text.value == tokens(8)


def test_what_goes_wrong_in_a_stream_is_raised(server: Stack, upstream: Upstream) -> None:
    name = unique()
    handler = Recorder()

    def read(sdk: openai.OpenAI) -> None:
        assistant, thread = begin(sdk, f"[tokens=8 hold=4 key={name}]")
        with sdk.beta.threads.runs.stream(
            thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
        ) as stream:
            for _ in stream.text_deltas:
                server.database.revoke_key(name)

    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.another_key(name), max_retries=0) as sdk,
        pytest.raises(openai.APIError, match="Your right to follow this run was withdrawn") as raised,
    ):
        read(sdk)
    assert handler.log.calls[-2:] == ["exception", "end"]
    assert handler.log.exceptions == [raised.value]
    upstream.release(name)


def test_errors_arrive_as_the_sdks_own_classes(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="No assistant found with id 'asst_missing'"):
        sdk.beta.assistants.retrieve("asst_missing")
    with pytest.raises(openai.NotFoundError) as refused:
        sdk.beta.assistants.create(model="no-such-model")
    assert refused.value.code == "model_not_found"
    with (
        pytest.raises(openai.AuthenticationError),
        openai.OpenAI(base_url=str(sdk.base_url), api_key="sk-sov-wrong", max_retries=0) as stranger,
    ):
        stranger.beta.threads.create()
