"""The OpenAI-compatible adapter, against an upstream that sends what it likes."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import orjson
import pytest

from inference.adapters import adapter_for
from inference.adapters import transport as transport_module
from inference.adapters.base import Patience
from inference.adapters.openai_compatible import OpenAICompatible
from inference.adapters.transport import transport
from inference.adapters.usage import UNSEEN, most_prompt
from inference.chat import (
    Capabilities,
    EngineUnavailable,
    Finished,
    InferenceError,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from sovereign.core.error_messages import sanitised
from tests.inference.conftest import HEAD, Upstream, answer, collect, event, plain, request_for, until

adapter = OpenAICompatible()


async def stream(
    upstream: Upstream, patience: Patience | None = None, **changes: Any
) -> tuple[str, Finished | None, list[Any]]:
    endpoint = upstream.endpoint(patience=patience or Patience())
    return await collect(adapter.stream(endpoint, request_for(**changes)))


async def failure(upstream: Upstream, **changes: Any) -> InferenceError:
    with pytest.raises(InferenceError) as caught:
        await stream(upstream, **changes)
    return caught.value


async def test_text_usage_and_reason(upstream: Upstream) -> None:
    upstream.answers(answer("Hel", "lo", "!"))
    text, last, _ = await stream(upstream)
    assert text == "Hello!"
    assert last == Finished("stop", Usage(3, 3, cached_tokens=2))


async def test_the_answer_does_not_depend_on_the_pieces_it_comes_in(upstream: Upstream) -> None:
    raw = answer("Grüße ", "🙂", reason="length")
    upstream.answers(*(raw[i : i + 1] for i in range(len(raw))))
    text, last, _ = await stream(upstream)
    assert (text, last and last.reason) == ("Grüße 🙂", "length")


async def test_what_is_asked_of_the_engine(upstream: Upstream) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    await stream(
        upstream,
        tools=tools,
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=0.5,
        top_p=0.9,
        max_tokens=7,
        response_format={"type": "json_object"},
    )
    asked = upstream.requests[-1]
    assert asked.headers["authorization"] == "Bearer k-secret-1"
    assert asked.path == "/v1/chat/completions"
    assert asked.body == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": tools,
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "response_format": {"type": "json_object"},
    }


async def test_nothing_is_sent_that_was_not_asked_for(upstream: Upstream) -> None:
    await stream(upstream, tool_choice="auto", response_format="auto")
    assert set(upstream.requests[-1].body) == {"model", "messages", "stream", "stream_options"}


async def test_a_cut_answer_is_continued_where_the_engine_can(upstream: Upstream) -> None:
    await stream(upstream, continues=True)
    body = upstream.requests[-1].body
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    incapable = upstream.endpoint(capabilities=type(upstream.endpoint().capabilities)())
    with pytest.raises(InferenceError, match="cannot continue"):
        await collect(adapter.stream(incapable, request_for(continues=True)))


async def test_tool_calls_in_pieces(upstream: Upstream) -> None:
    def piece(index: int, arguments: str, **rest: Any) -> bytes:
        return event({"tool_calls": [{"index": index, "function": {"arguments": arguments, **rest}}]})

    first = {
        "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]
    }
    second = {"tool_calls": [{"index": 1, "id": "call_2", "function": {"name": "g", "arguments": "{}"}}]}
    upstream.answers(HEAD, event(first), piece(0, '{"a"'), piece(0, ": 1}"), event(second), event(reason="tool_calls"))
    _, last, deltas = await stream(upstream)
    assert deltas[:-1] == [
        ToolCallDelta(0, "call_1", "f", ""),
        ToolCallDelta(0, None, None, '{"a"'),
        ToolCallDelta(0, None, None, ": 1}"),
        ToolCallDelta(1, "call_2", "g", "{}"),
    ]
    assert last
    assert last.reason == "tool_calls"


async def test_tool_calls_of_engines_that_are_not_strict(upstream: Upstream) -> None:
    """No index, arguments as an object, id and name repeated, and ``stop`` as the reason."""
    call = {"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}
    again = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": " "}}
    upstream.answers(HEAD, event({"tool_calls": [call]}), event({"tool_calls": [again]}), event(reason="stop"))
    _, last, deltas = await stream(upstream)
    assert deltas[:-1] == [ToolCallDelta(0, "c1", "f", '{"a":1}'), ToolCallDelta(0, None, None, " ")]
    assert last
    assert last.reason == "tool_calls"


async def test_without_usage_the_pieces_are_counted(upstream: Upstream) -> None:
    upstream.answers(HEAD, event({"content": "a"}), event({"content": "b"}), event(reason="stop"))
    _, last, _ = await stream(upstream)
    assert last == Finished("stop", Usage(0, 2))


async def test_absurd_usage_counts_as_nothing(upstream: Upstream) -> None:
    usage = {
        "prompt_tokens": -5,
        "completion_tokens": 10**15,
        "prompt_tokens_details": {"cached_tokens": 7},
        "completion_tokens_details": {"reasoning_tokens": "many"},
    }
    upstream.answers(HEAD, event({"content": "a"}), event(reason="stop", usage=usage), b"data: [DONE]\n\n")
    _, last, _ = await stream(upstream)
    assert last
    assert last.usage.prompt_tokens == 0
    assert last.usage.completion_tokens < 1_000  # no more than bytes came


@pytest.mark.parametrize(
    ("told", "length", "believed"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 3}, None, (9, 3)),
        ({"prompt_tokens": 10**9, "completion_tokens": 1}, 512, (512, 1)),
        ({"prompt_tokens": 1, "completion_tokens": 10**9}, 8, (1, 8)),
        (
            {"completion_tokens": 10**5, "completion_tokens_details": {"reasoning_tokens": 10**5 - 3}},
            None,
            (0, 10**5),
        ),
    ],
)
async def test_usage_is_believed_as_far_as_it_can_be_true(
    upstream: Upstream, told: dict[str, Any], length: int | None, believed: tuple[int, int]
) -> None:
    upstream.answers(HEAD, event({"content": "a"}), event(reason="stop", usage=told), b"data: [DONE]\n\n")
    endpoint = upstream.endpoint(capabilities=Capabilities(context_length=length))
    _, last, _ = await collect(adapter_for("openai_compatible").stream(endpoint, request_for()))
    assert last
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == believed


def test_a_prompt_is_no_longer_than_its_bytes_and_pictures() -> None:
    assert most_prompt(None) == 0
    assert most_prompt(b"x" * 1_000) == 1_000 + UNSEEN
    assert most_prompt(b'{"type": "image_url"}') == 21 + 2 * UNSEEN


async def test_characters_that_no_database_keeps_are_left_out(upstream: Upstream) -> None:
    upstream.answers(HEAD, event({"content": "a\x00b"}), event(reason="stop"))
    assert (await stream(upstream))[0] == "ab"


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (400, "invalid_prompt", "The engine refused the request: too long"),
        (422, "invalid_prompt", "The engine refused the request: too long"),
        (500, "server_error", "The engine answered with status 500: too long"),
        (404, "server_error", "The engine answered with status 404: too long"),
        (302, "server_error", "The engine answered with status 302: too long"),
        (401, "server_error", "The engine refused our key."),
    ],
)
async def test_statuses(upstream: Upstream, status: int, code: str, words: str) -> None:
    upstream.answers(plain(status, orjson.dumps({"error": {"message": "too long"}})))
    error = await failure(upstream)
    assert (error.code, error.message) == (code, words)
    assert not isinstance(error, EngineUnavailable)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"detail": "Not Found"}', ": Not Found"),
        (b'{"error": "plain"}', ": plain"),
        (b"<html>no</html>", "."),
        (b'{"error": {"message": 7}}', "."),
        (b"[1]", "."),
        (b"", "."),
    ],
)
async def test_bodies_of_errors(upstream: Upstream, body: bytes, words: str) -> None:
    upstream.answers(plain(500, body))
    assert (await failure(upstream)).message == f"The engine answered with status 500{words}"


async def test_an_upstreams_words_hold_no_secret_and_no_control_characters(upstream: Upstream) -> None:
    said = "bad\nkey \x1b[31m k-secret-1 sk-abcdefghijkl and Bearer abcdefgh1234" + "x" * 2_000
    upstream.answers(plain(400, orjson.dumps({"error": {"message": said}})))
    message = (await failure(upstream)).message
    assert "secret" not in message
    assert "abcdefgh" not in message
    assert message.isprintable()
    assert len(message) < 600


def test_sanitised_keeps_ordinary_words() -> None:
    assert sanitised("The model `x` was\tnot  found.") == "The model `x` was not found."


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([HEAD, event({"content": "a"})], "The engine closed the connection in the middle of the answer."),
        ([HEAD], "The engine closed the connection in the middle of the answer."),
        ([HEAD, event({"content": "a"})[:-9]], "The engine closed the connection in the middle of the answer."),
        ([HEAD, event({"content": "a"}), b"data: [DONE]\n\n"], "The engine ended the answer without a finish reason."),
        ([HEAD, event(reason="abort")], "The engine gave up the answer."),
        ([b""], "The engine closed the connection without an answer."),
        ([b"SSH-2.0-OpenSSH_9\r\n\r\n"], "The engine's answer is not HTTP."),
        ([plain(200, b"<html></html>", "text/html")], "The engine answered with text/html instead of a stream."),
        ([plain(200, b"{}")], "The engine answered with application/json instead of a stream."),
    ],
)
async def test_answers_that_are_none(upstream: Upstream, pieces: list[bytes], words: str) -> None:
    upstream.answers(*pieces)
    error = await failure(upstream)
    assert (error.code, error.message) == ("server_error", words)


async def test_a_chunked_answer_that_is_cut(upstream: Upstream) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    data = event({"content": "a"})
    upstream.answers(head + b"%x\r\n%s\r\n" % (len(data), data) + b"ff\r\ndata")
    assert (await failure(upstream)).message == "The engine closed the connection in the middle of the answer."


@pytest.mark.parametrize(
    "data",
    [
        b"not json",
        b"[]",
        b"3",
        b'{"id": "x"}',
        b'{"choices": 7}',
        b'{"choices": [7]}',
        b'{"choices": [{"delta": "x"}]}',
        b'{"choices": [{"delta": {"content": 7}}]}',
        b'{"choices": [{"delta": {"content": ["a"]}}]}',
        b'{"choices": [{"delta": {"tool_calls": {"a": 1}}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": 999, "function": {"name": "f"}}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": 0, "id": 7, "function": {"name": "f"}}]}}]}',
        b'{"choices": [{"delta": {}, "finish_reason": {"a": 1}}]}',
        b'{"choices": [{"delta": {"content": "\xff"}}]}',
        b'{"choices": [], "usage": "none"}',
        b"{" * 3_000,
    ],
)
async def test_garbage_is_told(upstream: Upstream, data: bytes) -> None:
    upstream.answers(HEAD, b"data: " + data + b"\n\n", event(reason="stop"))
    error = await failure(upstream)
    assert error.message == "The engine sent an answer that is not in OpenAI's format."
    assert error.code == "server_error"


async def test_a_failure_inside_the_stream(upstream: Upstream) -> None:
    upstream.answers(HEAD, event({"content": "a"}), b'data: {"error": {"message": "CUDA\\nerror"}}\n\n')
    assert (await failure(upstream)).message == "The engine failed in the middle of the answer: CUDA error"


async def test_what_was_received_before_a_failure_is_given_out_first(upstream: Upstream) -> None:
    upstream.answers(HEAD + event({"content": "a"}) + event({"content": "b"}) + b"data: garbage\n\n")
    deltas = adapter.stream(upstream.endpoint(), request_for())
    assert [await anext(deltas), await anext(deltas)] == [TextDelta("a"), TextDelta("b")]
    with pytest.raises(InferenceError):
        await anext(deltas)


async def test_a_line_without_end_is_cut_off(upstream: Upstream) -> None:
    upstream.answers(HEAD, *[b"data: " + b"x" * 65_536] * 40)
    assert (await failure(upstream)).message == "The engine sent a longer answer than is accepted."


async def test_a_compressed_answer_is_not_unpacked(upstream: Upstream) -> None:
    head = HEAD[:-2] + b"Content-Encoding: gzip\r\n\r\n"
    upstream.answers(head + gzip.compress(b"data: " + b"0" * 10_000_000))
    assert (await failure(upstream)).message == "The engine sent a compressed answer, which was not asked for."


async def test_text_that_is_not_unicode_is_refused_before_it_is_sent(upstream: Upstream) -> None:
    error = await failure(upstream, text="\ud800")
    assert error.code == "invalid_prompt"
    assert upstream.requests == []


async def test_nobody_listens(upstream: Upstream) -> None:
    await upstream.stop()
    error = await failure(upstream)
    assert isinstance(error, EngineUnavailable)
    assert error.detail == f"127.0.0.1:{upstream.port} refused the connection."
    assert str(upstream.port) not in error.message


async def test_an_unknown_host(upstream: Upstream) -> None:
    endpoint = upstream.endpoint(base_url="http://engine.invalid/v1")
    with pytest.raises(EngineUnavailable, match=r"The engine of \S+ was not found\.") as caught:
        await collect(adapter.stream(endpoint, request_for()))
    assert caught.value.detail == "The host of engine.invalid was not found."


async def test_closing_the_iterator_closes_the_connection(upstream: Upstream) -> None:
    upstream.hangs(HEAD, event({"content": "a"}))
    deltas = adapter.stream(upstream.endpoint(), request_for())
    assert await anext(deltas) == TextDelta("a")
    await deltas.aclose()
    async with asyncio.timeout(60):
        await upstream.requests[-1].gone.wait()
    assert not transport().calls


async def test_cancelling_the_reader_closes_the_connection(upstream: Upstream) -> None:
    upstream.hangs()
    task = asyncio.create_task(stream(upstream))
    await until(lambda: upstream.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(60):
        await upstream.requests[-1].gone.wait()


async def test_an_engine_that_falls_silent_is_given_up(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "TICK", 0.02)
    upstream.hangs(HEAD, event({"content": "a"}))
    error = await failure(upstream, patience=Patience(idle=0.2))
    assert error.message == "The engine sent nothing for 0.2 seconds."


@pytest.mark.parametrize("pieces", [(), (HEAD,), (HEAD, b": waiting\n\n"), (HEAD, event({"role": "assistant"}))])
async def test_an_engine_without_a_first_token_is_given_up(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, pieces: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(transport_module, "TICK", 0.02)
    upstream.hangs(*pieces)
    error = await failure(upstream, patience=Patience(first_token=0.2))
    assert error.message == "The engine sent nothing for 0.2 seconds."


async def test_a_missing_end_after_the_finish_reason_is_no_failure(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.adapters.exchange.TRAILER_TIMEOUT", 0.1)
    monkeypatch.setattr(transport_module, "TICK", 0.02)
    upstream.hangs(HEAD, event({"content": "a"}), event(reason="stop"))
    assert await stream(upstream) == (
        "a",
        Finished("stop", Usage(0, 1)),
        [TextDelta("a"), Finished("stop", Usage(0, 1))],
    )


@pytest.mark.parametrize("pieces", [(), (HEAD,), (HEAD, event({"content": "a"}))])
async def test_calls_on_a_dead_engine_are_ended_from_outside(upstream: Upstream, pieces: tuple[bytes, ...]) -> None:
    upstream.hangs(*pieces)
    task = asyncio.create_task(stream(upstream))
    await until(lambda: upstream.requests)
    await asyncio.sleep(0)
    transport().abort("eng_test", "The engine stopped answering.")
    with pytest.raises(InferenceError, match="The engine stopped answering"):
        await task


async def test_many_calls_at_once(upstream: Upstream) -> None:
    upstream.answers(answer(*"abcdef"))
    results = await asyncio.gather(*(stream(upstream) for _ in range(50)))
    assert {text for text, _, _ in results} == {"abcdef"}
