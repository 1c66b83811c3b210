"""``/v1/chat/completions``: what goes to the engine, and what comes back, whole and in chunks."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from inference import gateway
from inference.chat import Finished, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta, Usage
from tests.inference.asking import Asker
from tests.inference.conftest import HEAD, Upstream, answer, event, in_database, plain, until
from tests.inference.helpers import ready_engine

pytestmark = pytest.mark.django_db(transaction=True)

PICTURE = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
DETAILS = {
    "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 0,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"place": {"type": "string"}}}},
}
CALL = [
    {
        "tool_calls": [
            {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        ]
    },
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"place":"Oslo"}'}}]},
]


@pytest.fixture
async def asker(upstream: Upstream, api_key: str) -> Asker:
    await in_database(ready_engine, upstream.url, "tiny")
    return Asker(api_key)


def calls(*deltas: dict[str, Any]) -> bytes:
    """An answer that calls a tool."""
    return HEAD + b"".join(map(event, deltas)) + event(reason="tool_calls") + b"data: [DONE]\n\n"


def sent(upstream: Upstream) -> dict[str, Any]:
    return upstream.requests[-1].body


# ------------------------------------------------------------------------------------------------------- whole


async def test_an_answer_is_the_originals_to_the_last_field(asker: Asker, upstream: Upstream) -> None:
    upstream.answers(answer("Hel", "lo"))
    got = await asker.chat(model="gpt-4o")
    assert got.status == 200
    body = got.body
    assert list(body) == [
        "id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint",
    ]  # fmt: skip
    assert body["id"].startswith("chatcmpl-")
    assert body["model"] == "gpt-4o"  # as it was asked for
    assert body["system_fingerprint"].startswith("fp_")
    assert body["service_tier"] == "default"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, **DETAILS}
    assert got.headers["x-request-id"].startswith("req_")
    assert got.headers["openai-organization"] == "sovereign"
    assert got.headers["content-length"] == str(len(got.content))


async def test_no_beta_header_is_needed_and_the_sidecars_names_are_the_same(asker: Asker, upstream: Upstream) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    here = await asker.post("/v1/chat/completions", model="tiny", messages=messages)
    there = await asker.post("/api/v1/chat/completions", model="tiny", messages=messages)
    assert (here.status, there.status) == (200, 200)
    assert here.body["choices"] == there.body["choices"]
    always = await asker.post("/api/v1/chat/completions/stream", model="tiny", messages=messages, stream=False)
    assert always.chunks[-1] == "[DONE]"


async def test_a_call_is_made_as_often_as_it_is_sent(asker: Asker, upstream: Upstream) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}
    answers = [await asker.ask("POST", "/v1/chat/completions", body, **{"idempotency-key": "k"}) for _ in range(2)]
    assert len({one.body["id"] for one in answers}) == 2
    assert len(upstream.requests) == 2
    assert not any("idempotent-replayed" in one.headers for one in answers)


async def test_every_parameter_reaches_the_engine(asker: Asker, upstream: Upstream) -> None:
    given = {
        "temperature": 0.5,
        "top_p": 0.5,
        "stop": ["a", "b"],
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": -0.1,
        "logit_bias": {"50256": -100},
        "logprobs": True,
        "top_logprobs": 3,
        "user": "u-1",
        "reasoning_effort": "low",
    }
    told = {"service_tier": "auto", "parallel_tool_calls": False, "tools": [WEATHER], "tool_choice": "auto"}
    assert (await asker.chat(max_completion_tokens=9, **given, **told)).status == 200
    body = sent(upstream)
    assert {name: body[name] for name in given} == given
    assert (body["max_tokens"], body["parallel_tool_calls"], body["tool_choice"]) == (9, False, "auto")
    assert body["tools"] == [WEATHER]


async def test_a_stop_that_is_one_text_is_a_list(asker: Asker, upstream: Upstream) -> None:
    await asker.chat(stop="x", max_tokens=5)
    assert (sent(upstream)["stop"], sent(upstream)["max_tokens"]) == (["x"], 5)


async def test_messages_of_every_kind_in_one_dialect(asker: Asker, upstream: Upstream) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]},
        {
            "role": "user",
            "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": PICTURE}}],
            "name": "Ada",
        },
        {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "annotations": [], "audio": None},
        {"role": "tool", "tool_call_id": "call_1", "content": "12 °C"},
        {"role": "assistant", "content": [{"type": "text", "text": "12"}, {"type": "refusal", "refusal": "no"}]},
        {"role": "assistant", "refusal": "I will not."},
        {"role": "user", "content": "And?"},
    ]
    await asker.post("/v1/chat/completions", model="tiny", messages=messages)
    assert sent(upstream)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "One.\nTwo."},
        {"role": "user", "content": messages[2]["content"], "name": "Ada"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "12 °C"},
        {"role": "assistant", "content": "12\nno"},
        {"role": "assistant", "content": "I will not."},
        {"role": "user", "content": "And?"},
    ]


async def test_tool_calls(asker: Asker, upstream: Upstream) -> None:
    upstream.answers(calls(*CALL))
    [choice] = (await asker.chat(tools=[WEATHER])).body["choices"]
    assert choice["finish_reason"] == "tool_calls"
    function = {"name": "weather", "arguments": '{"place":"Oslo"}'}
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        "refusal": None,
        "annotations": [],
    }


async def test_a_call_of_a_certain_function_ends_with_stop(asker: Asker, upstream: Upstream) -> None:
    upstream.answers(calls(*CALL))
    named = {"type": "function", "function": {"name": "weather"}}
    [choice] = (await asker.chat(tools=[WEATHER], tool_choice=named)).body["choices"]
    assert choice["finish_reason"] == "stop"
    assert sent(upstream)["tool_choice"] == named


async def test_allowed_tools_are_those_that_are_offered(asker: Asker, upstream: Upstream) -> None:
    other = {"type": "function", "function": {"name": "other"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "weather"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    assert (await asker.chat(tools=[WEATHER, other], tool_choice=choice)).status == 200
    assert (sent(upstream)["tools"], sent(upstream)["tool_choice"]) == ([WEATHER], "required")


async def test_functions_are_tools_and_their_answers_are_as_old(asker: Asker, upstream: Upstream) -> None:
    upstream.answers(calls(*CALL))
    functions = [WEATHER["function"]]
    [choice] = (await asker.chat(functions=functions, function_call="auto")).body["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "function_call": {"name": "weather", "arguments": '{"place":"Oslo"}'},
        "refusal": None,
        "annotations": [],
    }
    body = sent(upstream)
    assert (body["tools"], body["tool_choice"], body["parallel_tool_calls"]) == ([WEATHER], "auto", False)
    upstream.answers(answer("12"))
    asked = {"role": "user", "content": "?"}
    called = {"role": "assistant", "function_call": {"name": "weather", "arguments": "{}"}}
    given = {"role": "function", "name": "weather", "content": "12 °C"}
    await asker.chat(functions=functions, messages=[asked, called, given])
    [_, answered, told] = sent(upstream)["messages"]
    [call] = answered["tool_calls"]
    assert call["function"] == {"name": "weather", "arguments": "{}"}
    assert told == {"role": "tool", "tool_call_id": call["id"], "content": "12 °C"}


async def test_several_answers_are_several_calls(asker: Asker, upstream: Upstream) -> None:
    got = await asker.chat(n=3, seed=5)
    assert [choice["index"] for choice in got.body["choices"]] == [0, 1, 2]
    assert sorted(asked.body["seed"] for asked in upstream.requests) == [5, 6, 7]
    assert got.body["usage"]["prompt_tokens"] == 3
    assert got.body["usage"]["completion_tokens"] == 3


async def test_thoughts_refusals_and_logprobs(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"token": "H", "logprob": -0.5, "bytes": [72], "top_logprobs": []}

    async def stream(_: Any) -> Any:
        yield ReasoningDelta("Hm")
        yield TextDelta("H", [entry])
        yield RefusalDelta("No.")
        yield ToolCallDelta(0, None, "f", "{}")
        yield Finished("content_filter", Usage(1, 2, 0, 1))

    monkeypatch.setattr(gateway, "stream", stream)
    [choice] = (await asker.chat(logprobs=True)).body["choices"]
    message = choice["message"]
    assert (message["content"], message["refusal"], message["reasoning_content"]) == ("H", "No.", "Hm")
    assert message["tool_calls"][0]["id"].startswith("call_")
    assert choice["logprobs"] == {"content": [entry], "refusal": None}
    assert choice["finish_reason"] == "content_filter"
    chunks = (await asker.chat(logprobs=True, stream=True)).chunks
    deltas = [chunk["choices"][0] for chunk in chunks[:-1]]
    assert deltas[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert deltas[1]["delta"] == {"reasoning_content": "Hm"}
    assert (deltas[2]["delta"], deltas[2]["logprobs"]) == ({"content": "H"}, {"content": [entry], "refusal": None})
    assert deltas[3]["delta"] == {"refusal": "No."}
    assert deltas[5] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "content_filter"}


# ----------------------------------------------------------------------------------------------------- streams


async def test_a_stream_is_in_the_originals_order_and_spelling(asker: Asker, upstream: Upstream) -> None:
    upstream.answers(answer("Hel", "lo \u2028\n"))
    got = await asker.chat(stream=True, stream_options={"include_usage": True})
    assert got.headers["cache-control"] == "no-cache"
    *chunks, done = got.chunks
    assert done == "[DONE]"
    heads = [{name: chunk[name] for name in list(chunk)[:6]} for chunk in chunks]
    assert all(head == heads[0] for head in heads)
    assert list(heads[0]) == ["id", "object", "created", "model", "service_tier", "system_fingerprint"]
    assert heads[0]["object"] == "chat.completion.chunk"
    told = [chunk["choices"] for chunk in chunks]
    rest = {"logprobs": None, "finish_reason": None}
    assert told == [
        [{"index": 0, "delta": {"role": "assistant", "content": "", "refusal": None}, **rest}],
        [{"index": 0, "delta": {"content": "Hel"}, **rest}],
        [{"index": 0, "delta": {"content": "lo \u2028\n"}, **rest}],
        [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}],
        [],
    ]
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * 4
    assert chunks[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, **DETAILS}


async def test_without_being_asked_for_the_usage_is_not_mentioned(asker: Asker) -> None:
    assert not any("usage" in chunk for chunk in (await asker.chat(stream=True)).chunks[:-1])


async def test_streamed_calls(asker: Asker, upstream: Upstream) -> None:
    upstream.answers(calls(*CALL))
    deltas = [c["choices"][0]["delta"] for c in (await asker.chat(stream=True, tools=[WEATHER])).chunks[:-1]]
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    assert deltas == [
        {"role": "assistant", "content": None, "refusal": None},
        {"tool_calls": [first]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"place":"Oslo"}'}}]},
        {},
    ]
    upstream.answers(calls(*CALL))
    got = await asker.chat(stream=True, functions=[WEATHER["function"]])
    choices = [chunk["choices"][0] for chunk in got.chunks[:-1]]
    assert [choice["delta"] for choice in choices[1:]] == [
        {"function_call": {"name": "weather", "arguments": ""}},
        {"function_call": {"arguments": '{"place":"Oslo"}'}},
        {},
    ]
    assert choices[-1]["finish_reason"] == "function_call"


async def test_several_streamed_answers_carry_their_index(asker: Asker) -> None:
    chunks = (await asker.chat(stream=True, n=2)).chunks[:-1]
    for index in (0, 1):
        own = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == index]
        assert [choice["delta"].get("content") for choice in own] == ["", "Hello", None]
        assert own[-1]["finish_reason"] == "stop"


async def test_pieces_that_arrive_together_are_one_write(asker: Asker, upstream: Upstream) -> None:
    upstream.answers(answer(*map(str, range(100))))
    connection = asker.connection(
        "POST",
        "/v1/chat/completions",
        {"model": "tiny", "stream": True, "messages": [{"role": "user", "content": "?"}]},
    )
    got = await connection.through(asker.handler)
    assert len(got.chunks) == 103
    assert len(connection.writes) < 20


# ---------------------------------------------------------------------------------------------------- failures


async def test_a_failure_before_the_first_piece_has_its_status(asker: Asker, upstream: Upstream) -> None:
    for stream in (False, True):
        upstream.answers(plain(400, b'{"error": {"message": "too long"}}'))
        got = await asker.chat(stream=stream)
        assert (got.status, got.error["type"]) == (400, "invalid_request_error")
        assert "too long" in got.error["message"]
        assert got.headers["x-request-id"].startswith("req_")
        upstream.answers(plain(429, b'{"error": {"message": "slow down"}}'))
        got = await asker.chat(stream=stream)
        assert (got.status, got.error["code"]) == (429, "rate_limit_exceeded")
        assert int(got.headers["retry-after"]) >= 1
        upstream.answers(plain(500, b"{}"))
        got = await asker.chat(stream=stream)
        assert (got.status, got.error["type"]) == (500, "server_error")


async def test_an_engine_that_is_gone_is_a_503_that_says_when_to_come_back(asker: Asker, upstream: Upstream) -> None:
    await upstream.stop()
    got = await asker.chat()
    assert (got.status, got.error["code"]) == (503, "service_unavailable")
    assert "refused the connection" in got.error["message"]
    assert int(got.headers["retry-after"]) >= 1


async def test_a_failure_in_a_stream_is_its_last_frame(asker: Asker, upstream: Upstream) -> None:
    upstream.answers(HEAD + event({"content": "Hel"}))
    chunks = (await asker.chat(stream=True)).chunks
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks[:-1]] == ["", "Hel"]
    assert chunks[-1]["error"]["type"] == "server_error"
    assert set(chunks[-1]["error"]) == {"message", "type", "param", "code"}


async def test_what_nobody_expected_is_an_error_without_its_text(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: Any) -> Any:
        raise ValueError("a secret")
        yield

    async def breaks(_: Any) -> Any:
        yield TextDelta("a")
        await asyncio.sleep(0)
        raise ValueError("a secret")

    monkeypatch.setattr(gateway, "stream", broken)
    got = await asker.chat()
    assert got.status == 500
    assert got.headers["x-request-id"] in got.error["message"]
    assert "secret" not in str(got.body)
    monkeypatch.setattr(gateway, "stream", breaks)
    got = await asker.chat(stream=True)
    assert got.headers["x-request-id"] in got.chunks[-1]["error"]["message"]
    assert b"secret" not in got.content


async def test_one_failed_answer_of_several_ends_them_all(asker: Asker, upstream: Upstream) -> None:
    upstream.hangs(HEAD, event({"content": "a"}))
    asking = asyncio.create_task(asker.chat(n=2))
    await until(lambda: len(upstream.requests) == 2)
    first, second = upstream.requests
    upstream.answers(answer("x"))
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await asyncio.wait_for(asyncio.gather(first.gone.wait(), second.gone.wait()), 60)


@pytest.mark.parametrize("stream", [False, True])
async def test_who_leaves_takes_the_engines_work_along(asker: Asker, upstream: Upstream, stream: bool) -> None:
    upstream.hangs(HEAD, event({"content": "Hel"}))
    body = {"model": "tiny", "stream": stream, "messages": [{"role": "user", "content": "?"}]}
    connection = asker.connection("POST", "/v1/chat/completions", body)
    answering = asyncio.create_task(asker.handler(connection.scope, connection._incoming.get, connection._send))
    await until(lambda: upstream.requests)
    if stream:
        await connection.says(b"Hel")
    connection.leave()
    await asyncio.wait_for(answering, 60)
    await asyncio.wait_for(upstream.requests[-1].gone.wait(), 60)
    assert bool(connection.sent) is stream


async def test_who_does_not_read_holds_the_engine_back(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    given = 0

    async def endless(_: Any) -> Any:
        nonlocal given
        while given < 100_000:
            given += 1
            yield TextDelta("x")
        yield Finished("stop", Usage(1, given))

    monkeypatch.setattr(gateway, "stream", endless)
    body = {"model": "tiny", "stream": True, "messages": [{"role": "user", "content": "?"}]}
    connection = asker.connection("POST", "/v1/chat/completions", body)
    connection.is_open.clear()
    answering = asyncio.create_task(connection.through(asker.handler))
    await until(lambda: given)
    for _ in range(100):
        await asyncio.sleep(0)
    assert given <= 2_048
    connection.is_open.set()
    got = await answering
    assert got.content.count(b'"content":"x"') == 100_000
