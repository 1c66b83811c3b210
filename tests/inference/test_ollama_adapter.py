"""Ollama's own dialect, against a server that is as strict as the original."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.adapters import adapter_for
from inference.adapters.lines import LineParser
from inference.adapters.ollama import Ollama, Progress
from inference.adapters.transport import close_transport
from inference.calls import CompletionRequest, EmbeddingRequest, ModerationRequest
from inference.chat import (
    Capabilities,
    Finished,
    InferenceError,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from sovereign.core.sse_parser import StreamTooLarge
from tests.inference.conftest import Upstream, collect, plain, request_for
from tests.inference.upstreams.ollama import HEAD, Server, chat, end, line

PIXEL = b64encode(b"\x89PNG pixel").decode()
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"properties": {"city": {}}}}}
NOW = {"type": "function", "function": {"name": "now", "description": "The time."}}


@pytest.fixture
def server(upstream: Upstream) -> Server:
    return Server(upstream)


async def stream(server: Server, endpoint: dict[str, Any] | None = None, **changes: Any) -> list[Any]:
    deltas = adapter_for("ollama").stream(server.endpoint(**(endpoint or {})), request_for(**changes))
    return (await collect(deltas))[2]


async def failure(server: Server, **changes: Any) -> InferenceError:
    with pytest.raises(InferenceError) as caught:
        await stream(server, **changes)
    return caught.value


async def test_text_usage_and_reason(server: Server) -> None:
    assert await stream(server) == [TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage(4, 2))]
    assert server.paths() == ["/api/chat"]


async def test_what_is_asked(server: Server) -> None:
    options = {"keep_alive": "5m", "num_ctx": 8_192, "unknown": 1}
    await stream(
        server,
        {"options": options, "key": "k-1"},
        temperature=0.5,
        top_p=0.9,
        max_tokens=7,
        stop=["END"],
        seed=3,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        reasoning_effort="low",
        logprobs=True,
        top_logprobs=2,
        response_format={"type": "json_object"},
    )
    assert server.asked == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "keep_alive": "5m",
        "format": "json",
        "think": "low",
        "logprobs": True,
        "top_logprobs": 2,
        "options": {
            "num_ctx": 8_192,
            "temperature": 0.5,
            "top_p": 0.9,
            "num_predict": 7,
            "stop": ["END"],
            "seed": 3,
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
        },
    }
    assert server.upstream.requests[-1].headers["authorization"] == "Bearer k-1"


async def test_nothing_is_sent_that_was_not_asked_for(server: Server) -> None:
    await stream(server, {"key": ""}, response_format={"type": "text"})
    assert set(server.asked) == {"model", "messages", "stream", "options"}
    assert server.asked["options"] == {}
    assert "authorization" not in server.upstream.requests[-1].headers


async def test_thoughts_are_no_text(server: Server) -> None:
    server.script = HEAD + chat(thinking="Well") + chat("Yes") + end()
    assert (await stream(server, reasoning_effort="none"))[:2] == [ReasoningDelta("Well"), TextDelta("Yes")]
    assert server.asked["think"] is False


async def test_probabilities(server: Server) -> None:
    entry = {"token": "Yes", "logprob": -0.5, "bytes": [89], "top_logprobs": [{"token": "No", "logprob": -1}]}
    server.script = HEAD + line(message={"role": "assistant", "content": "Yes"}, logprobs=[entry], done=False) + end()
    other = {"token": "No", "logprob": -1.0, "bytes": None}
    wanted = [{"token": "Yes", "logprob": -0.5, "bytes": [89], "top_logprobs": [other]}]
    assert (await stream(server, logprobs=True))[0] == TextDelta("Yes", wanted)


async def test_tool_calls_come_whole(server: Server) -> None:
    calls = [
        {"function": {"name": "weather", "arguments": {"city": "Köln"}}},
        {"id": "call_9", "function": {"name": "now", "arguments": {}}},
    ]
    server.script = HEAD + chat("Let me", tool_calls=calls[:1]) + chat(tool_calls=calls[1:]) + end()
    assert await stream(server, tools=[WEATHER, NOW]) == [
        TextDelta("Let me"),
        ToolCallDelta(0, None, "weather", '{"city":"Köln"}'),
        ToolCallDelta(1, "call_9", "now", "{}"),
        Finished("tool_calls", Usage(4, 2)),
    ]


@pytest.mark.parametrize(
    ("choice", "offered"),
    [
        (None, ["weather", "now"]),
        ("required", ["weather", "now"]),
        ("none", []),
        ({"type": "function", "function": {"name": "now"}}, ["now"]),
    ],
)
async def test_tool_choices(server: Server, choice: Any, offered: list[str]) -> None:
    await stream(server, tools=[WEATHER, NOW], tool_choice=choice)
    assert [tool["function"]["name"] for tool in server.asked.get("tools", [])] == offered


async def test_a_conversation_with_everything(server: Server) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Köln"}'}}
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    await stream(
        server,
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Look"}, image, {"type": "text", "text": "here"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "Rain"}]},
        ],
    )
    sent = {"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Köln"}}}
    assert server.asked["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look\nhere", "images": [PIXEL]},
        {"role": "assistant", "content": "", "tool_calls": [sent]},
        {"role": "tool", "content": "Rain", "tool_name": "weather", "tool_call_id": "call_1"},
    ]


async def test_images_are_data(server: Server) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    error = await failure(server, messages=[{"role": "user", "content": [image]}])
    assert error.code == "invalid_prompt"
    assert server.upstream.requests == []


async def test_an_answer_with_a_schema(server: Server) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    await stream(server, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert server.asked["format"] == schema


async def test_reasons_and_what_is_not_counted(server: Server) -> None:
    server.script = HEAD + chat("a") + chat("b") + end(done_reason="length", eval_count=None, prompt_eval_count=None)
    assert (await stream(server))[-1] == Finished("length", Usage(0, 2))


async def test_continuing_is_refused_unless_the_model_can(server: Server) -> None:
    assert (await failure(server, continues=True)).code == "unsupported"
    await stream(server, {"capabilities": Capabilities(continuation=True)}, continues=True)


async def test_a_model_that_must_be_pulled_first(server: Server) -> None:
    with pytest.raises(InferenceError) as caught:
        await stream(server, {"model": "missing"})
    assert caught.value.code == "model_not_found"
    assert caught.value.message == (
        "Ollama does not have the model 'missing': pull it there first, with 'ollama pull'."
    )


async def test_an_error_inside_the_stream(server: Server) -> None:
    server.script = HEAD + chat("a") + line(error="an error was encountered while running the model: CUDA")
    assert (await failure(server)).message == (
        "The engine failed in the middle of the answer: an error was encountered while running the model: CUDA"
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"not json\n",
        b"[]\n",
        b"7\n",
        b"{}\n",
        b'{"message": 7}\n',
        b'{"message": {"content": 7}}\n',
        b'{"message": {"content": "\xff"}}\n',
        b'{"message": {"tool_calls": {"a": 1}}}\n',
        b'{"message": {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}}\n',
        b'{"message": {"tool_calls": [{"function": {"name": "", "arguments": {}}}]}}\n',
        b'{"message": {"content": ""}, "done": true, "done_reason": [7]}\n',
    ],
)
async def test_garbage_is_told(server: Server, raw: bytes) -> None:
    server.script = HEAD + raw
    assert (await failure(server)).message == "The engine sent an answer that is not in Ollama's format."


async def test_an_answer_that_is_cut(server: Server) -> None:
    server.script = HEAD + chat("a") + end()[:-1]
    assert (await failure(server)).message == "The engine closed the connection in the middle of the answer."


async def test_texts_are_continued(server: Server) -> None:
    server.script = HEAD + line(response="lo", done=False) + line(response="", done=True, eval_count=1)
    request = CompletionRequest(model="tiny", prompt="Hel", max_tokens=3)
    deltas = (await collect(adapter_for("ollama").complete(server.endpoint(), request)))[2]
    assert deltas == [TextDelta("lo"), Finished("stop", Usage(0, 1))]
    assert server.asked == {
        "model": "tiny",
        "prompt": "Hel",
        "stream": True,
        "raw": True,
        "options": {"num_predict": 3},
    }
    await collect(
        adapter_for("ollama").complete(server.endpoint(), CompletionRequest(model="t", prompt="a", suffix="b"))
    )
    assert (server.asked["suffix"], "raw" in server.asked) == ("b", False)


@pytest.mark.parametrize("changes", [{"prompt": [1, 2]}, {"prompt": "x", "echo": True}])
async def test_texts_that_cannot_be_continued(server: Server, changes: dict[str, Any]) -> None:
    with pytest.raises(InferenceError) as caught:
        await collect(adapter_for("ollama").complete(server.endpoint(), CompletionRequest(model="tiny", **changes)))
    assert caught.value.code == "unsupported"


async def test_vectors(server: Server) -> None:
    request = EmbeddingRequest(model="tiny", texts=["x"], dimensions=2)
    embedded = await adapter_for("ollama").embed(server.endpoint(options={"keep_alive": 0}), request)
    assert embedded.vectors == [[0.5, 1.0]]
    assert embedded.usage == Usage(3, 0)
    assert server.asked == {
        "model": "tiny",
        "input": ["x"],
        "truncate": False,
        "keep_alive": 0,
        "dimensions": 2,
        "options": {},
    }


async def test_other_calls_are_not_there(server: Server) -> None:
    adapter, endpoint = adapter_for("ollama"), server.endpoint()
    for call in (
        adapter.embed(endpoint, EmbeddingRequest(model="tiny", texts=[[1, 2]])),
        adapter.moderate(endpoint, ModerationRequest(model="tiny", inputs=["x"])),
    ):
        with pytest.raises(InferenceError) as caught:
            await call
        assert caught.value.code == "unsupported"


async def test_the_list_of_models_says_what_each_can_do_and_asks_once(server: Server) -> None:
    adapter = Ollama()
    server.tags = [{"name": "a:1", "digest": "d1"}, {"name": "b:1", "digest": "d2"}, {"name": "missing"}]
    server.shown["capabilities"] = ["embedding", "vision"]
    able = {"chat": False, "completions": False, "tools": False, "vision": True, "embeddings": True}
    wanted = [
        {"id": "a:1", "context_length": 8_192, "abilities": able},
        {"id": "b:1", "context_length": 8_192, "abilities": able},
        {"id": "missing", "context_length": None},
    ]
    assert (await adapter.list_models(server.endpoint())).models == wanted
    assert sorted(server.paths()) == ["/api/show", "/api/show", "/api/show", "/api/tags"]
    limited = await adapter.list_models(server.endpoint(options={"num_ctx": 4_096}))
    assert [entry["context_length"] for entry in limited.models] == [4_096] * 3
    assert server.paths().count("/api/show") == 4  # only what has no digest is asked for again


async def test_many_texts_are_sent_in_several_calls(server: Server) -> None:
    server.vectors["embeddings"] = [[0.5, 1.0]] * 32
    embedded = await adapter_for("ollama").embed(server.endpoint(), EmbeddingRequest(model="tiny", texts=["a"] * 96))
    assert (len(embedded.vectors), embedded.usage) == (96, Usage(9, 0))
    assert server.paths() == ["/api/embed"] * 3


async def test_no_server_is_believed_about_anothers_models(server: Server) -> None:
    adapter, other = Ollama(), Upstream()
    await other.start()
    try:
        elsewhere = Server(other)
        elsewhere.shown["model_info"] = {"llama.context_length": 1}
        told = [(await adapter.list_models(each.endpoint())).models for each in (elsewhere, server, elsewhere)]
    finally:
        await close_transport()
        await other.stop()
    assert [models[0]["context_length"] for models in told] == [1, 8_192, 1]


async def test_a_jpeg_by_its_other_name(server: Server) -> None:
    part = {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PIXEL}"}}
    await stream(server, messages=[{"role": "user", "content": [part]}])
    assert server.asked["messages"][0]["images"] == [PIXEL]


async def test_pulling(server: Server) -> None:
    server.pulled = HEAD + b"".join(
        [
            line(status="pulling manifest"),
            line(status="pulling d1", digest="sha256:d1", total=2_000, completed=500),
            line(status="success"),
        ]
    )
    found = [progress async for progress in Ollama().pull(server.endpoint(), "tiny")]
    assert found == [Progress("pulling manifest"), Progress("pulling d1", 500, 2_000), Progress("success")]
    assert server.asked == {"model": "tiny", "stream": True}


@pytest.mark.parametrize(
    ("pulled", "words"),
    [
        (HEAD + line(error="pull model manifest: file does not exist"), "could not be pulled: pull model manifest"),
        (HEAD + line(status="pulling manifest"), "closed the connection"),
        (HEAD + line(status=7), "not in Ollama's format"),
        (HEAD + b"[]\n", "not in Ollama's format"),
        (HEAD + b"x" * 2_000_000, "longer answer than is accepted"),
        (plain(500, b'{"error": "disk full"}'), "status 500: disk full"),
    ],
)
async def test_pulling_fails(server: Server, pulled: bytes, words: str) -> None:
    server.pulled = pulled
    with pytest.raises(InferenceError, match=words):
        async for _ in Ollama().pull(server.endpoint(), "tiny"):
            pass


@given(
    lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=9)), cut=st.integers(1, 9)
)
def test_lines_do_not_depend_on_where_the_bytes_are_cut(lines: list[str], cut: int) -> None:
    raw = "".join(text + "\n" for text in lines).encode()
    parser = LineParser()
    found = [text for place in range(0, len(raw), cut) for text in parser.feed(raw[place : place + cut])]
    assert found == [stripped for text in lines if (stripped := text.encode().strip())]


@pytest.mark.parametrize("chunk", [b"x" * 60, b"x" * 200 + b"\n", b"\nx" * 30])
def test_lines_and_streams_that_never_end_are_refused(chunk: bytes) -> None:
    parser = LineParser(maximum_line=100, maximum_total=300)
    with pytest.raises(StreamTooLarge):
        [parser.feed(chunk) for _ in range(9)]
