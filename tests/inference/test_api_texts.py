"""``/v1/completions``, ``/v1/embeddings`` and ``/v1/moderations``."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Callable
from typing import Any

import pytest

from inference import gateway
from inference.api.pump import AT_ONCE
from inference.calls import CompletionRequest, Embedded, EmbeddingRequest, Moderated, ModerationRequest
from inference.chat import Finished, InferenceError, TextDelta, Usage
from tests.inference.asking import Asker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def asker(api_key: str, monkeypatch: pytest.MonkeyPatch) -> Asker:
    """Every model can do everything: what the engines answer is the tests' own."""
    monkeypatch.setattr(gateway, "check_model", lambda name, **_: None)
    return Asker(api_key)


Answers = Callable[[CompletionRequest], list[tuple[str, float]]]


@pytest.fixture
def completing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answers], list[CompletionRequest]]:
    """``completing(answers)``: what continues a text, token by token; gives the requests."""

    def install(answers: Answers) -> list[CompletionRequest]:
        asked: list[CompletionRequest] = []

        async def complete(request: CompletionRequest) -> Any:
            asked.append(request)
            tokens = answers(request)
            for text, logprob in tokens:
                other = {"token": "x", "logprob": -9.0, "bytes": None}
                entry = {"token": text, "logprob": logprob, "bytes": None, "top_logprobs": [other]}
                yield TextDelta(text, None if request.logprobs is None else [entry])
            yield Finished("length", Usage(3, len(tokens), 1))

        monkeypatch.setattr(gateway, "complete", complete)
        return asked

    return install


async def test_a_continued_text(asker: Asker, completing: Any) -> None:
    asked = completing(lambda _: [(" there", -0.1), ("!", -0.2)])
    got = (await asker.post("/v1/completions", model="m", prompt="Hi", suffix="?", echo=False, user="u")).body
    assert list(got) == ["id", "object", "created", "model", "choices", "usage", "system_fingerprint"]
    assert (got["object"], got["id"][:5]) == ("text_completion", "cmpl-")
    assert got["choices"] == [{"text": " there!", "index": 0, "logprobs": None, "finish_reason": "length"}]
    assert (got["usage"]["prompt_tokens"], got["usage"]["completion_tokens"]) == (3, 2)
    [request] = asked
    assert (request.prompt, request.suffix, request.max_tokens, request.end_user) == ("Hi", "?", 16, "u")


async def test_several_prompts_and_answers_stand_in_their_order(asker: Asker, completing: Any) -> None:
    asked = completing(lambda request: [(f"{request.prompt}{request.seed}", 0.0)])
    got = (await asker.post("/v1/completions", model="m", prompt=["a", "b"], n=2, seed=1, max_tokens=4)).body
    assert [choice["text"] for choice in got["choices"]] == ["a1", "a2", "b1", "b2"]
    assert got["usage"]["prompt_tokens"] == 6
    assert {request.max_tokens for request in asked} == {4}


async def test_a_request_has_a_bounded_number_of_calls_at_once(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    going, most, everybody = 0, 0, asyncio.Event()

    async def complete(_: CompletionRequest) -> Any:
        nonlocal going, most
        going += 1
        most = max(most, going)
        if going == AT_ONCE:
            everybody.set()
        await everybody.wait()
        going -= 1
        yield Finished("stop", Usage(1, 0))

    monkeypatch.setattr(gateway, "complete", complete)
    got = await asker.post("/v1/completions", model="m", prompt=["x"] * 200)
    assert len(got.body["choices"]) == 200
    assert most == AT_ONCE


@pytest.mark.parametrize(("prompt", "asked_for"), [([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]]), ("", [""])])
async def test_tokens_are_prompts_too(asker: Asker, completing: Any, prompt: Any, asked_for: Any) -> None:
    asked = completing(lambda _: [("x", 0.0)])
    assert (await asker.post("/v1/completions", model="m", prompt=prompt)).status == 200
    assert [request.prompt for request in asked] == asked_for


