"""The official Python SDK against real processes: streams with every callback, polling, tools, cancelling."""

from __future__ import annotations

from typing import Any, ClassVar

import openai
import pytest
from openai import AssistantEventHandler
from openai.types.beta import Assistant, Thread

from tests.support.client import tokens, unique
from tests.support.processes import Upstream, eventually

pytestmark = [
    pytest.mark.sdk,
    # OpenAI's own service is gone, and its SDK says so; that is what this product is for
    pytest.mark.filterwarnings("ignore:deprecated|The Assistants API is deprecated:DeprecationWarning"),
]

TOOLS: Any = [{"type": "function", "function": {"name": "look_up"}}]


class Recorder(AssistantEventHandler):
    """Notes every callback, with repeated deltas as one."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.text = ""
        self.arguments: list[str] = []

    def note(self, name: str) -> None:
        if self.calls[-1:] != [name] or "delta" not in name:
            self.calls.append(name)

    def on_run_step_created(self, run_step: Any) -> None:
        self.note("run_step_created")

    def on_run_step_delta(self, delta: Any, snapshot: Any) -> None:
        self.note("run_step_delta")

    def on_run_step_done(self, run_step: Any) -> None:
        self.note("run_step_done")

    def on_message_created(self, message: Any) -> None:
        self.note("message_created")

    def on_message_done(self, message: Any) -> None:
        self.note("message_done")

    def on_text_created(self, text: Any) -> None:
        self.note("text_created")

    def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.note("text_delta")
        self.text += delta.value

    def on_text_done(self, text: Any) -> None:
        self.note("text_done")
        assert text.value == self.text

    def on_tool_call_created(self, tool_call: Any) -> None:
        self.note("tool_call_created")

    def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
        self.note("tool_call_delta")

    def on_tool_call_done(self, tool_call: Any) -> None:
        self.note("tool_call_done")
        self.arguments.append(tool_call.function.arguments)

    def on_exception(self, exception: Exception) -> None:
        self.note("exception")

    def on_end(self) -> None:
        self.note("end")


PLAIN = [
    "run_step_created",
    "message_created",
    "text_created",
    "text_delta",
    "text_done",
    "message_done",
    "run_step_done",
    "end",
]


def begin(sdk: openai.OpenAI, text: str, **fields: Any) -> tuple[Assistant, Thread]:
    assistant = sdk.beta.assistants.create(model="fake", instructions="Be brief.", **fields)
    thread = sdk.beta.threads.create(messages=[{"role": "user", "content": text}])
    return assistant, thread


def test_a_stream_calls_every_handler_in_the_contracts_order(sdk: openai.OpenAI) -> None:
    assistant, thread = begin(sdk, "[tokens=40]")
    handler = Recorder()
    with sdk.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=handler) as stream:
        stream.until_done()
    assert handler.calls == PLAIN
    assert handler.text == tokens(40)
    [message] = handler.get_final_messages()
    assert message.content[0].text.value == tokens(40)
    run = handler.get_final_run()
    assert run.status == "completed"
    assert run.usage is not None
    assert run.usage.completion_tokens == 40


def test_create_and_run_stream_begins_with_the_thread(sdk: openai.OpenAI) -> None:
    assistant = sdk.beta.assistants.create(model="fake")
    handler = Recorder()
    with sdk.beta.threads.create_and_run_stream(
        assistant_id=assistant.id,
        thread={"messages": [{"role": "user", "content": "[tokens=12]"}]},
        event_handler=handler,
    ) as stream:
        stream.until_done()
    assert handler.calls == PLAIN
    assert handler.text == tokens(12)


def test_create_and_poll_gives_the_finished_run(sdk: openai.OpenAI) -> None:
    assistant, thread = begin(sdk, "[tokens=15]")
    run = sdk.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert run.status == "completed"
    messages = list(sdk.beta.threads.messages.list(thread.id, order="asc", limit=1))
    assert [message.role for message in messages] == ["user", "assistant"]
    assert messages[1].content[0].text.value == tokens(15)
    steps = sdk.beta.threads.runs.steps.list(run.id, thread_id=thread.id)
    assert [step.type for step in steps] == ["message_creation"]


class ToolUser(Recorder):
    """Submits the outputs from inside the open stream, at the event that asks for them, as many programs do."""

    FUNCTION: ClassVar = [
        "run_step_created",
        "tool_call_created",
        "run_step_delta",
        "tool_call_delta",
        "tool_call_done",
    ]

    def __init__(self, sdk: openai.OpenAI) -> None:
        super().__init__()
        self._sdk = sdk
        self.second = Recorder()

    def on_event(self, event: Any) -> None:
        if event.event != "thread.run.requires_action":
            return
        calls = event.data.required_action.submit_tool_outputs.tool_calls
        with self._sdk.beta.threads.runs.submit_tool_outputs_stream(
            thread_id=event.data.thread_id,
            run_id=event.data.id,
            tool_outputs=[{"tool_call_id": call.id, "output": "42"} for call in calls],
            event_handler=self.second,
        ) as stream:
            stream.until_done()


@pytest.mark.parametrize("calls", [1, 3])
def test_tool_outputs_are_submitted_from_inside_the_open_stream(sdk: openai.OpenAI, calls: int) -> None:
    assistant, thread = begin(sdk, f"[tool=look_up calls={calls} tokens=9]", tools=TOOLS)
    handler = ToolUser(sdk)
    with sdk.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=handler) as stream:
        stream.until_done()
    assert handler.calls[0] == "run_step_created"
    assert handler.calls[-1] == "end"
    assert handler.calls.count("tool_call_created") == handler.calls.count("tool_call_done") == calls
    assert handler.arguments == [f'{{"number": {index}}}' for index in range(calls)]
    if calls == 1:
        assert [call for call in handler.calls if "delta" not in call] == [
            "run_step_created",
            "tool_call_created",
            "tool_call_done",
            "end",
        ]
        assert handler.calls.index("tool_call_delta") < handler.calls.index("tool_call_done")

    assert handler.second.calls == ["run_step_done", *PLAIN]
    assert handler.second.text == tokens(9)
    run = handler.second.get_final_run()
    assert run.status == "completed"
    steps = sdk.beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc").data
    assert [step.type for step in steps] == ["tool_calls", "message_creation"]
    assert [call.function.output for call in steps[0].step_details.tool_calls] == ["42"] * calls


def test_submit_tool_outputs_and_poll(sdk: openai.OpenAI) -> None:
    assistant, thread = begin(sdk, "[tool=look_up tokens=4]", tools=TOOLS)
    run = sdk.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert run.status == "requires_action"
    assert run.required_action is not None
    [call] = run.required_action.submit_tool_outputs.tool_calls
    done = sdk.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread.id, tool_outputs=[{"tool_call_id": call.id, "output": "42"}]
    )
    assert done.status == "completed"


def text_so_far(stream: Any) -> str:
    snapshot = stream.current_message_snapshot
    return snapshot.content[0].text.value if snapshot and snapshot.content else ""


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


def test_a_failing_engine_is_told_as_a_failed_run(sdk: openai.OpenAI) -> None:
    assistant, thread = begin(sdk, "[error=500]")
    run = sdk.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert run.status == "failed"
    assert run.last_error is not None
    assert run.last_error.code == "server_error"


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
