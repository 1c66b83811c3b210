"""Asks an engine what it serves, and whether it really produces tokens: an open port proves nothing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from inference.adapters import adapter_for
from inference.adapters.base import Endpoint
from inference.chat import ChatRequest, InferenceError

LIST_TIMEOUT = 5.0  # seconds
#: answers that an engine gives on purpose: it is alive, although it produced no token for us
DELIBERATE = frozenset({"invalid_prompt", "rate_limit_exceeded"})


class ProbeFailed(Exception):
    """The engine does not work; the text is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Served:
    """What an engine's list of models says."""

    models: list[dict[str, Any]]  # [{"id": name, "context_length": tokens or None, "abilities": {name: bool}}]
    capabilities: dict[str, Any]

    @property
    def is_vllm(self) -> bool:
        """Whether it computes many answers at once, a canary among them."""
        return bool(self.capabilities.get("continuation"))


async def list_models(base_url: str, key: str, address: str, kind: str = "openai_compatible") -> Served:
    """What the engine at an address serves.

    :raises ProbeFailed: no connection, no answer in five seconds, or not a list of models.
    """
    endpoint = Endpoint(engine_id="", kind=kind, base_url=base_url, model="", key=key)
    try:
        async with asyncio.timeout(LIST_TIMEOUT):
            served = await adapter_for(kind).list_models(endpoint)
    except TimeoutError:
        raise ProbeFailed(f"{address} did not answer within {LIST_TIMEOUT:.0f} s.") from None
    except InferenceError as error:
        raise ProbeFailed(_about(address, error.message)) from None
    return Served(served.models, served.capabilities)


def _about(address: str, message: str) -> str:
    if message.startswith("The engine "):
        return address + message.removeprefix("The engine")
    return message if address in message else f"{address}: {message}"


async def canary(endpoint: Endpoint, seconds: float) -> bool:
    """Ask for one real token; false where the engine refused on purpose (it lives, a token was not seen).

    :raises ProbeFailed: no token within ``seconds``.
    """
    request = ChatRequest(model=endpoint.model, messages=[{"role": "user", "content": "Hi"}], max_tokens=1)
    try:
        async with (
            asyncio.timeout(seconds),
            aclosing(adapter_for(endpoint.kind).stream(endpoint, request)) as deltas,
        ):
            async for _ in deltas:  # to its end: an engine that is cut off every time would log it
                pass
        return True
    except TimeoutError:
        raise ProbeFailed(f"It accepts connections but produced no token within {seconds:.0f} s.") from None
    except InferenceError as error:
        if error.code in DELIBERATE:
            return False
        raise ProbeFailed(error.message) from None
