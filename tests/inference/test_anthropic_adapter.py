"""Anthropic's Messages, against a server that is as strict as the original."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.adapters import adapter_for
from inference.adapters.anthropic_request import body_for, conversation, generation, understood
from inference.adapters.base import Endpoint
from inference.calls import CompletionRequest, EmbeddingRequest, ModerationRequest
from inference.chat import (
    Capabilities,
    ChatRequest,
    EngineUnavailable,
    Finished,
    InferenceError,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from tests.inference.conftest import HEAD, Upstream, collect, request_for
from tests.inference.upstreams.anthropic import Messages, answer, complaints, error, event, text, thinking, tool

adapter = adapter_for("anthropic")
PIXEL = b64encode(b"\x89PNG pixel").decode()
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"properties": {"city": {}}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "schema": {"properties": {"name": {"maxLength": 3}}}}}


@pytest.fixture
def server(upstream: Upstream) -> Messages:
    return Messages(upstream)


async def stream(server: Messages, endpoint: dict[str, Any] | None = None, **changes: Any) -> list[Any]:
    _, _, deltas = await collect(adapter.stream(server.endpoint(**(endpoint or {})), request_for(**changes)))
    return deltas


async def failure(server: Messages, **changes: Any) -> InferenceError:
    with pytest.raises(InferenceError) as caught:
        await stream(server, **changes)
    return caught.value


async def test_text_usage_and_reason(server: Messages) -> None:
    deltas = await stream(server)
    assert deltas == [TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage(10, 7, cached_tokens=3))]


async def test_what_is_asked(server: Messages) -> None:
    await stream(server, stop=["END", " "], end_user="u1", max_tokens=9)
    assert server.asked == {
        "model": "claude-test",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "stream": True,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
    }
    asked = server.upstream.requests[-1]
    assert asked.path == "/v1/messages"
    assert asked.headers["x-api-key"] == "k-secret-1"
    assert "authorization" not in asked.headers


async def test_the_most_tokens_are_always_said(server: Messages) -> None:
    await stream(server)
    assert server.asked["max_tokens"] == 16_384
    await stream(server, {"options": {"max_tokens": 99}})
    assert server.asked["max_tokens"] == 99
    await stream(server, {"capabilities": Capabilities(context_length=50)}, max_tokens=70)
    assert server.asked["max_tokens"] == 50


async def test_thoughts_are_no_text(server: Messages) -> None:
    server.says(thinking("Well", "…"), text("Yes"), output_tokens_details={"thinking_tokens": 5})
    deltas = await stream(server)
    assert deltas[:3] == [ReasoningDelta("Well"), ReasoningDelta("…"), TextDelta("Yes")]
    assert deltas[-1] == Finished("stop", Usage(10, 7, 3, reasoning_tokens=5))


async def test_tool_calls(server: Messages) -> None:
    server.says(text("Let me"), tool("weather", '{"city"', ': "Köln"}'), tool("now", id="toolu_2"), reason="tool_use")
    deltas = await stream(server, tools=[WEATHER])
    assert deltas == [
        TextDelta("Let me"),
        ToolCallDelta(0, "toolu_1", "weather", ""),
        ToolCallDelta(0, None, None, '{"city"'),
        ToolCallDelta(0, None, None, ': "Köln"}'),
        ToolCallDelta(1, "toolu_2", "now", ""),
        ToolCallDelta(1, None, None, "{}"),  # a call without arguments
        Finished("tool_calls", Usage(10, 7, 3)),
    ]


@pytest.mark.parametrize(
    ("choice", "parallel", "wanted"),
    [
        (None, True, {"type": "auto"}),
        ("auto", False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", True, {"type": "any"}),
        ("none", False, {"type": "none"}),
        ({"type": "function", "function": {"name": "weather"}}, True, {"type": "tool", "name": "weather"}),
    ],
)
async def test_tool_choices(server: Messages, choice: Any, parallel: bool, wanted: dict[str, Any]) -> None:
    await stream(server, tools=[WEATHER], tool_choice=choice, parallel_tool_calls=parallel)
    assert server.asked["tool_choice"] == wanted
    schema = {"type": "object", "properties": {"city": {}}}
    assert server.asked["tools"] == [{"name": "weather", "input_schema": schema}]


async def test_a_jpeg_by_its_other_name(server: Messages) -> None:
    await stream(server, messages=[{"role": "user", "content": [_image(f"data:image/JPG;base64,{PIXEL}")]}])
    assert server.asked["messages"][0]["content"][0]["source"]["media_type"] == "image/jpeg"


async def test_a_conversation_with_everything(server: Messages) -> None:
    call = {"id": "call/1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Köln"}'}}
    broken = {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": "Köln"}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Look"}, _image(f"data:image/png;base64,{PIXEL}")]},
        {"role": "developer", "content": [{"type": "text", "text": "Speak German."}]},
        {"role": "assistant", "content": None, "tool_calls": [call, broken]},
        {"role": "tool", "tool_call_id": "call/1", "content": "Rain"},
        {"role": "tool", "tool_call_id": "call_2", "content": ""},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": "", "refusal": "No."},
    ]
    await stream(server, messages=messages)
    assert server.asked["system"] == "Be brief.\n\nSpeak German."
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    assert server.asked["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image", "source": source}]},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Köln"}},
                {"type": "tool_use", "id": "call_2", "name": "weather", "input": {"arguments": "Köln"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "Rain"}]},
                {"type": "tool_result", "tool_use_id": "call_2", "content": []},
                {"type": "text", "text": "And?"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "No."}]},
        {"role": "user", "content": [{"type": "text", "text": "Continue."}]},
    ]


def _image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


TURNS = st.lists(
    st.tuples(st.sampled_from(["system", "developer", "user", "assistant", "call"]), st.text("ab \n", max_size=3)),
    max_size=8,
)


@given(turns=TURNS)
def test_every_conversation_becomes_one_that_is_accepted(turns: list[tuple[str, str]]) -> None:
    messages: list[dict[str, Any]] = []
    for number, (role, said) in enumerate(turns):
        if role == "call":
            function = {"name": "weather", "arguments": said}
            calls = [{"id": f"call_{number}", "type": "function", "function": function}]
            messages.append({"role": "assistant", "content": said, "tool_calls": calls})
            messages.append({"role": "tool", "tool_call_id": f"call_{number}", "content": said})
        else:
            messages.append({"role": role, "content": said})
    assert list(complaints({"max_tokens": 1, "messages": conversation(messages)})) == []


@pytest.mark.parametrize(
    "part",
    [
        _image("https://example.com/cat.png"),
        _image("http://169.254.169.254/latest"),
        _image("data:text/html;base64,AAAA"),
        _image("data:image/png;base64,not base64!"),
        {"type": "input_audio", "input_audio": {}},
        {"type": "image_url"},
        7,
    ],
)
async def test_images_are_data_and_other_parts_are_refused(server: Messages, part: Any) -> None:
    error = await failure(server, messages=[{"role": "user", "content": [part]}])
    assert error.code == "invalid_prompt"
    assert server.upstream.requests == []


async def test_an_answer_with_a_schema(server: Messages) -> None:
    await stream(server, response_format=SCHEMA)
    schema = {"properties": {"name": {}}, "additionalProperties": False}
    assert server.asked["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


async def test_an_answer_with_a_schema_of_a_model_that_knows_none(server: Messages) -> None:
    """It calls a tool, and what it calls it with is the answer."""
    server.says(tool("city", '{"name"', ': "Ulm"}'), reason="tool_use")
    deltas = await stream(server, {"capabilities": Capabilities()}, response_format=SCHEMA)
    assert deltas == [TextDelta('{"name"'), TextDelta(': "Ulm"}'), Finished("stop", Usage(10, 7, 3))]
    assert server.asked["tool_choice"] == {"type": "tool", "name": "city"}
    assert server.asked["tools"][0]["input_schema"] == SCHEMA["json_schema"]["schema"]  # type: ignore[index]


async def test_an_answer_with_a_schema_beside_tools(server: Messages) -> None:
    server.says(tool("weather", "{}"), reason="tool_use")
    deltas = await stream(server, {"capabilities": Capabilities()}, response_format=SCHEMA, tools=[WEATHER])
    assert server.asked["tool_choice"] == {"type": "any"}
    assert [tool["name"] for tool in server.asked["tools"]] == ["weather", "city"]
    assert deltas[-1].reason == "tool_calls"


async def test_any_json(server: Messages) -> None:
    await stream(server, response_format={"type": "json_object"})
    assert server.asked["system"] == "Answer with one JSON object and nothing else."


def test_schemas_keep_names_that_look_like_rules() -> None:
    schema = {
        "type": "object",
        "properties": {"minimum": {"type": "integer", "minimum": 3}, "list": {"type": "array", "minItems": 2}},
        "$defs": {"maxLength": {"enum": ["minimum", {"minimum": 1}]}},
    }
    assert understood(schema) == {
        "type": "object",
        "properties": {"minimum": {"type": "integer"}, "list": {"type": "array"}},
        "$defs": {"maxLength": {"enum": ["minimum", {"minimum": 1}]}},
        "additionalProperties": False,
    }


def test_schemas_are_not_endless() -> None:
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"items": deep}
    with pytest.raises(InferenceError, match="nested too deeply"):
        understood(deep)


@pytest.mark.parametrize(
    ("model", "numbers"),
    [
        ("claude-3-5-sonnet-20241022", (3, 5)),
        ("claude-3-opus-20240229", (3, 0)),
        ("claude-opus-4-20250514", (4, 0)),
        ("claude-sonnet-4-5-20250929", (4, 5)),
        ("claude-opus-4-6", (4, 6)),
        ("anthropic/claude-opus-5", (5, 0)),
        ("claude-mythos-preview", (99, 0)),
    ],
)
def test_generations(model: str, numbers: tuple[int, int]) -> None:
    assert generation(model) == numbers


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("claude-sonnet-4-5", {"temperature": 2.0, "top_p": 0.5}, {"temperature": 1.0}),
        ("claude-sonnet-4-5", {"top_p": 0.5}, {"top_p": 0.5}),
        ("claude-opus-4-7", {"temperature": 0.3}, {}),
        ("claude-opus-5", {"top_p": 0.3}, {}),
        (
            "claude-sonnet-4-5",
            {"reasoning_effort": "low", "temperature": 0.3},
            {"thinking": {"type": "enabled", "budget_tokens": 2_048}},
        ),
        (
            "claude-opus-4-7",
            {"reasoning_effort": "high"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        ),
        ("claude-opus-4-7", {"reasoning_effort": "none"}, {}),
        ("claude-3-5-haiku-20241022", {"reasoning_effort": "high"}, {}),
        ("claude-sonnet-4-5", {"reasoning_effort": "high", "max_tokens": 1_000}, {}),
        ("claude-opus-4-7", {"reasoning_effort": "high", "tools": [WEATHER], "tool_choice": "required"}, {}),
    ],
)
async def test_sampling_and_thinking(server: Messages, model: str, asked: dict[str, Any], sent: dict[str, Any]) -> None:
    await stream(server, {"model": model}, **asked)
    names = ("temperature", "top_p", "thinking", "output_config")
    assert {name: server.asked[name] for name in names if name in server.asked} == sent


async def test_the_key_may_stand_where_other_servers_look_for_it(server: Messages) -> None:
    await stream(server, {"options": {"bearer": True}})
    headers = server.upstream.requests[-1].headers
    assert headers["authorization"] == "Bearer k-secret-1"
    assert "x-api-key" not in headers


async def test_the_newer_version_of_the_dialect(server: Messages) -> None:
    """It is one of the provider's options, and knows nothing of sampling."""
    newer = {"options": {"version": "2026-10-21", "beta": "a-1,b-2"}, "model": "claude-sonnet-4-5"}
    await stream(server, newer, temperature=0.5)
    headers = server.upstream.requests[-1].headers
    assert (headers["anthropic-version"], headers["anthropic-beta"]) == ("2026-10-21", "a-1,b-2")
    await stream(server, {"options": {"version": "x\r\ny: z", "beta": 7}})
    headers = server.upstream.requests[-1].headers
    assert headers["anthropic-version"] == "2023-06-01"
    assert "anthropic-beta" not in headers


