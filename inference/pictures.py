"""Images that are stored files: messages only name them, and a model that sees gets their bytes.

Which model answers, and whether it sees, is known when an engine is chosen: until then a request carries parts of
``{"type": "image_file", "image_file": {"file_id", "detail"}}``. Files are a higher room's, which gives us a ``loader``.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import structlog

from inference.chat import ChatRequest

log = structlog.get_logger(__name__)

LARGEST = 20 * 1024**2  # bytes of one image, and …
TOGETHER = 32 * 1024**2  # … of all that one request shows, the newest first
MOST = 20  # images of one request
UNSEEN = "[An image that the model was not shown.]"
BLIND = "[An image, which this model cannot see.]"
STORED = "image_file"

#: ``await load(project_id, file_id, most)`` is a file's content; ``None`` where the project has no such file, or it has
#: more than ``most`` bytes. Raises ``OSError`` where it cannot be read just now.
Loader = Callable[[str, str, int], Awaitable[bytes | None]]
loader: Loader | None = None


def register(load: Loader) -> None:
    """From now on files are read with this."""
    global loader
    loader = load


def has_stored(request: ChatRequest) -> bool:
    return any(_is_stored(part) for message in request.messages for part in _parts(message))


async def shown(request: ChatRequest, *, sees: bool) -> ChatRequest:
    """The request with its stored images as data, or a sentence in place of what is not shown."""
    showing = _Showing(request.attribution.project, sees)
    newest_first = [await showing.message(message) for message in reversed(request.messages)]
    return replace(request, messages=newest_first[::-1])


class _Showing:
    """What one request may still show."""

    def __init__(self, project_id: str | None, sees: bool) -> None:
        self._project_id, self._sees = project_id, sees
        self._bytes, self._images = TOGETHER, MOST

    async def message(self, message: dict[str, Any]) -> dict[str, Any]:
        if not any(map(_is_stored, _parts(message))):
            return message
        is_question = message["role"] == "user"  # nobody takes images in an answer
        newest_first = [
            await self._part(part, is_question) if _is_stored(part) else part for part in reversed(_parts(message))
        ]
        return {**message, "content": newest_first[::-1]}

    async def _part(self, part: dict[str, Any], is_question: bool) -> dict[str, Any]:
        if not self._sees:
            return _text(BLIND)
        named = part[STORED]
        content = await self._content(named["file_id"]) if is_question and self._images else None
        kind = _kind(content) if content is not None else None
        if content is None or kind is None:
            return _text(UNSEEN)
        self._bytes -= len(content)
        self._images -= 1
        encoded = await asyncio.to_thread(b64encode, content)
        url = f"data:image/{kind};base64,{encoded.decode()}"
        return {"type": "image_url", "image_url": {"url": url, "detail": named.get("detail") or "auto"}}

    async def _content(self, file_id: str) -> bytes | None:
        if loader is None or self._project_id is None:
            return None
        try:
            return await loader(self._project_id, file_id, min(LARGEST, self._bytes))
        except OSError as error:
            log.warning("image_not_read", file=file_id, error=str(error))
            return None


def _parts(message: dict[str, Any]) -> list[Any]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _is_stored(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") == STORED


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _kind(content: bytes) -> str | None:
    """What the bytes are, whatever their file is called; ``None`` for what models do not take."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None
