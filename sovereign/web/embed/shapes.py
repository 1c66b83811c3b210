"""What a visitor is told of threads, messages, runs and events: an allow-list, in the contract's shapes.

A run says what it was made with (instructions, tools, a model's name) and steps what tools were given and gave back:
none of that is a visitor's business.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import orjson

from runs import events
from runs.models import Run
from runs.rendering import render_run_row
from runs.states import Status
from sovereign.core import sse
from threads.models import Message
from threads.rendering import render_message

RUN = ("id", "object", "created_at", "thread_id", "status", "incomplete_details")
MESSAGE = ("id", "object", "created_at", "thread_id", "run_id", "status", "role", "incomplete_details", "completed_at")
MESSAGES = frozenset({f"thread.message.{name}" for name in ("created", "in_progress", "completed", "incomplete")})
RUNS = frozenset({events.RUN_CREATED, *(events.RUN_PREFIX + status for status in Status)})


def run_told(run: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: run.get(name) for name in RUN}
    error = run.get("last_error")
    told["last_error"] = {"code": error.get("code")} if error else None  # the page has words for it
    return told


def run_row(run: Run) -> dict[str, Any]:
    return run_told(render_run_row(run))


def message_told(message: Mapping[str, Any]) -> dict[str, Any]:
    content = [_text(part) for part in message["content"] if part["type"] == "text"]
    return {**{name: message.get(name) for name in MESSAGE}, "content": content, "attachments": []}


def message_row(message: Message) -> dict[str, Any]:
    return message_told(render_message(message))


def _text(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": {"value": part["text"]["value"], "annotations": []}}


def _delta(delta: Mapping[str, Any]) -> dict[str, Any]:
    parts = [
        {"index": part["index"], "type": "text", "text": {"value": part["text"]["value"]}}
        for part in delta["delta"]["content"]
        if part["type"] == "text" and part["text"].get("value")
    ]
    return {"id": delta["id"], "object": delta["object"], "delta": {"content": parts}}


async def told(frames: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """A run's frames as a visitor gets them; what is not known here is not sent."""
    async with aclosing(frames):
        async for frame in frames:
            if (passed := passed_on(frame)) is not None:
                yield passed


def passed_on(frame: bytes) -> bytes | None:
    if frame in (sse.PING, sse.DONE):
        return frame
    fields = dict(line.split(b": ", 1) for line in frame.rstrip(b"\n").split(b"\n"))
    event, data = fields[b"event"].decode(), fields[b"data"]
    if event == "error":
        return frame
    if event in MESSAGES:
        payload = message_told(orjson.loads(data))
    elif event == events.MESSAGE_DELTA:
        payload = _delta(orjson.loads(data))
    elif event in RUNS:
        payload = run_told(orjson.loads(data))
    else:
        return None
    return sse.encode(event, orjson.dumps(payload), int(fields[b"id"]))
