"""What an engine answers that lacks a call means that it cannot do that, and not that it is broken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from inference.adapters.base import Endpoint
from inference.adapters.openai import OpenAI
from inference.calls import CompletionRequest, EmbeddingRequest, ModerationRequest
from inference.chat import InferenceError
from tests.inference.conftest import Upstream, collect, plain, request_for

adapter = OpenAI()
CALLS: dict[str, Callable[[Endpoint], Awaitable[Any]]] = {
    "completions": lambda endpoint: collect(adapter.complete(endpoint, CompletionRequest(model="tiny", prompt="a"))),
    "embeddings": lambda endpoint: adapter.embed(endpoint, EmbeddingRequest(model="tiny", texts=["a"])),
    "moderations": lambda endpoint: adapter.moderate(endpoint, ModerationRequest(model="tiny", inputs=["a"])),
}


@pytest.mark.parametrize("status", [404, 405, 501])
@pytest.mark.parametrize("call", CALLS)
async def test_a_call_that_the_engine_does_not_have(upstream: Upstream, status: int, call: str) -> None:
    upstream.answers(plain(status, b'{"detail": "Not Found"}'))
    with pytest.raises(InferenceError) as caught:
        await CALLS[call](upstream.endpoint())
    expected = f"The engine has no call for this: it does not know /{call}."
    assert (caught.value.code, caught.value.message) == ("unsupported", expected)


@pytest.mark.parametrize("call", CALLS)
async def test_a_model_that_the_engine_does_not_have(upstream: Upstream, call: str) -> None:
    upstream.answers(plain(404, b'{"error": {"message": "The model `tiny` does not exist."}}'))
    with pytest.raises(InferenceError) as caught:
        await CALLS[call](upstream.endpoint())
    assert caught.value.code == "model_not_found"


async def test_every_engine_has_chats(upstream: Upstream) -> None:
    upstream.answers(plain(404, b'{"detail": "Not Found"}'))
    with pytest.raises(InferenceError) as caught:
        await collect(adapter.stream(upstream.endpoint(), request_for()))
    assert caught.value.code == "server_error"
