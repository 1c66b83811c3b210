"""OpenAI's dialect beyond plain text: probabilities, thoughts, refusals, texts, vectors, judgements, lists."""

from __future__ import annotations

import asyncio
import contextlib
from array import array
from base64 import b64encode
from threading import current_thread
from typing import Any

import orjson
import pytest

from inference.adapters import adapter_for
from inference.adapters.openai_compatible import OpenAICompatible
from inference.adapters.usage import UNSEEN
from inference.adapters.vectors import read_openai
from inference.calls import CompletionRequest, Embedded, EmbeddingRequest, ModerationRequest
from inference.chat import (
    Capabilities,
    Finished,
    InferenceError,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from tests.inference.conftest import HEAD, Asked, Upstream, answer, collect, event, plain, request_for
from tests.inference.upstreams.openai import Server

adapter = OpenAICompatible()
ENTRY = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -2, "bytes": None}]}
READ = {**ENTRY, "top_logprobs": [{"token": "b", "logprob": -2.0, "bytes": None}]}


async def stream(upstream: Upstream, **changes: Any) -> list[Any]:
    return (await collect(adapter.stream(upstream.endpoint(), request_for(**changes))))[2]


def choice(delta: dict[str, Any], **rest: Any) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": delta, **rest}]}) + b"\n\n"


async def test_all_that_shapes_an_answer_is_passed_on(upstream: Upstream) -> None:
    given = {
        "stop": ["END"],
        "seed": 3,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "logit_bias": {"5": -100},
        "logprobs": True,
        "top_logprobs": 2,
        "reasoning_effort": "low",
    }
    await stream(upstream, **given, end_user="u1")
    body = upstream.requests[-1].body
    assert {name: body[name] for name in given} == given
    assert body["user"] == "u1"


async def test_probabilities(upstream: Upstream) -> None:
    upstream.answers(
        HEAD, choice({"content": "a"}, logprobs={"content": [{**ENTRY, "extra": 1}]}), event(reason="stop")
    )
    assert (await stream(upstream, logprobs=True))[0] == TextDelta("a", [READ])


async def test_probabilities_of_what_is_no_text(upstream: Upstream) -> None:
    """Those of special tokens stand alone, those of thoughts are no part of the answer."""
    upstream.answers(
        HEAD,
        choice({"content": ""}, logprobs={"content": [ENTRY]}),
        choice({"reasoning_content": "hm"}, logprobs={"content": [ENTRY]}),
        choice({"content": "x"}, logprobs={"content": None}),
        event(reason="stop"),
    )
    assert (await stream(upstream))[:3] == [TextDelta("", [READ]), ReasoningDelta("hm"), TextDelta("x")]


@pytest.mark.parametrize(
    "entry",
    [
        7,
        {},
        {"token": 7, "logprob": -1},
        {"token": "a", "logprob": "x"},
        {"token": "a", "logprob": 5},
        {"token": "a", "logprob": -1, "bytes": [999]},
        {"token": "a", "logprob": -1, "top_logprobs": 7},
        {"token": "a", "logprob": -1, "top_logprobs": [{"token": "b", "logprob": True}]},
    ],
)
async def test_probabilities_that_are_none(upstream: Upstream, entry: Any) -> None:
    upstream.answers(HEAD, choice({"content": "a"}, logprobs={"content": [entry]}), event(reason="stop"))
    with pytest.raises(InferenceError, match="not in OpenAI's format"):
        await stream(upstream)


async def test_thoughts_and_refusals_are_no_text(upstream: Upstream) -> None:
    upstream.answers(
        HEAD,
        choice({"role": "assistant", "content": "", "reasoning_content": "Well"}),
        choice({"reasoning": "…"}),
        choice({"reasoning": {"summary": []}}),
        choice({"refusal": "I won't."}),
        event(reason="stop"),
    )
    assert await stream(upstream) == [
        ReasoningDelta("Well"),
        ReasoningDelta("…"),
        RefusalDelta("I won't."),
        Finished("stop", Usage(0, 3)),
    ]


