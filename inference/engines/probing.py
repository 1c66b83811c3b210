"""Asks an engine what it serves, and whether it really produces tokens: an open port proves nothing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from inference.adapters import adapter_for
from inference.adapters.base import Endpoint, Served
from inference.calls import EmbeddingRequest
from inference.chat import ChatRequest, InferenceError

LIST_TIMEOUT = 5.0  # seconds
#: answers that an engine gives on purpose: it is alive, although it produced no token for us
DELIBERATE = frozenset({"invalid_prompt", "rate_limit_exceeded"})


class ProbeFailed(Exception):
    """The engine does not work; the text is one sentence for people."""


class Limited(ProbeFailed):
    """It answers, and wants to be asked less often."""


async def list_models(endpoint: Endpoint, name: str) -> Served:
    """What an engine serves; ``name`` is what it is called in sentences.

    :raises ProbeFailed: no connection, no answer in five seconds, or not a list of models.
    """
    try:
        async with asyncio.timeout(LIST_TIMEOUT):
            return await adapter_for(endpoint.kind).list_models(endpoint)
    except TimeoutError:
        raise ProbeFailed(f"{name} did not answer within {LIST_TIMEOUT:.0f} s.") from None
    except InferenceError as error:
        kind = Limited if error.code == "rate_limit_exceeded" else ProbeFailed
        raise kind(about(name, error.detail)) from None


def about(name: str, message: str) -> str:
    """A sentence about "the engine", with its name in it."""
    if message.startswith("The engine "):
        return name + message.removeprefix("The engine")
    return message if name in message else f"{name}: {message}"


def is_vllm(served: Served) -> bool:
    """Whether it computes many answers at once, a canary among them."""
    return bool(served.capabilities.get("continuation"))


async def canary(endpoint: Endpoint, seconds: float) -> bool:
    """Ask for one real token, or for one vector of a model that makes nothing else.

    False where the engine refused on purpose: it lives, a token was not seen.

    :raises ProbeFailed: nothing within ``seconds``.
    """
    ask = _token if endpoint.capabilities.chat else _vector
    try:
        async with asyncio.timeout(seconds):
            await ask(endpoint)
        return True
    except TimeoutError:
        raise ProbeFailed(f"It accepts connections but produced no token within {seconds:.0f} s.") from None
    except InferenceError as error:
        if error.code in DELIBERATE:
            return False
        raise ProbeFailed(error.detail) from None


async def _token(endpoint: Endpoint) -> None:
    request = ChatRequest(model=endpoint.model, messages=[{"role": "user", "content": "Hi"}], max_tokens=1)
    async with aclosing(adapter_for(endpoint.kind).stream(endpoint, request)) as deltas:
        async for _ in deltas:  # to its end: an engine that is cut off every time would log it
            pass


async def _vector(endpoint: Endpoint) -> None:
    await adapter_for(endpoint.kind).embed(endpoint, EmbeddingRequest(model=endpoint.model, texts=["Hi"]))