async def test_logprobs_in_the_older_form(asker: Asker, completing: Any) -> None:
    completing(lambda _: [("ab", -0.5), ("c", -1.0)])
    [choice] = (await asker.post("/v1/completions", model="m", prompt="x", logprobs=1)).body["choices"]
    assert choice["logprobs"] == {
        "tokens": ["ab", "c"],
        "token_logprobs": [-0.5, -1.0],
        "top_logprobs": [{"x": -9.0}, {"x": -9.0}],
        "text_offset": [0, 2],
    }
    chunks = (await asker.post("/v1/completions", model="m", prompt="x", logprobs=1, stream=True)).chunks
    assert chunks[1]["choices"][0]["logprobs"]["text_offset"] == [2]


async def test_the_likeliest_of_several(asker: Asker, completing: Any) -> None:
    asked = completing(lambda request: [(f"{request.seed}", {1: -3.0, 2: -0.1, 3: -1.0}[request.seed or 0])])
    got = (await asker.post("/v1/completions", model="m", prompt="x", best_of=3, n=2, seed=1)).body
    assert [choice["text"] for choice in got["choices"]] == ["2", "3"]
    assert {choice["logprobs"] for choice in got["choices"]} == {None}
    assert {request.logprobs for request in asked} == {0}
    assert got["usage"]["completion_tokens"] == 3
    assert got["usage"]["prompt_tokens"] == 3


async def test_a_streamed_text(asker: Asker, completing: Any) -> None:
    completing(lambda _: [("a", 0.0), ("b", 0.0)])
    options = {"include_usage": True}
    got = await asker.post("/v1/completions", model="m", prompt="x", stream=True, stream_options=options)
    *chunks, usage, done = got.chunks
    assert done == "[DONE]"
    told = [(one["choices"][0]["text"], one["choices"][0]["finish_reason"]) for one in chunks]
    assert told == [("a", None), ("b", None), ("", "length")]
    assert [one["usage"] for one in chunks] == [None] * 3
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 5)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", 5]}, "prompt[1]"),
        ({"prompt": [[1], "a"]}, "prompt[1]"),
        ({"prompt": [1, -1]}, "prompt[1]"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": "x", "best_of": 1, "n": 2}, "best_of"),
        ({"prompt": "x", "best_of": 2, "stream": True}, "best_of"),
        ({"prompt": ["x"] * 2000, "n": 2}, "n"),
        ({"prompt": "x", "logprobs": 6}, "logprobs"),
        ({"prompt": "x", "stream_options": {"include_usage": True}}, "stream_options"),
        ({}, "prompt"),
    ],
)
async def test_completions_that_are_refused(asker: Asker, body: dict[str, Any], param: str) -> None:
    got = await asker.post("/v1/completions", model="m", **body)
    assert (got.status, got.error["param"]) == (400, param)


# -------------------------------------------------------------------------------------------------- embeddings


@pytest.fixture
def embedding(monkeypatch: pytest.MonkeyPatch) -> list[EmbeddingRequest]:
    asked: list[EmbeddingRequest] = []

    async def embed(request: EmbeddingRequest) -> Embedded:
        asked.append(request)
        return Embedded([[0.5, -1.0, float(index)] for index, _ in enumerate(request.texts)], Usage(7, 0))

    monkeypatch.setattr(gateway, "embed", embed)
    return asked


async def test_vectors_as_numbers(asker: Asker, embedding: list[EmbeddingRequest]) -> None:
    got = (await asker.post("/v1/embeddings", model="e", input=["a", "b"], dimensions=3, user="u")).body
    assert got == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1.0, 0.0]},
            {"object": "embedding", "index": 1, "embedding": [0.5, -1.0, 1.0]},
        ],
        "model": "e",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    [asked] = embedding
    assert (asked.texts, asked.dimensions, asked.end_user, asked.attribution.purpose) == (
        ["a", "b"], 3, "u", "embedding",
    )  # fmt: skip


