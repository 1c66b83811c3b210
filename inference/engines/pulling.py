"""Has an Ollama fetch a model, and tells how far that is."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson

from inference import services
from inference.adapters.base import Endpoint
from inference.adapters.ollama import Ollama, Progress
from inference.chat import InferenceError
from sovereign.core.database import in_database
from sovereign.core.sse import DONE, encode

INTERVAL = 0.25  # seconds between two frames of the same step


async def pull_frames(endpoint: Endpoint, model: str) -> AsyncGenerator[bytes, None]:
    """Server-sent events: ``progress`` with ``{"status", "completed", "total"}`` (bytes), or ``error`` with
    ``{"message"}``, and ``done`` at the end. Closing it ends the pull; what was fetched is kept there."""
    said, at = "", 0.0
    try:
        async with aclosing(Ollama().pull(endpoint, model)) as steps:
            async for step in steps:
                moment = time.monotonic()
                if step.status != said or moment - at >= INTERVAL:
                    said, at = step.status, moment
                    yield encode("progress", _told(step))
    except InferenceError as error:
        yield encode("error", orjson.dumps({"message": error.detail}))
    else:
        await in_database(services.ask_soon, engine_id=endpoint.engine_id)
    yield DONE


def _told(step: Progress) -> bytes:
    return orjson.dumps({"status": step.status, "completed": step.completed, "total": step.total})
