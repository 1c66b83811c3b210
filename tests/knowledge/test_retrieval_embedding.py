"""Texts become vectors of a space that is named, whatever makes them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from assistants.knowledge import embedding
from assistants.knowledge.embedding import Space, space_named
from inference.calls import Embedded, EmbeddingRequest
from inference.chat import InferenceError, Usage

SPACE = Space("model", "", 2)


@pytest.mark.parametrize(
    "space",
    [
        Space("sovereign-embedding", "0123456789ab", 256),
        Space("BAAI/bge-small", "", 384),
        Space("odd@name/7", "", 3),
        Space("odd@name", "ffffffffffff", 3),
    ],
)
def test_a_space_is_read_from_its_name(space: Space) -> None:
    assert space_named(space.name) == space


@pytest.mark.parametrize("name", ["", "model", "model/x", "/3"])
def test_other_names_are_no_spaces(name: str) -> None:
    assert space_named(name) is None


class Engine:
    """Reads at most ``context`` characters of a text; its vectors tell how many it had."""

    def __init__(self, context: int = 10_000, width: int = 2, error: InferenceError | None = None) -> None:
        self.context, self.width, self.error = context, width, error
        self.calls: list[list[str]] = []

    async def embed(self, request: EmbeddingRequest) -> Embedded:
        texts: Any = request.texts
        self.calls.append(texts)
        if self.error is not None:
            raise self.error
        if max(map(len, texts)) > self.context:
            raise InferenceError("The engine refused the request: too long.", "invalid_prompt")
        return Embedded([[float(len(text)), *[1.0] * (self.width - 1)] for text in texts], Usage(1, 0))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    monkeypatch.setattr("assistants.knowledge.embedding.gateway.embed", engine.embed)
    return engine


async def test_vectors_have_length_one_in_the_order_of_their_texts(engine: Engine) -> None:
    vectors = await embedding.embed(["a" * number for number in range(1, 151)], SPACE)
    assert vectors.dtype == np.float32
    assert vectors.shape == (150, 2)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert np.allclose(vectors[:, 0] / vectors[:, 1], np.arange(1, 151), rtol=1e-4)
    assert [len(texts) for texts in engine.calls] == [64, 64, 22]


async def test_long_texts_go_in_smaller_groups(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "CHARACTERS_AT_ONCE", 100)
    await embedding.embed(["a" * 60, "b" * 60, "c", "d" * 300], SPACE)
    assert [[text[0] for text in texts] for texts in engine.calls] == [["a"], ["b", "c"], ["d"]]


async def test_a_text_beyond_the_context_is_the_mean_of_its_halves(engine: Engine) -> None:
    engine.context = 300
    vectors = await embedding.embed(["short", "x" * 1000], SPACE)
    assert np.allclose(vectors[:, 0] / vectors[:, 1], [5, 250], rtol=1e-4)


async def test_a_refusal_that_is_not_for_its_length_is_an_error(engine: Engine) -> None:
    engine.error = InferenceError("no", "invalid_prompt")
    with pytest.raises(InferenceError, match="no"):
        await embedding.embed(["x" * 3000], SPACE)


async def test_vectors_of_another_width_are_an_error(engine: Engine) -> None:
    engine.width = 3
    with pytest.raises(InferenceError, match="vectors of 2 numbers"):
        await embedding.embed(["a"], SPACE)


async def test_a_vector_of_zeros_stays_one(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(request: EmbeddingRequest) -> Embedded:
        return Embedded([[0.0, 0.0] for _ in request.texts], Usage(1, 0))

    monkeypatch.setattr("assistants.knowledge.embedding.gateway.embed", nothing)
    assert (await embedding.embed(["☃"], SPACE)).tolist() == [[0.0, 0.0]]
    assert (await embedding.embed([], SPACE)).shape == (0, 2)


@pytest.mark.django_db(transaction=True)
async def test_the_shipped_embedder_is_the_space_of_everybody_who_chose_no_other(settings: Any) -> None:
    space = await embedding.current_space(None)
    assert space is not None
    assert space.name.startswith("sovereign-embedding@")
    assert await embedding.is_available(space, None)
    assert not await embedding.is_available(Space(space.model, "000000000000", space.width), None)
    assert not await embedding.is_available(Space("unknown", "", 3), None)


@pytest.mark.django_db(transaction=True)
async def test_without_any_embedder_there_is_no_space(settings: Any) -> None:
    settings.SOVEREIGN = dataclasses.replace(settings.SOVEREIGN, embedder="none")
    assert await embedding.current_space(None) is None
    assert "SOVEREIGN_EMBEDDER" in embedding.why_not()
