"""Anthropic's Messages, scripted: refuses what the original refuses, and answers with its events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from inference.adapters.base import Endpoint
from inference.chat import Capabilities
from tests.inference.conftest import HEAD, Asked, Upstream, plain

FIELDS = {"model", "max_tokens", "messages", "system", "stream", "tools", "tool_choice", "temperature", "top_p"} | {
    "stop_sequences",
    "metadata",
    "output_config",
    "thinking",
}
USAGE = {"input_tokens": 5, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 3, "output_tokens": 1}


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + orjson.dumps({"type": kind, **fields}) + b"\n\n"


def text(*pieces: str) -> dict[str, Any]:
    return {"start": {"type": "text", "text": ""}, "deltas": [{"type": "text_delta", "text": p} for p in pieces]}


def thinking(*pieces: str) -> dict[str, Any]:
    deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": p} for p in pieces]
    deltas.append({"type": "signature_delta", "signature": "c2ln"})
    return {"start": {"type": "thinking", "thinking": "", "signature": ""}, "deltas": deltas}


def tool(name: str, *pieces: str, id: str = "toolu_1") -> dict[str, Any]:
    start = {"type": "tool_use", "id": id, "name": name, "input": {}}
    return {"start": start, "deltas": [{"type": "input_json_delta", "partial_json": p} for p in ("", *pieces)]}


def answer(*blocks: dict[str, Any], reason: str = "end_turn", **usage: Any) -> bytes:
    """The events of a whole answer."""
    message = {"id": "msg_1", "role": "assistant", "content": [], "usage": USAGE}
    events = [event("message_start", message=message), event("ping")]
    for index, block in enumerate(blocks):
        events.append(event("content_block_start", index=index, content_block=block["start"]))
        events += [event("content_block_delta", index=index, delta=delta) for delta in block["deltas"]]
        events.append(event("content_block_stop", index=index))
    delta = {"stop_reason": reason, "stop_sequence": None}
    events += [event("message_delta", delta=delta, usage={"output_tokens": 7, **usage}), event("message_stop")]
    return b"".join(events)


def error(status: int, kind: str, message: str) -> bytes:
    return plain(status, orjson.dumps({"type": "error", "error": {"type": kind, "message": message}}))


class Messages:
    """Takes an upstream over; ``script`` is what each valid request is answered with."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.script = HEAD + answer(text("Hel", "lo"))
        self.models: list[dict[str, Any]] = [{"id": "claude-test", "type": "model"}]
        upstream.script, upstream.lists = self._answer, False

    def says(self, *blocks: dict[str, Any], **rest: Any) -> None:
        self.script = HEAD + answer(*blocks, **rest)

    @property
    def asked(self) -> dict[str, Any]:
        return self.upstream.requests[-1].body

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        version = asked.headers.get("anthropic-version")
        if "k-secret-1" not in (asked.headers.get("x-api-key"), asked.headers.get("authorization", "")[7:]):
            writer.write(error(401, "authentication_error", "invalid x-api-key"))
        elif version not in ("2023-06-01", "2026-10-21"):
            writer.write(error(400, "invalid_request_error", "anthropic-version: header is required"))
        elif version == "2026-10-21" and {"temperature", "top_p"} & set(asked.body):
            writer.write(error(400, "invalid_request_error", "temperature: Extra inputs are not permitted"))
        elif asked.path.startswith("/v1/models"):
            writer.write(plain(200, orjson.dumps(self._page(asked.path))))
        elif asked.body["model"] == "missing":
            writer.write(error(404, "not_found_error", "model: missing"))
        elif complaint := next(complaints(asked.body), None):
            writer.write(error(400, "invalid_request_error", complaint))
        else:
            writer.write(self.script)

    def _page(self, path: str) -> dict[str, Any]:
        query = parse_qs(urlsplit(path).query)
        ids = [model["id"] for model in self.models]
        start = ids.index(query["after_id"][0]) + 1 if "after_id" in query else 0
        found = self.models[start : start + 2]  # two a page, whatever was asked for
        last = found[-1]["id"] if found else None
        return {"data": found, "has_more": start + 2 < len(ids), "first_id": None, "last_id": last}

    def endpoint(self, **changes: Any) -> Endpoint:
        base = {"kind": "anthropic", "base_url": self.upstream.url.removesuffix("/v1"), "model": "claude-test"}
        return self.upstream.endpoint(**{**base, "capabilities": Capabilities(json_schema=True), **changes})


def complaints(body: dict[str, Any]) -> Iterable[str]:
    """What the original says about a wrong request."""
    yield from (f"{name}: Extra inputs are not permitted" for name in set(body) - FIELDS)
    if type(body.get("max_tokens")) is not int or body["max_tokens"] < 1:
        yield "max_tokens: Field required"
    if not 0 <= body.get("temperature", 0) <= 1:
        yield "temperature: range: 0..1"
    if {"temperature", "top_p"} <= set(body):
        yield "`temperature` and `top_p` cannot both be specified for this model."
    if "thinking" in body and body.get("tool_choice", {}).get("type") in ("any", "tool"):
        yield "Thinking may not be enabled when tool_choice forces tool use."
    if any(not stop.strip() for stop in body.get("stop_sequences", [])):
        yield "stop_sequences: each stop sequence must contain non-whitespace"
    if "tool_choice" in body and not body.get("tools"):
        yield "tool_choice may only be specified while providing tools"
    yield from _about_messages(body["messages"])


def _about_messages(messages: list[dict[str, Any]]) -> Iterable[str]:
    if not messages or messages[0]["role"] != "user":
        yield "messages: first message must use the user role"
    pending: set[str] = set()
    for place, message in enumerate(messages):
        blocks = message["content"]
        if not blocks:
            yield f"messages.{place}: content must not be empty"
        for block in blocks:
            yield from _about_block(block, f"messages.{place}")
        answered = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if answered != pending:
            yield f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after"
        pending = {block["id"] for block in blocks if block["type"] == "tool_use"}
        if place and messages[place - 1]["role"] == message["role"]:
            yield f"messages.{place}: roles must alternate"


def _about_block(block: dict[str, Any], where: str) -> Iterable[str]:
    kind = block["type"]
    if kind == "text" and not block["text"].strip():
        yield f"{where}: text content blocks must be non-empty"
    elif kind == "tool_use" and not (isinstance(block["input"], dict) and block["id"].replace("_", "a").isalnum()):
        yield f"{where}: tool_use"
    elif kind == "image" and block["source"]["type"] != "base64":
        yield f"{where}: source"
    elif kind not in ("text", "tool_use", "tool_result", "image"):
        yield f"{where}: type"