async def test_thoughts_are_not_asked_for_again_where_those_before_a_tool_are_gone(server: Messages) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "Rain"},
    ]
    await stream(server, {"model": "claude-sonnet-4-5"}, messages=messages, reasoning_effort="high")
    assert "thinking" not in server.asked


async def test_continuing_is_refused_unless_the_model_can(server: Messages) -> None:
    messages = [{"role": "user", "content": "Count"}, {"role": "assistant", "content": "one, two, "}]
    error = await failure(server, messages=messages, continues=True)
    assert error.code == "unsupported"
    able = {"capabilities": Capabilities(continuation=True)}
    await stream(server, able, messages=messages, continues=True)
    assert server.asked["messages"][-1] == {"role": "assistant", "content": [{"type": "text", "text": "one, two,"}]}


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
    ],
)
async def test_reasons(server: Messages, reason: str, ours: str) -> None:
    server.says(text("a"), reason=reason)
    assert (await stream(server))[-1].reason == ours


async def test_probabilities_are_not_told(server: Messages) -> None:
    assert (await failure(server, logprobs=True)).code == "unsupported"


@pytest.mark.parametrize(
    ("status", "kind", "code", "words", "again"),
    [
        (400, "invalid_request_error", "invalid_prompt", "The engine refused the request: oh", False),
        (401, "authentication_error", "server_error", "The engine refused our key.", False),
        (413, "request_too_large", "invalid_prompt", "The engine refused the request: oh", False),
        (429, "rate_limit_error", "rate_limit_exceeded", "The engine is over its limit: oh", True),
        (500, "api_error", "server_error", "The engine answered with status 500: oh", False),
        (529, "overloaded_error", "server_error", "The engine is overloaded: oh", True),
    ],
)
async def test_errors(server: Messages, status: int, kind: str, code: str, words: str, again: bool) -> None:
    server.script = error(status, kind, "oh")
    caught = await failure(server)
    assert (caught.code, caught.message) == (code, words)
    assert isinstance(caught, EngineUnavailable) is again


