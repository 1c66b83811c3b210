"""Vectors that cannot be used, however they are sent: too many or few, not finite, of no width, without end."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from inference.adapters import adapter_for
from inference.calls import EmbeddingRequest
from inference.chat import InferenceError
from tests.inference.conftest import Upstream, plain
from tests.inference.upstreams.dialects import DIALECTS, MEMORY, Dialect, Endless, endpoint

EMBEDDERS = [dialect for dialect in DIALECTS if dialect.kind != "anthropic"]


def _vectors(*vectors: str) -> bytes:
    """The same vectors as both dialects have them, written as they are given."""
    data = ", ".join(f'{{"index": {index}, "embedding": {vector}}}' for index, vector in enumerate(vectors))
    return plain(200, f'{{"data": [{data}], "embeddings": [{", ".join(vectors)}]}}'.encode())


@pytest.mark.parametrize("dialect", EMBEDDERS, ids=lambda dialect: dialect.kind)
@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (["[NaN]", "[1.0]"], "is not JSON"),
        (["[1.0]", "[Infinity]"], "is not JSON"),
        (["[1e999]", "[1.0]"], "is not JSON|not finite"),
        (["[1e308, 1e308, 1e308]", "[1, 1, 1]"], "not finite"),
        (["[1.0]"], "1 of them for 2 texts"),
        (["[1.0]"] * 3, "3 of them for 2 texts"),
        ([], "0 of them for 2 texts"),
        (["[1.0]", "[1.0, 2.0]"], "differ in width"),
        (["[]", "[]"], "a width of 0"),
        (['["a"]', "[1.0]"], "something in them is no number"),
        (["[true]", "[1.0]"], "something in them is no number"),
        (["[[1.0]]", "[1.0]"], "something in them is no number"),
        (["7", "[1.0]"], "not in"),
        (["null", "[1.0]"], "not in"),
        ([f"[{'1,' * 20_000}1]"] * 2, "a width of 20001"),
        (["[1.0, 2.0]"] * 2, "2 numbers wide where 1 were asked for"),
    ],
)
async def test_vectors_that_cannot_be_used(
    upstream: Upstream, dialect: Dialect, vectors: list[str], words: str
) -> None:
    upstream.answers(_vectors(*vectors))
    dimensions = 1 if "asked for" in words else None
    request = EmbeddingRequest(model="tiny", texts=["a", "b"], dimensions=dimensions)
    with pytest.raises(InferenceError, match=words):
        await adapter_for(dialect.kind).embed(endpoint(upstream, dialect), request)


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        ('"AADAfw=="', "not finite"),  # NaN
        ('"AACAfw=="', "not finite"),  # infinity
        ('"AAA="', "not in OpenAI's format"),  # half a number
        ('"***"', "not in OpenAI's format"),
    ],
)
async def test_packed_vectors_that_cannot_be_used(upstream: Upstream, vector: str, words: str) -> None:
    upstream.answers(_vectors(vector))
    with pytest.raises(InferenceError, match=words):
        await adapter_for("openai").embed(endpoint(upstream, DIALECTS[0]), EmbeddingRequest(model="t", texts=["a"]))


@pytest.mark.parametrize("indexes", [[0, 0], [0, 2], [-1, 0], ["0", "1"]])
async def test_vectors_in_places_that_are_none(upstream: Upstream, indexes: list[Any]) -> None:
    data = [{"index": index, "embedding": [1.0]} for index in indexes]
    upstream.answers(plain(200, orjson.dumps({"data": data})))
    with pytest.raises(InferenceError, match=r"one after the other|not in OpenAI's format"):
        await adapter_for("openai").embed(
            endpoint(upstream, DIALECTS[0]), EmbeddingRequest(model="t", texts=["a", "b"])
        )


@pytest.mark.parametrize("dialect", EMBEDDERS, ids=lambda dialect: dialect.kind)
async def test_vectors_without_end(upstream: Upstream, dialect: Dialect) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    endless = Endless(upstream, head + b'{"data": [', b"1.0," * 16_384)
    with pytest.raises(InferenceError, match="longer answer than is accepted") as caught:
        await adapter_for(dialect.kind).embed(endpoint(upstream, dialect), EmbeddingRequest(model="tiny", texts=["a"]))
    await asyncio.wait_for(endless.ended.wait(), 60)
    assert endless.sent < MEMORY
    assert caught.value.code == "unsupported"  # what was asked for may be as long: no circuit opens for it