async def test_the_function_call_of_older_servers(upstream: Upstream) -> None:
    upstream.answers(
        HEAD,
        choice({"function_call": {"name": "f", "arguments": ""}}),
        choice({"function_call": {"arguments": "{}"}}),
        event(reason="function_call"),
    )
    assert (await stream(upstream))[:2] == [ToolCallDelta(0, None, "f", ""), ToolCallDelta(0, None, None, "{}")]


async def complete(upstream: Upstream, **changes: Any) -> list[Any]:
    request = CompletionRequest(**{"model": "tiny", "prompt": "Hel", **changes})
    return (await collect(adapter.complete(upstream.endpoint(), request)))[2]


def piece(text: str, reason: str | None = None, **rest: Any) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"text": text, "finish_reason": reason, **rest}]}) + b"\n\n"


async def test_texts_are_continued(upstream: Upstream) -> None:
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 1}}\n\n'
    upstream.answers(HEAD, piece("lo"), piece("", "length"), usage, b"data: [DONE]\n\n")
    deltas = await complete(upstream, prompt=[5, 6], max_tokens=3, echo=True, logprobs=1, suffix="!", stop=["x"])
    assert deltas == [TextDelta("lo"), Finished("length", Usage(2, 1))]
    asked = upstream.requests[-1]
    assert asked.path == "/v1/completions"
    assert asked.body == {
        "model": "tiny",
        "prompt": [5, 6],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 3,
        "stop": ["x"],
        "suffix": "!",
        "logprobs": 1,
        "echo": True,
    }


async def test_probabilities_of_texts(upstream: Upstream) -> None:
    old = {"tokens": ["H", "e"], "token_logprobs": [None, -1], "top_logprobs": [None, {"e": -1, "i": -2}]}
    upstream.answers(HEAD, piece("He", logprobs=old), piece("", "stop"))
    assert (await complete(upstream, logprobs=2))[0].logprobs == [
        {"token": "H", "logprob": None, "bytes": [72], "top_logprobs": []},
        {
            "token": "e",
            "logprob": -1.0,
            "bytes": [101],
            "top_logprobs": [
                {"token": "e", "logprob": -1.0, "bytes": [101]},
                {"token": "i", "logprob": -2.0, "bytes": [105]},
            ],
        },
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"choices": [{"text": 7}]}',
        b'{"choices": [{"text": "a", "logprobs": 7}]}',
        b'{"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": []}}]}',
        b'{"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [7]}}]}',
    ],
)
async def test_texts_that_are_none(upstream: Upstream, raw: bytes) -> None:
    upstream.answers(HEAD, b"data: " + raw + b"\n\n")
    with pytest.raises(InferenceError, match="not in OpenAI's format"):
        await complete(upstream)


def packed(*numbers: float) -> str:
    return b64encode(array("f", numbers).tobytes()).decode()


def vectors(*given: Any, **rest: Any) -> bytes:
    data = [{"index": index, "embedding": vector} for index, vector in enumerate(given)]
    return plain(200, orjson.dumps({"data": data, "usage": {"prompt_tokens": 4, "total_tokens": 4}, **rest}))


async def embed(upstream: Upstream, *texts: str, dimensions: int | None = None) -> Any:
    request = EmbeddingRequest(model="tiny", texts=list(texts), dimensions=dimensions)
    return await adapter.embed(upstream.endpoint(), request)


async def test_vectors_are_asked_for_as_base64_and_read_either_way(upstream: Upstream) -> None:
    upstream.answers(vectors(packed(0.5, -1.0), [0.25, 1]))
    embedded = await embed(upstream, "a", "b", dimensions=2)
    assert embedded.vectors == [[0.5, -1.0], [0.25, 1.0]]
    assert all(type(number) is float for vector in embedded.vectors for number in vector)
    assert embedded.usage == Usage(4, 0)
    asked = upstream.requests[-1]
    assert asked.path == "/v1/embeddings"
    assert asked.body == {"model": "tiny", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 2}


async def test_many_texts_are_sent_in_several_calls(upstream: Upstream) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(vectors(*(packed(float(text)) for text in asked.body["input"])))

    upstream.script = script
    embedded = await embed(upstream, *map(str, range(600)))
    assert embedded.vectors == [[float(number)] for number in range(600)]
    assert embedded.usage == Usage(12, 0)
    assert [len(request.body["input"]) for request in upstream.requests] == [256, 256, 88]


