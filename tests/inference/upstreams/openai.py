"""OpenAI's chat completions, scripted: refuses the parameters that the original refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import orjson

from inference.adapters.base import Endpoint
from inference.chat import Capabilities
from tests.inference.conftest import Asked, Upstream, answer, plain

SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias")
REASONING = ("o3", "o4-mini", "gpt-5", "gpt-5-mini", "gpt-5.5")


class Server:
    """Takes an upstream over; ``script`` is what each valid request is answered with."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.script = answer("Hel", "lo")
        upstream.script = self._answer

    @property
    def asked(self) -> dict[str, Any]:
        return self.upstream.requests[-1].body

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.body["model"] == "missing":
            message = "The model `missing` does not exist or you do not have access to it."
            writer.write(_error(404, message, "model_not_found"))
        elif complaint := next(complaints(asked.body), None):
            writer.write(_error(400, complaint, "unsupported_parameter"))
        else:
            writer.write(self.script)

    def endpoint(self, **changes: Any) -> Endpoint:
        base = {"kind": "openai", "model": "gpt-4o", "capabilities": Capabilities()}
        return self.upstream.endpoint(**{**base, **changes})


def _error(status: int, message: str, code: str) -> bytes:
    return plain(status, orjson.dumps({"error": {"message": message, "type": "invalid_request_error", "code": code}}))


def complaints(body: dict[str, Any]) -> Iterable[str]:
    """What the original says about a wrong request."""
    if body["model"] in REASONING:
        if body.get("reasoning_effort") != "none":
            yield from (f"Unsupported parameter: '{name}'" for name in SAMPLING if name in body)
        if "max_tokens" in body:
            yield "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        if body["model"].startswith("o"):
            yield from (f"Unsupported parameter: '{name}'" for name in ("stop", "parallel_tool_calls") if name in body)
    elif "reasoning_effort" in body:
        yield "Unrecognized request argument supplied: reasoning_effort"
    if {"continue_final_message", "add_generation_prompt"} & set(body):
        yield "Unrecognized request argument supplied"
