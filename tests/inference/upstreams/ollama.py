"""Ollama's own protocol, scripted: refuses what the original refuses, and answers in lines of JSON."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Iterable
from typing import Any

import orjson

from inference.adapters.base import Endpoint
from inference.chat import Capabilities
from tests.inference.conftest import Asked, Upstream, plain

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
DONE = {"done": True, "done_reason": "stop", "prompt_eval_count": 4, "eval_count": 2}


def line(**fields: Any) -> bytes:
    return orjson.dumps(fields) + b"\n"


def chat(content: str = "", **message: Any) -> bytes:
    return line(model="tiny", message={"role": "assistant", "content": content, **message}, done=False)


def end(**changes: Any) -> bytes:
    return line(model="tiny", message={"role": "assistant", "content": ""}, **{**DONE, **changes})


class Server:
    """Takes an upstream over; ``script`` is what each valid request is answered with."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.script = HEAD + chat("Hel") + chat("lo") + end()
        self.tags: list[dict[str, Any]] = [{"name": "tiny:latest", "digest": "d1"}]
        self.shown: dict[str, Any] = {
            "capabilities": ["completion", "tools"],
            "model_info": {"general.architecture": "llama", "llama.context_length": 8_192},
        }
        self.vectors: dict[str, Any] = {"embeddings": [[0.5, 1.0]], "prompt_eval_count": 3}
        self.pulled = HEAD + line(status="pulling manifest") + line(status="success")
        upstream.script, upstream.lists = self._answer, False

    @property
    def asked(self) -> dict[str, Any]:
        return self.upstream.requests[-1].body

    def paths(self) -> list[str]:
        return [request.path for request in self.upstream.requests]

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        body = asked.body
        if asked.path == "/api/tags":
            writer.write(_json({"models": self.tags}))
        elif body.get("model") == "missing":
            writer.write(_json({"error": "model 'missing' not found"}, 404))
        elif asked.path == "/api/show":
            writer.write(_json(self.shown))
        elif asked.path == "/api/embed":
            writer.write(_json(self.vectors))
        elif asked.path == "/api/pull":
            writer.write(self.pulled)
        elif complaint := next(complaints(body), None):
            writer.write(_json({"error": complaint}, 400))
        else:
            writer.write(self.script)

    def endpoint(self, **changes: Any) -> Endpoint:
        base = {"kind": "ollama", "base_url": self.upstream.url.removesuffix("/v1"), "model": "tiny"}
        return self.upstream.endpoint(**{**base, "capabilities": Capabilities(), **changes})


def _json(body: dict[str, Any], status: int = 200) -> bytes:
    return plain(status, orjson.dumps(body))


def complaints(body: dict[str, Any]) -> Iterable[str]:
    """What would not fit the original's types."""
    for message in body.get("messages", []):
        if message["role"] not in ("system", "user", "assistant", "tool") or type(message["content"]) is not str:
            yield "invalid message"
        for image in message.get("images", []):
            b64decode(image, validate=True)
        if any(type(call["function"]["arguments"]) is not dict for call in message.get("tool_calls", [])):
            yield "json: cannot unmarshal string into Go struct field .arguments"
        if message["role"] == "tool" and not message["tool_name"]:
            yield "invalid tool message"
    if not isinstance(body.get("options", {}), dict) or not isinstance(body.get("format", "json"), str | dict):
        yield "invalid options"
