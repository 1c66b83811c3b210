"""R10: the official SDK sends a request again because the answer was lost. One object, the same answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from tests.support.client import tokens, unique
from tests.support.fixtures import Cluster
from tests.support.processes import Stack
from tests.support.relay import Relay
from tests.support.viewers import await_end

pytestmark = [
    pytest.mark.fault,
    # OpenAI's own service is gone, and its SDK says so; that is what this product is for
    pytest.mark.filterwarnings("ignore:deprecated|The Assistants API is deprecated:DeprecationWarning"),
]

TOOLS: Any = [{"type": "function", "function": {"name": "look_up"}}]
TABLES = {
    "assistant": "assistants_assistant",
    "thread": "threads_thread",
    "message": "threads_message",
    "run": "runs_run",
}


@pytest.fixture
def relay(cluster: Cluster, stack: Stack) -> Iterator[Relay]:
    with Relay(stack.url) as relay:
        yield relay


@pytest.fixture
def sdk_of(relay: Relay, stack: Stack) -> Iterator[Callable[[int], openai.OpenAI]]:
    """``sdk_of(retries)``: the SDK behind the relay, retrying as it does, but without its pauses."""
    made: list[openai.OpenAI] = []

    def make(retries: int) -> openai.OpenAI:
        client = openai.OpenAI(base_url=f"{relay.url}/v1", api_key=stack.api_key, max_retries=retries)
        client._calculate_retry_timeout = lambda *_, **__: 0.0  # type: ignore[method-assign]
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


def count(stack: Stack, kind: str, mark: str) -> int:
    """The objects of a kind whose metadata have this mark."""
    query = f"SELECT count(*) FROM {TABLES[kind]} WHERE CAST(metadata AS text) LIKE ?"
    [(number,)] = stack.database.rows(query, f"%{mark}%")
    assert isinstance(number, int)
    return number


@pytest.mark.parametrize("kind", list(TABLES))
def test_five_identical_requests_of_the_sdk_make_one_object(
    sdk_of: Callable[[int], openai.OpenAI], relay: Relay, stack: Stack, kind: str
) -> None:
    mark, sdk = unique(), sdk_of(4)
    metadata = {"mark": mark}
    assistant = stack.client.assistant()
    thread = stack.client.thread("[tokens=3]")
    makers: dict[str, Callable[[], Any]] = {
        "assistant": lambda: sdk.beta.assistants.create(model="fake", metadata=metadata),
        "thread": lambda: sdk.beta.threads.create(metadata=metadata),
        "message": lambda: sdk.beta.threads.messages.create(thread, role="user", content="x", metadata=metadata),
        "run": lambda: sdk.beta.threads.runs.create(thread, assistant_id=assistant, metadata=metadata),
    }
    relay.lose(4)
    made = makers[kind]()
    assert relay.lost == 4
    assert count(stack, kind, mark) == 1
    assert stack.database.rows(f"SELECT id FROM {TABLES[kind]} WHERE id = ?", made.id) == [(made.id,)]
    assert made.metadata == metadata
    if kind == "run":
        assert await_end(stack, made.id) == "completed"
        assert made.status == "queued", "the answer of then, not of now"


def test_equal_requests_whose_answers_arrive_make_an_object_each(
    sdk_of: Callable[[int], openai.OpenAI], relay: Relay, stack: Stack
) -> None:
    mark, sdk = unique(), sdk_of(2)
    relay.lose(0)
    made = [sdk.beta.threads.create(metadata={"mark": mark}).id for _ in range(3)]
    assert len(set(made)) == count(stack, "thread", mark) == 3


def test_a_key_makes_one_object_of_requests_that_come_at_once(
    sdk_of: Callable[[int], openai.OpenAI], stack: Stack
) -> None:
    mark, sdk = unique(), sdk_of(5)  # who waits for longer than five seconds is told to come again

    def make(_: int) -> Any:
        return sdk.beta.threads.create(metadata={"mark": mark}, extra_headers={"Idempotency-Key": mark})

    with ThreadPoolExecutor(5) as pool:
        made = list(pool.map(make, range(5)))
    assert [thread.to_dict() for thread in made] == [made[0].to_dict()] * 5
    assert count(stack, "thread", mark) == 1
    with pytest.raises(openai.BadRequestError, match="another body") as refused:
        sdk.beta.threads.create(extra_headers={"Idempotency-Key": mark})
    assert refused.value.code == "idempotency_key_reused"


def test_a_stream_whose_answer_was_lost_is_told_from_its_beginning(
    sdk_of: Callable[[int], openai.OpenAI], relay: Relay, stack: Stack
) -> None:
    mark, sdk = unique(), sdk_of(2)
    assistant, thread = stack.client.assistant(), stack.client.thread("[tokens=30]")
    relay.lose(2)
    with sdk.beta.threads.runs.stream(thread_id=thread, assistant_id=assistant, metadata={"mark": mark}) as stream:
        assert "".join(stream.text_deltas) == tokens(30)
        run = stream.get_final_run()
    assert relay.lost == 2
    assert run.status == "completed"
    assert count(stack, "run", mark) == 1


def test_outputs_that_were_taken_are_not_refused_when_they_come_again(
    sdk_of: Callable[[int], openai.OpenAI], relay: Relay, stack: Stack
) -> None:
    sdk = sdk_of(2)
    assistant = sdk.beta.assistants.create(model="fake", tools=TOOLS)
    thread = stack.client.thread("[tool=look_up tokens=5]")
    run = sdk.beta.threads.runs.create_and_poll(thread_id=thread, assistant_id=assistant.id, poll_interval_ms=50)
    assert run.required_action is not None
    outputs: Any = [
        {"tool_call_id": asked.id, "output": "42"} for asked in run.required_action.submit_tool_outputs.tool_calls
    ]
    relay.lose(2)
    queued = sdk.beta.threads.runs.submit_tool_outputs(run.id, thread_id=thread, tool_outputs=outputs)
    assert (relay.lost, queued.status) == (2, "queued")
    assert await_end(stack, run.id) == "completed"


def test_kill_9_between_the_commit_and_the_answer(
    sdk_of: Callable[[int], openai.OpenAI], relay: Relay, cluster: Cluster, stack: Stack
) -> None:
    mark, sdk = unique(), sdk_of(2)

    def die() -> None:
        assert cluster.api is not None
        cluster.api.kill()
        cluster.heal()

    relay.lose(1, then=die)
    made = sdk.beta.threads.create(messages=[{"role": "user", "content": "x"}], metadata={"mark": mark})
    assert relay.lost == 1
    assert count(stack, "thread", mark) == 1
    assert sdk.beta.threads.retrieve(made.id).metadata == {"mark": mark}
    [(messages,)] = stack.database.rows("SELECT count(*) FROM threads_message WHERE thread_id = ?", made.id)
    assert messages == 1
