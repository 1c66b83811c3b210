"""What becomes of a run whose engine cuts, refuses or talks nonsense: the real adapter, against a raw server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from assistants import services as assistants
from inference import gateway
from runs.models import Run
from runs.services import creation
from runs.streaming import rights
from runs.streaming.reader import frames
from runs.streaming.rights import Rights
from runs.worker import execution
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.inference.conftest import HEAD, Upstream, answer, event, plain
from tests.inference.helpers import ready_engine
from tests.runs.accumulator import Accumulator
from tests.runs.support import within, working
from tests.runs.test_readers import parsed
from tests.runs.test_streams import BEGUN, CALLS, TEXT, WHOLE, told
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)

ONCE = event({"content": "Once"})
CALL = event({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "weather", "arguments": "{"}}]})
IN_TEXT = [*TEXT, "message.incomplete"]
CUT = "The engine closed the connection in the middle of the answer."
GARBAGE = b"data: {nonsense\n\n"
NOT_OPENAI = "The engine sent an answer that is not in OpenAI's format."


def refusal(status: int, message: str) -> bytes:
    return plain(status, orjson.dumps({"error": {"message": message}}))


@pytest.fixture
async def engine(registered: object) -> AsyncIterator[Upstream]:
    """A raw server that serves ``tiny``."""
    server = Upstream()
    await server.start()
    await in_database(ready_engine, server.url, "tiny")
    yield server
    await gateway.close()
    await server.stop()
    await sync_to_async(connections.close_all)()


@pytest.fixture
def follow(principal: Principal, monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], Any]:
    monkeypatch.setattr(rights, "_verdicts", {})

    async def read(run: Run) -> Accumulator:
        async with working():
            return Accumulator().read(await within(parsed(frames(run.id, 0, Rights(principal)))))

    return read


@pytest.mark.parametrize(
    ("pieces", "events", "code", "message"),
    [
        pytest.param([HEAD], [], "server_error", CUT, id="cut-before-the-first-token"),
        pytest.param([HEAD, ONCE], IN_TEXT, "server_error", CUT, id="cut-after-it"),
        pytest.param([HEAD, CALL], CALLS, "server_error", CUT, id="cut-in-a-call"),
        pytest.param([HEAD, GARBAGE], [], "server_error", NOT_OPENAI, id="garbage"),
        pytest.param([HEAD, ONCE, GARBAGE], IN_TEXT, "server_error", NOT_OPENAI, id="garbage-after-text"),
        pytest.param(
            [HEAD, ONCE, b'data: {"error": {"message": "CUDA error"}}\n\n'],
            IN_TEXT,
            "server_error",
            "The engine failed in the middle of the answer: CUDA error",
            id="an-error-in-the-stream",
        ),
        pytest.param(
            [refusal(429, "slow down")],
            [],
            "rate_limit_exceeded",
            "The engine is over its limit: slow down",
            id="429",
        ),
        pytest.param(
            [refusal(400, "too long")], [], "invalid_prompt", "The engine refused the request: too long", id="400"
        ),
        pytest.param([refusal(503, "busy")], [], "server_error", "The engine is overloaded: busy", id="503"),
        pytest.param([b""], [], "server_error", "The engine closed the connection without an answer.", id="no-answer"),
    ],
)
async def test_what_went_wrong_is_told(
    engine: Upstream,
    begin: Callable[..., Run],
    follow: Callable[..., Any],
    pieces: list[bytes],
    events: list[str],
    code: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(execution, "ENGINE_PATIENCE", 0.0)
    engine.answers(*pieces)
    stream = await follow(await in_database(begin))
    assert stream.names == [*BEGUN, *told(events, "failed")]
    assert stream.last_run["last_error"] == {"code": code, "message": message}


SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object"}, "strict": True}}
FUNCTION = {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, {"temperature": 1.0, "top_p": 1.0}),
        ({"temperature": 0, "top_p": 0}, {"temperature": 0, "top_p": 1e-6}),
        ({"max_completion_tokens": 300}, {"max_tokens": 300}),
        ({"max_completion_tokens": 100_000}, {"max_tokens": 512}),  # no more than the engine's context has
        ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        ({"response_format": "auto"}, {"response_format": None}),
        ({"response_format": {"type": "text"}}, {"response_format": None}),
        ({"response_format": SCHEMA}, {"response_format": SCHEMA}),
        (
            {"response_format": {"type": "json_object"}, "instructions": "Answer in JSON."},
            {"response_format": {"type": "json_object"}},
        ),
        ({"response_format": SCHEMA, "tools": [FUNCTION]}, {"response_format": SCHEMA, "tool_choice": "auto"}),
        ({"tools": [FUNCTION], "tool_choice": "required"}, {"tool_choice": "required"}),
        ({"tools": [FUNCTION], "tool_choice": "none"}, {"tool_choice": "none"}),
        ({"tools": [FUNCTION], "tool_choice": FUNCTION}, {"tool_choice": FUNCTION}),
        ({"tools": [], "tool_choice": "required"}, {"tool_choice": None, "tools": None}),
        ({"tools": [FUNCTION], "parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"tools": [FUNCTION]}, {"parallel_tool_calls": None}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": None}),
    ],
)
async def test_what_a_run_asks_of_the_engine(
    engine: Upstream, begin: Callable[..., Run], follow: Callable[..., Any], asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    engine.answers(answer("Hello"))
    stream = await follow(await in_database(begin, **asked))
    assert stream.names == [*BEGUN, *TEXT, *WHOLE]
    body = engine.requests[-1].body
    assert {name: body.get(name) for name in sent} == sent


async def test_json_mode_without_a_word_of_it_is_refused_before_the_engine_is_asked(
    engine: Upstream, begin: Callable[..., Run], follow: Callable[..., Any]
) -> None:
    stream = await follow(await in_database(begin, response_format={"type": "json_object"}))
    assert stream.names == [*BEGUN, *told([], "failed")]
    assert stream.last_run["last_error"] == {
        "code": "invalid_prompt",
        "message": "'messages' must contain the word 'json' in some form, "
        "to use 'response_format' of type 'json_object'.",
    }
    assert engine.requests == []


async def test_the_word_may_stand_in_a_message(
    engine: Upstream, begin: Callable[..., Run], follow: Callable[..., Any]
) -> None:
    said = [{"role": "user", "content": [{"type": "text", "text": "As JSON, please."}]}]
    run = await in_database(begin, response_format={"type": "json_object"}, additional_messages=said)
    assert (await follow(run)).last_run["status"] == "completed"


async def test_a_schema_reaches_the_engine_in_the_order_it_was_given(
    engine: Upstream, principal: Principal, thread: Thread, follow: Callable[..., Any]
) -> None:
    """A model fills properties in that order: one that is to reason first must not be made to answer first."""
    properties = {name: {"type": "string"} for name in ("reasoning_in_steps", "a", "confidence", "b")}
    schema = {"type": "object", "properties": properties}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}

    def make() -> Run:
        made = assistants.create_assistant(principal=principal, model="tiny", tools=[tool], response_format=form)
        return creation.create_run(principal=principal, thread_id=thread.id, assistant_id=made.id).run

    assert (await follow(await in_database(make))).last_run["response_format"] == form
    body = engine.requests[-1].body
    for sent in (body["response_format"]["json_schema"]["schema"], body["tools"][0]["function"]["parameters"]):
        assert list(sent["properties"]) == list(properties)
    schema["properties"] = dict(reversed(properties.items()))  # equal to a dictionary, and another configuration
    await follow(await in_database(make))
    body = engine.requests[-1].body
    assert list(body["response_format"]["json_schema"]["schema"]["properties"]) == list(reversed(properties))