async def test_a_model_that_is_not_there(server: Messages) -> None:
    with pytest.raises(InferenceError) as caught:
        await stream(server, {"model": "missing"})
    assert caught.value.code == "model_not_found"


async def test_errors_inside_the_stream(server: Messages) -> None:
    """Before anything was said another engine may be tried, later not."""
    overloaded = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    start = event("message_start", message={"usage": {}})
    server.script = HEAD + start + overloaded
    early = await failure(server)
    assert isinstance(early, EngineUnavailable)
    assert early.message == "The engine is overloaded: Overloaded"
    said = event("content_block_start", index=0, content_block={"type": "text", "text": "a"})
    server.script = HEAD + start + said + overloaded
    late = await failure(server)
    assert not isinstance(late, EngineUnavailable)
    assert late.message == "The engine failed in the middle of the answer: Overloaded"
    limited = event("error", error={"type": "rate_limit_error", "message": ""})
    server.script = HEAD + start + said + limited
    assert (await failure(server)).code == "rate_limit_exceeded"


async def test_events_and_blocks_of_kinds_that_are_new_are_passed_over(server: Messages) -> None:
    new = event("something_new", x=1) + event(
        "content_block_start", index=9, content_block={"type": "server_tool_use", "id": "s", "name": "web", "input": {}}
    )
    delta = event("content_block_delta", index=9, delta={"type": "input_json_delta", "partial_json": "{}"})
    server.script = HEAD + new + delta + answer(text("a"))
    assert (await stream(server))[0] == TextDelta("a")


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"{}",
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 7}}',
        b'{"type": "content_block_delta", "index": 0, "delta": "x"}',
        b'{"type": "content_block_start", "index": "0", "content_block": {"type": "text"}}',
        b'{"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": 1, "name": "f"}}',
        b'{"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "1", "name": ""}}',
        b'{"type": "content_block_start", "index": 0, "content_block": '
        b'{"type": "tool_use", "id": "1", "name": "f", "input": [1]}}',
        b'{"type": "message_start", "message": 3}',
        b'{"type": "message_delta", "delta": {"stop_reason": {"a": 1}}}',
        b'{"type": "message_delta", "delta": {}, "usage": [3]}',
    ],
)
async def test_garbage_is_told(server: Messages, raw: bytes) -> None:
    server.script = HEAD + b"data: " + raw + b"\n\n"
    assert (await failure(server)).message == "The engine sent an answer that is not in Anthropic's format."


