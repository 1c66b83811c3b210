"""Bodies that their view takes as they come: uploads, of which nothing but a piece is ever held."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from django.core.exceptions import RequestAborted
from django.urls import Resolver404, resolve

from sovereign.core.errors import request_too_large

SCOPE = "sovereign.incoming"  # where a view finds it, in the scope of its request
MULTIPART = b"multipart/form-data"
REST = 1024**2  # bytes that are read on after an answer is known, so that the connection can be used again
REST_WITHIN = 1.0  # seconds


def limit_of(method: str, path: str, content_type: bytes) -> int | None:
    """How many bytes a body may have that its view takes as it comes (the view's ``body_limit``).

    ``None`` for all others: they are read before their view is called.
    """
    if method != "POST" or not content_type.lower().startswith(MULTIPART):
        return None
    try:
        view = getattr(resolve(path).func, "cls", None)
    except Resolver404:
        return None
    limit = getattr(view, "body_limit", None)
    return limit() if limit is not None else None


class Incoming:
    """A body as the server hands it over. One task may read it."""

    def __init__(self, receive: Callable[[], Awaitable[dict[str, Any]]], limit: int) -> None:
        """:param limit: bytes that it may have."""
        self._receive = receive
        self._limit = limit
        self._received = 0
        self._is_over = asyncio.Event()
        self._has_left = False

    async def read(self) -> bytes:
        """The next bytes, however many they are; ``b""`` at the end.

        :raises ApiError: 413, as soon as there are more than there may be.
        :raises django.core.exceptions.RequestAborted: the client has gone.
        """
        while not self._is_over.is_set():
            piece = await self._next()
            self._received += len(piece)
            if self._received > self._limit:
                raise request_too_large(self._limit)
            if piece:
                return piece
        if self._has_left:
            raise RequestAborted
        return b""

    async def _next(self) -> bytes:
        message = await self._receive()
        self._has_left = message["type"] == "http.disconnect"
        if self._has_left or not message.get("more_body", False):
            self._is_over.set()
        piece: bytes = message.get("body", b"")
        return piece

    async def left(self) -> None:
        """Returns when the client has gone."""
        await self._is_over.wait()
        while not self._has_left:
            self._has_left = (await self._receive())["type"] == "http.disconnect"

    def before(self, send: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        """``send``, which lets the client finish first where it is about to: many read no answer before."""

        async def send_after_rest(message: Any) -> None:
            if message["type"] == "http.response.start":
                await self._drain()
            await send(message)

        return send_after_rest

    async def _drain(self) -> None:
        border = self._received + REST
        with suppress(TimeoutError):
            async with asyncio.timeout(REST_WITHIN):
                while not self._is_over.is_set() and self._received < border:
                    self._received += len(await self._next())
