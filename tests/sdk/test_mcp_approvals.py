"""Tools of a real MCP server through the official OpenAI SDK: runs that use them, and that ask before they do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.beta.threads import Run
from openai.types.beta.threads.required_action_function_tool_call import RequiredActionFunctionToolCall

from tests.support.client import unique
from tests.support.mcp_processes import RealServer, give_tools, real_server
from tests.support.processes import Stack

pytestmark = [
    pytest.mark.sdk,
    pytest.mark.filterwarnings("ignore:deprecated|The Assistants API is deprecated:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with real_server(tmp_path_factory.mktemp("mcp"), "mcp-2") as server:
        yield server


class Paying:
    """An assistant with the server's tools, which is asked to pay somebody of its own."""

    def __init__(self, sdk: openai.OpenAI, server: Stack, real: RealServer, approval: str) -> None:
        self.sdk, self.real, self.whom = sdk, real, unique()
        self.assistant = sdk.beta.assistants.create(model="fake").id
        self.label = give_tools(server, real, self.assistant, approval=approval)
        said = f"Pay. [tool={self.label}__pay with=to:{self.whom} tokens=3]"
        self.thread = sdk.beta.threads.create(messages=[{"role": "user", "content": said}]).id

    def run(self) -> Run:
        """Until it rests."""
        return self.sdk.beta.threads.runs.create_and_poll(
            thread_id=self.thread, assistant_id=self.assistant, poll_interval_ms=50
        )

    def answer(self, run: Run, output: str) -> Run:
        return self.sdk.beta.threads.runs.submit_tool_outputs_and_poll(
            thread_id=self.thread,
            run_id=run.id,
            tool_outputs=[{"tool_call_id": asked(run).id, "output": output}],
            poll_interval_ms=50,
        )

    def paid(self) -> int:
        return len([call for call in self.real.calls("pay") if call["to"] == self.whom])

    def output(self, run: Run) -> str:
        """What came of the call, as its step shows it."""
        steps = self.sdk.beta.threads.runs.steps.list(run.id, thread_id=self.thread, order="asc").data
        assert steps[0].step_details.type == "tool_calls"
        [call] = steps[0].step_details.tool_calls
        assert call.type == "function"
        assert call.function.name == f"{self.label}__pay"
        assert json.loads(call.function.arguments) == {"to": self.whom}
        return call.function.output or ""


@pytest.fixture
def paying(sdk: openai.OpenAI, server: Stack, real: RealServer, request: pytest.FixtureRequest) -> Paying:
    return Paying(sdk, server, real, getattr(request, "param", "always"))


def asked(run: Run) -> RequiredActionFunctionToolCall:
    assert run.status == "requires_action"
    assert run.required_action is not None
    [call] = run.required_action.submit_tool_outputs.tool_calls
    assert call.function.name == "mcp_approval_request"
    return call


@pytest.mark.parametrize("paying", ["never"], indirect=True)
def test_a_tool_is_called_without_a_word(paying: Paying) -> None:
    run = paying.run()
    assert run.status == "completed"
    assert (paying.paid(), paying.output(run).splitlines()[-1]) == (1, f"{paying.whom} has been paid.")


@pytest.mark.parametrize("paying", ["never"], indirect=True)
def test_a_stream_shows_the_call_and_then_its_output(paying: Paying) -> None:
    with paying.sdk.beta.threads.runs.stream(thread_id=paying.thread, assistant_id=paying.assistant) as stream:
        events = list(stream)
        (message,) = stream.get_final_messages()
    assert message.role == "assistant"
    names = [event.event for event in events]
    assert names.index("thread.run.step.completed") < names.index("thread.message.created")
    assert "thread.run.requires_action" not in names
    [called, _] = [event.data for event in events if event.event == "thread.run.step.completed"]
    details: Any = called.step_details
    assert details.tool_calls[0].function.output.endswith(f"{paying.whom} has been paid.")


def test_an_approval(paying: Paying) -> None:
    run = paying.run()
    request = json.loads(asked(run).function.arguments)
    assert request == {"server_label": paying.label, "name": "pay", "arguments": {"to": paying.whom}}
    assert paying.paid() == 0
    over = paying.answer(run, '{"approve": true}')
    assert (over.status, paying.paid()) == ("completed", 1)
    assert paying.output(over).endswith(f"{paying.whom} has been paid.")


def test_a_refusal(paying: Paying) -> None:
    over = paying.answer(paying.run(), '{"approve": false, "reason": "Too much."}')
    assert (over.status, paying.paid()) == ("completed", 0)
    assert json.loads(paying.output(over)) == {"error": "The call was refused. Too much."}


def test_nonsense_is_refused_and_changes_nothing(paying: Paying) -> None:
    run = paying.run()
    with pytest.raises(openai.BadRequestError) as refused:
        paying.answer(run, "sure")
    assert "has to answer a request for approval" in refused.value.message
    assert paying.paid() == 0
    assert (paying.answer(run, "approve").status, paying.paid()) == ("completed", 1)


def test_a_run_that_is_cancelled_while_it_waits(paying: Paying) -> None:
    run = paying.run()
    paying.sdk.beta.threads.runs.cancel(run.id, thread_id=paying.thread)
    with pytest.raises(openai.BadRequestError):
        paying.answer(run, '{"approve": true}')
    over = paying.sdk.beta.threads.runs.poll(run.id, thread_id=paying.thread, poll_interval_ms=50)
    assert (over.status, paying.paid()) == ("cancelled", 0)
