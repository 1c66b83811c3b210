"""Code that is run for an assistant, through the official SDK: streamed, polled, with files in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.beta.threads import Message

from tests.sdk.recorders import Recorder
from tests.support.client import unique
from tests.support.interpreting import TOOL, asking_for, await_interpreter
from tests.support.processes import Stack, Upstream
from tests.support.viewers import logged

pytestmark = [
    pytest.mark.sdk,
    pytest.mark.filterwarnings("ignore:deprecated|The Assistants API is deprecated:DeprecationWarning"),
]

PLOT = """\
import pandas as pd, matplotlib.pyplot as plt
sales = pd.read_csv('/mnt/data/sales.csv')
print(sales['amount'].sum())
sales.plot()
plt.show()
sales.describe().to_csv('/mnt/data/summary.csv')
"""
#: a picture is done for the SDK where the next part begins, and a call is done once more with each later step
CALLED = [
    *("run_step_created", "tool_call_created", "run_step_delta", "tool_call_delta", "tool_call_done", "run_step_done"),
    *("run_step_created", "message_created", "message_delta"),
    *("text_created", "text_delta", "image_file_done", "message_delta", "text_delta", "text_done", "message_done"),
    *("tool_call_done", "run_step_done", "tool_call_done", "end"),
]


@pytest.fixture(autouse=True)
def interpreter(server: Stack) -> None:
    await_interpreter(server)


def test_a_stream_calls_every_handler_in_the_contracts_order(
    sdk: openai.OpenAI, server: Stack, upstream: Upstream, tmp_path: Path
) -> None:
    path = tmp_path / "sales.csv"
    path.write_text("amount\n19\n23\n")
    file = sdk.files.create(file=path, purpose="assistants")
    resources: Any = {"code_interpreter": {"file_ids": [file.id]}}
    assistant = sdk.beta.assistants.create(model="fake", tools=[TOOL], tool_resources=resources)
    question = asking_for(upstream, unique(), PLOT, "text=See:(sandbox:/mnt/data/summary.csv)!")
    thread = sdk.beta.threads.create(messages=[{"role": "user", "content": question}])
    handler = Recorder()
    with sdk.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=handler) as stream:
        stream.until_done()
    assert handler.log.calls == CALLED
    assert handler.log.text == "See:(sandbox:/mnt/data/summary.csv)!"
    run = handler.get_final_run()
    assert (run.status, run.last_error) == ("completed", None)
    assert handler.log.events == [name for _, name in logged(server, run.id)]
    step = handler.get_final_run_steps()[0]
    assert step.step_details.type == "tool_calls"
    (call,) = step.step_details.tool_calls
    assert call.type == "code_interpreter"
    assert call.code_interpreter.input == PLOT == handler.log.code_input
    logs, image = call.code_interpreter.outputs
    assert logs.type == "logs"
    assert logs.logs == "42\n" == handler.log.code_output
    assert image.type == "image"
    (message,) = handler.get_final_messages()
    check_message(sdk, message, image.image.file_id)
    (kept,) = sdk.beta.threads.messages.list(thread.id, run_id=run.id)
    assert kept.content == message.content


def check_message(sdk: openai.OpenAI, message: Message, image_id: str) -> None:
    """A picture, a text with the path of a file, and the file."""
    picture, said = message.content
    assert picture.type == "image_file"
    assert picture.image_file.file_id == image_id
    assert sdk.files.content(image_id).content.startswith(b"\x89PNG")
    assert said.type == "text"
    (annotation,) = said.text.annotations
    assert annotation.type == "file_path"
    assert said.text.value[annotation.start_index : annotation.end_index] == annotation.text
    file = sdk.files.retrieve(annotation.file_path.file_id)
    assert (file.filename, file.purpose) == ("summary.csv", "assistants_output")
    assert b"mean,21.0" in sdk.files.content(file.id).content
    assert [attachment.file_id for attachment in message.attachments or []] == [file.id]


def test_create_and_poll_with_a_file_attached_to_the_message(
    sdk: openai.OpenAI, upstream: Upstream, tmp_path: Path
) -> None:
    (path := tmp_path / "words.txt").write_text("three little words")
    file = sdk.files.create(file=path, purpose="assistants")
    assistant = sdk.beta.assistants.create(model="fake", tools=[TOOL])
    question = asking_for(upstream, unique(), "len(open('/mnt/data/words.txt').read().split())")
    attachments: Any = [{"file_id": file.id, "tools": [TOOL]}]
    thread = sdk.beta.threads.create(messages=[{"role": "user", "content": question, "attachments": attachments}])
    run = sdk.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert (run.status, run.last_error) == ("completed", None)
    steps = sdk.beta.threads.runs.steps.list(run_id=run.id, thread_id=thread.id, order="asc").data
    assert steps[0].step_details.type == "tool_calls"
    (call,) = steps[0].step_details.tool_calls
    assert call.type == "code_interpreter"
    (logs,) = call.code_interpreter.outputs
    assert logs.type == "logs"
    assert logs.logs == "3\n"


class Answering(Recorder):
    """Gives a function's output as soon as its call is done, as many applications do."""

    def __init__(self, sdk: openai.OpenAI) -> None:
        super().__init__()
        self._sdk = sdk
        self.after = Recorder()

    def on_tool_call_done(self, tool_call: Any) -> None:
        super().on_tool_call_done(tool_call)
        if tool_call.type != "function":
            return
        assert self.current_run is not None
        with self._sdk.beta.threads.runs.submit_tool_outputs_stream(
            thread_id=self.current_run.thread_id,
            run_id=self.current_run.id,
            tool_outputs=[{"tool_call_id": tool_call.id, "output": "found"}],
            event_handler=self.after,
        ) as stream:
            stream.until_done()


def test_code_and_a_function_of_the_application_in_one_turn(sdk: openai.OpenAI, upstream: Upstream) -> None:
    """The code has been run when the application is asked, and each call is created and done once."""
    function: Any = {"type": "function", "function": {"name": "look_up"}}
    assistant = sdk.beta.assistants.create(model="fake", tools=[TOOL, function])
    question = asking_for(upstream, unique(), "6 * 7", "tokens=3 beside=look_up")
    thread = sdk.beta.threads.create(messages=[{"role": "user", "content": question}])
    handler = Answering(sdk)
    with sdk.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=handler) as stream:
        stream.until_done()
    one = ["tool_call_created", "run_step_delta", "tool_call_delta", "tool_call_done"]
    assert handler.log.calls == ["run_step_created", *one, *one, "end"]
    assert handler.log.events[-1] == "thread.run.requires_action"
    assert handler.after.log.events[:2] == ["thread.run.step.completed", "thread.run.queued"]
    run = handler.after.get_final_run()
    assert run.status == "completed"
    steps = sdk.beta.threads.runs.steps.list(run_id=run.id, thread_id=thread.id, order="asc").data
    assert steps[0].step_details.type == "tool_calls"
    code, looked_up = steps[0].step_details.tool_calls
    assert code.type == "code_interpreter"
    assert [output.to_dict() for output in code.code_interpreter.outputs] == [{"type": "logs", "logs": "42\n"}]
    assert looked_up.type == "function"
    assert looked_up.function.output == "found"