async def test_calls_of_one_request_that_disagree(upstream: Upstream) -> None:
    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(vectors(*[packed(*[1.0] * len(upstream.requests))] * len(asked.body["input"])))

    upstream.script = script
    with pytest.raises(InferenceError, match="differ in width"):
        await embed(upstream, *["a"] * 300)


async def test_long_answers_are_read_beside_the_loop(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def read(body: Any, request: EmbeddingRequest) -> Embedded:
        names.append(current_thread().name)
        return read_openai(body, request)

    monkeypatch.setattr("inference.adapters.vectors.read_openai", read)
    for numbers in (1, 32 * 1024):
        upstream.answers(vectors([1.0] * numbers))
        with contextlib.suppress(InferenceError):  # it is wider than any vector
            await embed(upstream, "a")
    assert names[0] == current_thread().name
    assert names[1].startswith("vectors")


async def test_a_told_prompt_is_believed_as_far_as_it_can_be_true(upstream: Upstream) -> None:
    upstream.answers(vectors(packed(1.0), usage={"prompt_tokens": 10**9}))
    assert (await embed(upstream, "a")).usage.prompt_tokens < 2 * UNSEEN


async def test_vectors_in_another_order(upstream: Upstream) -> None:
    data = [{"index": 1, "embedding": [1.0]}, {"index": 0, "embedding": [0.0]}]
    upstream.answers(plain(200, orjson.dumps({"data": data})))
    assert (await embed(upstream, "a", "b")).vectors == [[0.0], [1.0]]


async def test_judgements(upstream: Upstream) -> None:
    result = {"flagged": True, "categories": {"hate": True}, "category_scores": {"hate": 0.9}}
    types = {"category_applied_input_types": {"hate": ["text"]}}
    upstream.answers(plain(200, orjson.dumps({"results": [{**result, **types, "extra": 1}, result]})))
    moderated = await adapter.moderate(upstream.endpoint(), ModerationRequest(model="tiny", inputs=["a", "b"]))
    assert moderated.results == [{**result, **types}, result]
    assert upstream.requests[-1].path == "/v1/moderations"
    assert upstream.requests[-1].body == {"model": "tiny", "input": ["a", "b"]}


async def test_text_and_image_are_judged_as_one(upstream: Upstream) -> None:
    result = {"flagged": False, "categories": {}, "category_scores": {}}
    upstream.answers(plain(200, orjson.dumps({"results": [result]})))
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    moderated = await adapter.moderate(upstream.endpoint(), ModerationRequest(model="tiny", inputs=parts))
    assert moderated.results == [result]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"results": []}, "judged 0 of 1"),
        ({"results": [{}]}, "not in OpenAI's format"),
        ({"results": [{"flagged": 1, "categories": {}, "category_scores": {}}]}, "not in OpenAI's format"),
        ({"results": [{"flagged": True, "categories": {"a": 1}, "category_scores": {}}]}, "not in OpenAI's format"),
        ({"results": [{"flagged": True, "categories": {}, "category_scores": {"a": "b"}}]}, "not in OpenAI's format"),
        ([], "not in OpenAI's format"),
    ],
)
async def test_judgements_that_are_none(upstream: Upstream, body: Any, words: str) -> None:
    upstream.answers(plain(200, orjson.dumps(body)))
    with pytest.raises(InferenceError, match=words):
        await adapter.moderate(upstream.endpoint(), ModerationRequest(model="tiny", inputs=["a"]))


async def test_the_list_of_models(upstream: Upstream) -> None:
    upstream.models = [
        {"id": "qwen", "owned_by": "vllm", "max_model_len": 4_096},
        {"id": "nomic-embed-text", "context_length": -5},
        {"id": "bge", "type": "embeddings", "max_context_length": 512},
        {"id": "llava", "type": "vlm"},
        {"id": "omni-moderation-latest"},
        {"id": "x" * 201},
        {"id": "a\nb"},
    ]
    served = await adapter.list_models(upstream.endpoint())
    assert served.models == [
        {"id": "qwen", "context_length": 4_096},
        {"id": "nomic-embed-text", "context_length": None, "abilities": {"chat": False, "embeddings": True}},
        {"id": "bge", "context_length": 512, "abilities": {"chat": False, "embeddings": True}},
        {"id": "llava", "context_length": None, "abilities": {"vision": True}},
        {"id": "omni-moderation-latest", "context_length": None, "abilities": {"chat": False, "moderations": True}},
    ]
    assert served.capabilities["continuation"] is True
    assert upstream.requests[-1].headers["authorization"] == "Bearer k-secret-1"


