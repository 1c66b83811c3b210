"""Django's ASGI handler with the whole of a request in one thread.

Everything that answers here is synchronous, and Django's own handler goes from the event loop to a new thread and back
for each middleware that is not asynchronous: two thirds of what a small GET cost. Here one hop takes the request
through signals, middleware, view and closing, in a thread that is kept, and the loop only sends bytes. What streams is
sent by the loop as it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import FileResponse
from django.urls import set_script_prefix

from sovereign.core.database import DatabaseExecutor

THREADS = 32  # requests that may wait for the database at once; those after them wait for a thread


class OneHopHandler(ASGIHandler):
    """The ``http`` application. Middleware and views are synchronous; what they stream may be either."""

    def __init__(self) -> None:
        BaseHandler.__init__(self)  # ASGIHandler's own would load the middleware in its asynchronous form
        self.load_middleware(is_async=False)
        self._threads = DatabaseExecutor(THREADS, "request")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        response = await self._threads.run(self._respond, scope, body)
        if response.streaming:
            await self._stream(response, receive, send)
        else:
            await self.send_response(response, send)

    def _respond(self, scope: Any, body: Any) -> Any:
        """The answer, and unless it streams also what comes after one: ``request_finished`` and closing."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=type(self), scope=scope)
        response: Any
        request, response = self.create_request(scope, body)
        if request is None:
            body.close()
        else:
            response = self.get_response(request)
        response._handler_class = type(self)
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        if not response.streaming:
            response.close()
        elif not response.is_async:
            response.streaming_content = self._pieces(response.streaming_content)
        return response

    async def _pieces(self, content: Iterator[bytes]) -> AsyncIterator[bytes]:
        """A file, read piece by piece in a thread."""
        while (piece := await self._threads.run(next, content, None)) is not None:
            yield piece

    async def _stream(self, response: Any, receive: Any, send: Any) -> None:
        """Send until the end, or until the client has gone."""
        sending = asyncio.create_task(self.send_response(response, send))
        leaving = asyncio.create_task(receive())
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            sending.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._threads.run(response.close)
        if not sending.cancelled():
            sending.result()