async def test_other_calls_are_not_there(server: Messages) -> None:
    endpoint = server.endpoint()
    with pytest.raises(InferenceError) as caught:
        await collect(adapter.complete(endpoint, CompletionRequest(model="m", prompt="x")))
    assert caught.value.code == "unsupported"
    for call in (
        adapter.embed(endpoint, EmbeddingRequest(model="m", texts=["x"])),
        adapter.moderate(endpoint, ModerationRequest(model="m", inputs=["x"])),
    ):
        with pytest.raises(InferenceError) as caught:
            await call
        assert caught.value.code == "unsupported"


async def test_the_list_of_models_has_pages(server: Messages) -> None:
    server.models = [
        {
            "id": "claude-new",
            "max_input_tokens": 1_000_000,
            "capabilities": {"image_input": {"supported": True}, "structured_outputs": {"supported": False}},
        },
        {"id": "claude-b", "capabilities": None, "max_model_len": 2_048},
        {"id": "claude-gone", "lifecycle": "retired"},
        {"id": "claude-d", "max_input_tokens": "many", "capabilities": {"image_input": 7}},
    ]
    served = await adapter.list_models(server.endpoint())
    assert served.models == [
        {"id": "claude-new", "context_length": 1_000_000, "abilities": {"vision": True, "json_schema": False}},
        {"id": "claude-b", "context_length": 2_048},
        {"id": "claude-d", "context_length": None},
    ]
    assert served.capabilities == {"tools": True, "json_schema": True, "vision": True}


async def test_an_endless_list_of_models(server: Messages) -> None:
    server.models = [{"id": f"claude-{number}"} for number in range(40)]
    with pytest.raises(InferenceError, match="more than 5000 models"):
        await adapter.list_models(server.endpoint())


def test_requests_are_small_where_nothing_was_asked() -> None:
    """What a caller did not say is not said for it, so that a model's own defaults hold."""
    endpoint = Endpoint(engine_id="", kind="anthropic", base_url="", model="m")
    body = body_for(endpoint, ChatRequest(model="m", messages=[{"role": "user", "content": "x"}]))
    assert set(body) == {"model", "max_tokens", "messages", "stream"}
    assert orjson.dumps(body)