@pytest.fixture
def server(upstream: Upstream) -> Server:
    return Server(upstream)


async def openai(server: Server, model: str = "gpt-4o", **changes: Any) -> list[Any]:
    options = changes.pop("options", {})
    endpoint = server.endpoint(model=model, options=options)
    return (await collect(adapter_for("openai").stream(endpoint, request_for(**changes))))[2]


EVERYTHING = {
    "temperature": 0.5,
    "top_p": 0.5,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "logit_bias": {"5": 1},
    "logprobs": True,
    "top_logprobs": 1,
    "stop": ["x"],
    "max_tokens": 9,
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "parallel_tool_calls": False,
}


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5", "gpt-5.5", "gpt-5-chat-latest", "o3", "o4-mini"])
@pytest.mark.parametrize("effort", [None, "low", "none"])
async def test_openai_is_asked_for_nothing_that_its_model_refuses(
    server: Server, model: str, effort: str | None
) -> None:
    deltas = await openai(server, model, reasoning_effort=effort, **EVERYTHING)
    assert deltas[0] == TextDelta("Hel")
    assert server.asked["max_completion_tokens"] == 9
    assert ("temperature" in server.asked) == (
        model in ("gpt-4o", "gpt-5-chat-latest") or (effort == "none" and model[0] == "g")
    )


async def test_openai_knows_whose_request_it_is(server: Server) -> None:
    await openai(server, options={"organization": "org-1", "project": "proj_1", "x": "y"})
    headers = server.upstream.requests[-1].headers
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj_1")
    await openai(server, options={"organization": "a\r\nx: y", "project": 7})
    assert "openai-organization" not in server.upstream.requests[-1].headers


async def test_openai_continues_nothing(server: Server) -> None:
    endpoint = server.endpoint(capabilities=Capabilities(continuation=True))
    with pytest.raises(InferenceError) as caught:
        await collect(adapter_for("openai").stream(endpoint, request_for(continues=True)))
    assert caught.value.code == "unsupported"


async def test_openai_does_not_have_the_model(server: Server) -> None:
    with pytest.raises(InferenceError) as caught:
        await openai(server, "missing")
    assert caught.value.code == "model_not_found"


async def test_what_openai_lists_is_told_apart_by_name(server: Server) -> None:
    names = ["gpt-5", "whisper-1", "dall-e-3", "gpt-4o-realtime", "text-embedding-3-small", "gpt-3.5-turbo-instruct"]
    server.upstream.models = [{"id": name, "owned_by": "system"} for name in names]
    served = await adapter_for("openai").list_models(server.endpoint())
    assert {entry["id"]: entry.get("abilities") for entry in served.models} == {
        "gpt-5": None,
        "whisper-1": {"chat": False},
        "dall-e-3": {"chat": False},
        "gpt-4o-realtime": {"chat": False},
        "text-embedding-3-small": {"chat": False, "embeddings": True},
        "gpt-3.5-turbo-instruct": {"chat": False, "completions": True},
    }
    assert served.capabilities == {"tools": True, "json_schema": True, "logprobs": True, "vision": True}


async def test_a_bare_answer_is_enough(upstream: Upstream) -> None:
    upstream.answers(answer("x"))
    assert (await stream(upstream))[0] == TextDelta("x")


async def test_arguments_that_are_no_json_are_passed_on_as_the_model_wrote_them(upstream: Upstream) -> None:
    """As OpenAI does: whoever runs the tool can tell the model; only their shape is the engine's business."""
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a": '}}
    upstream.answers(HEAD, choice({"tool_calls": [call]}), event(reason="tool_calls"))
    assert (await stream(upstream))[0] == ToolCallDelta(0, "c", "f", '{"a": ')
