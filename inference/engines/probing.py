"""Asks an engine what it serves, and whether it really produces tokens: an open port proves nothing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from inference.adapters import adapter_for
from inference.adapters.base import Endpoint
from inference.adapters.transport import connection_error, transport
from inference.chat import ChatRequest, InferenceError
from inference.resolution import MAXIMUM_NAME

LIST_TIMEOUT = 5.0  # seconds
MAXIMUM_LIST = 4 * 1024 * 1024  # bytes
CONTEXT_FIELDS = ("max_model_len", "context_length", "context_window", "max_context_length")
VLLM_CAPABILITIES = {"tools": True, "json_schema": True, "continuation": True}
#: answers that an engine gives on purpose: it is alive, although it produced no token for us
DELIBERATE = frozenset({"invalid_prompt", "rate_limit_exceeded"})


class ProbeFailed(Exception):
    """The engine does not work; the text is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Served:
    """What an engine's list of models says."""

    models: list[dict[str, Any]]  # [{"id": name, "context_length": tokens or None}]
    is_vllm: bool

    @property
    def capabilities(self) -> dict[str, Any]:
        return dict(VLLM_CAPABILITIES) if self.is_vllm else {}


async def list_models(base_url: str, key: str, address: str) -> Served:
    """``GET /models``.

    :raises ProbeFailed: no connection, no answer in five seconds, or not a list of models.
    """
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    try:
        async with (
            asyncio.timeout(LIST_TIMEOUT),
            transport().session.get(f"{base_url}/models", headers=headers, allow_redirects=False) as response,
        ):
            if response.status in (401, 403):
                raise ProbeFailed(f"{address} refused our key.")
            if response.status != 200:
                raise ProbeFailed(f"{address} answered with status {response.status} when asked for its models.")
            raw = await response.content.read(MAXIMUM_LIST)
            while not response.content.at_eof() and len(raw) < MAXIMUM_LIST:
                raw += await response.content.readany()
    except TimeoutError:
        raise ProbeFailed(f"{address} did not answer within {LIST_TIMEOUT:.0f} s.") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise ProbeFailed(_about(address, connection_error(base_url, error).message)) from None
    return _read_list(raw, address)


def _about(address: str, message: str) -> str:
    return message if address in message else f"{address}: {message}"


def _read_list(raw: bytes, address: str) -> Served:
    try:
        entries = orjson.loads(raw)["data"]
        models = [
            {"id": entry["id"], "context_length": _context_length(entry)}
            for entry in entries
            if 0 < len(entry["id"]) <= MAXIMUM_NAME and entry["id"].isprintable()
        ]
        return Served(models, any(entry.get("owned_by") == "vllm" for entry in entries))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ProbeFailed(f"{address} sent a list of models that is not in OpenAI's format.") from None


def _context_length(entry: dict[str, Any]) -> int | None:
    lengths = (entry.get(name) for name in CONTEXT_FIELDS)
    return next((length for length in lengths if type(length) is int and 0 < length < 2**31), None)


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
