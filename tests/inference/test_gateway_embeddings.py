"""The embedder of this process, called as any other model."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from inference import gateway
from inference.adapters import adapter_for
from inference.adapters.base import Endpoint
from inference.calls import CompletionRequest, EmbeddingRequest, ModerationRequest
from inference.chat import Attribution, EngineUnavailable, InferenceError
from inference.embedder import LocalEmbedder, TextTooLong, local_embedder
from inference.models import UsageRecord
from sovereign.core.database import in_database
from tests.inference.conftest import request_for
from tests.inference.helpers import configured

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "sovereign-embedding"


@pytest.fixture(autouse=True)
async def closing() -> AsyncIterator[None]:
    yield
    await gateway.close()


def asked(*texts: str, **changes: Any) -> EmbeddingRequest:
    values = {"model": "text-embedding-3-small", "texts": list(texts), "attribution": Attribution(project="proj_1")}
    return EmbeddingRequest(**{**values, **changes})


async def test_texts_become_vectors_and_are_counted() -> None:
    answer = await gateway.embed(asked("Where is the station?", "The train leaves at nine."))
    embedder = local_embedder()
    assert embedder is not None
    assert [len(vector) for vector in answer.vectors] == [embedder.dimensions] * 2
    assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-3) for vector in answer.vectors)
    (row,) = await in_database(lambda: list(UsageRecord.objects.all()))
    assert (row.asked, row.model, row.provider, row.project_id) == ("text-embedding-3-small", NAME, "", "proj_1")
    assert (row.prompt_tokens, row.completion_tokens, row.outcome) == (answer.usage.prompt_tokens, 0, "stop")
    assert row.prompt_tokens > 0


@pytest.mark.parametrize(
    ("changes", "param"),
    [({"texts": [[1, 2]]}, "input"), ({"dimensions": 100_000}, "dimensions")],
)
async def test_what_it_cannot_do_is_said(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(InferenceError) as caught:
        await gateway.embed(asked(**{"texts": ["Hello"], **changes}))
    assert (caught.value.code, caught.value.param) == ("invalid_prompt", param)


async def test_the_text_that_is_too_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_long(*_: object) -> None:
        raise TextTooLong(1, 256)

    monkeypatch.setattr(LocalEmbedder, "embed_counted", too_long)
    with pytest.raises(InferenceError, match=r"input\[1\]: The text has more than 256 tokens") as caught:
        await gateway.embed(asked("short", "long"))
    assert (caught.value.code, caught.value.param) == ("invalid_prompt", "input")


async def test_it_makes_embeddings_only() -> None:
    endpoint = Endpoint(engine_id="local", kind="local", base_url="", model=NAME)
    adapter = adapter_for("local")
    for call in (
        lambda: adapter.stream(endpoint, request_for()),
        lambda: adapter.complete(endpoint, CompletionRequest(model=NAME, prompt="Hi")),
    ):
        with pytest.raises(InferenceError, match="makes embeddings only"):
            call()
    with pytest.raises(InferenceError, match="makes embeddings only"):
        await adapter.moderate(endpoint, ModerationRequest(model=NAME, inputs=["Hi"]))
    assert [entry["id"] for entry in (await adapter.list_models(endpoint)).models] == [NAME]


async def test_without_an_embedder_nothing_makes_vectors() -> None:
    with configured(embedder="none"):
        with pytest.raises(EngineUnavailable, match="no model here is for embeddings"):
            await gateway.embed(asked("Hello"))
        endpoint = Endpoint(engine_id="local", kind="local", base_url="", model=NAME)
        with pytest.raises(InferenceError, match="no local embedder"):
            await adapter_for("local").embed(endpoint, asked("Hello"))
        assert (await adapter_for("local").list_models(endpoint)).models == []