async def test_vectors_as_base64(asker: Asker, embedding: list[EmbeddingRequest]) -> None:
    got = (await asker.post("/v1/embeddings", model="e", input="a", encoding_format="base64")).body
    assert struct.unpack("<3f", base64.b64decode(got["data"][0]["embedding"])) == (0.5, -1.0, 0.0)


@pytest.mark.parametrize(("given", "texts"), [("a", ["a"]), ([1, 2], [[1, 2]]), ([[1], [2]], [[1], [2]])])
async def test_inputs_of_every_kind(
    asker: Asker, embedding: list[EmbeddingRequest], given: Any, texts: list[Any]
) -> None:
    assert (await asker.post("/v1/embeddings", model="e", input=given)).status == 200
    assert embedding[0].texts == texts


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"input": "foo", "dimensions": -42}, "-42 is less than the minimum of 1 - 'dimensions'"),
        ({"input": ""}, "Invalid 'input': string too short."),
        ({"input": ["a"] * 2049}, "Invalid 'input': array too long."),
        ({"input": ["a", ""]}, "Invalid 'input[1]': string too short."),
        ({"input": [[]]}, "Invalid 'input[0]': array too short."),
        ({"input": [{}]}, "Invalid type for 'input[0]': expected a string, but got an object instead."),
        ({"input": "a", "encoding_format": "hex"}, "Invalid value: 'hex'."),
        ({}, "Missing required parameter: 'input'."),
    ],
)
async def test_embeddings_that_are_refused(
    asker: Asker, embedding: list[EmbeddingRequest], body: dict[str, Any], message: str
) -> None:
    got = await asker.post("/v1/embeddings", model="e", **body)
    assert got.status == 400
    assert got.error["message"].startswith(message)
    assert embedding == []


async def test_an_embedder_that_cannot_do_that_says_so(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def embed(_: EmbeddingRequest) -> Embedded:
        raise InferenceError("It has 3 dimensions.", "unsupported", param="dimensions")

    monkeypatch.setattr(gateway, "embed", embed)
    got = await asker.post("/v1/embeddings", model="e", input="a", dimensions=2)
    assert (got.status, got.error["param"], got.error["code"]) == (400, "dimensions", "unsupported_value")


async def test_without_an_embedder_the_answer_is_a_404(api_key: str) -> None:
    got = await Asker(api_key).post("/v1/embeddings", model="nobody", input="a")
    assert (got.status, got.error["code"], got.error["param"]) == (404, "model_not_found", "model")


# ------------------------------------------------------------------------------------------------- moderations


async def test_texts_are_judged_by_a_model_that_can(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ModerationRequest] = []

    async def moderate(request: ModerationRequest) -> Moderated:
        asked.append(request)
        return Moderated([{"flagged": False}], Usage(0, 0))

    monkeypatch.setattr(gateway, "moderate", moderate)
    got = (await asker.post("/v1/moderations", input="Hello")).body
    assert got["id"].startswith("modr-")
    assert (got["model"], got["results"]) == ("omni-moderation-latest", [{"flagged": False}])
    parts = [{"type": "text", "text": "Hello"}]
    assert (await asker.post("/v1/moderations", input=parts, model="m")).status == 200
    assert [request.inputs for request in asked] == [["Hello"], parts]


@pytest.mark.parametrize("body", [{"input": []}, {"input": [5]}, {"input": [{"type": "x"}]}, {}])
async def test_moderations_that_are_refused(asker: Asker, body: dict[str, Any]) -> None:
    assert (await asker.post("/v1/moderations", **body)).status == 400


async def test_without_a_moderator_the_answer_is_a_clear_404(api_key: str) -> None:
    asker = Asker(api_key)
    for body in ({}, {"model": "text-moderation-latest"}):
        got = await asker.post("/v1/moderations", input="Hello", **body)
        assert (got.status, got.error["code"], got.error["param"]) == (404, "model_not_found", "model")
        assert "No model of this server can judge texts" in got.error["message"]
    got = await asker.post("/v1/moderations", input="Hello", model="nobody")
    assert (got.status, got.error["code"]) == (404, "model_not_found")
