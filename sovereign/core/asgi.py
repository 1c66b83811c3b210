"""Django's ASGI handler with the whole of a request in one thread.

Everything that answers here is synchronous, and Django's own handler goes from the event loop to a new thread and back
for each middleware that is not asynchronous: two thirds of what a small GET cost. Here one hop takes the request
through signals, middleware, view and closing, in a thread that is kept, and the loop only sends bytes. What streams is
sent by the loop as it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from typing import Any

from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import FileResponse, JsonResponse
from django.urls import set_script_prefix

from sovereign.core.database import DatabaseExecutor
from sovereign.core.errors import unavailable
from sovereign.core.ids import new_request_id

THREADS = 32  # requests that may wait for the database at once; those after them wait for a thread
WAITING = 1_000  # requests that may wait for a thread; those after them are refused
HEALTH = frozenset(("/health", "/health/live"))  # ask for no database, and must be answered whatever others wait for


class OneHopHandler(ASGIHandler):
    """The ``http`` application. Middleware and views are synchronous; what they stream may be either."""

    def __init__(self) -> None:
        BaseHandler.__init__(self)  # ASGIHandler's own would load the middleware in its asynchronous form
        self.load_middleware(is_async=False)
        self._threads = DatabaseExecutor(THREADS, "request")
        self._health_threads = DatabaseExecutor(2, "health")
        self._unanswered = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        response = await self._answer(scope, body)
        if response.streaming:
            await self._stream(response, receive, send)
        else:
            await self.send_response(response, send)

    async def _answer(self, scope: Any, body: Any) -> Any:
        if scope["path"] in HEALTH:
            return await _unless_cancelled(self._health_threads.submit(self._respond, scope, body))
        if self._unanswered >= THREADS + WAITING:
            body.close()
            return _too_busy(scope)
        self._unanswered += 1
        try:
            return await _unless_cancelled(self._threads.submit(self._respond, scope, body))
        finally:
            self._unanswered -= 1

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


async def _unless_cancelled(answering: Future[Any]) -> Any:
    """The response; a stream that nobody waits for any more when it is there is closed."""
    try:
        return await asyncio.wrap_future(answering)
    except asyncio.CancelledError:
        answering.add_done_callback(_close_unsent)
        raise


def _close_unsent(answering: Future[Any]) -> None:
    if not answering.cancelled() and answering.exception() is None and (response := answering.result()).streaming:
        response.close()


def _too_busy(scope: Any) -> JsonResponse:
    """An SDK must not retry a ``POST`` that has no key: it could be taken for the retry of an equal one."""
    error = unavailable("The server has too many requests to answer at the moment. Please retry.", retry_after=5)
    headers = {**error.headers, "x-request-id": new_request_id()}
    if scope["method"] == "POST" and b"idempotency-key" not in dict(scope["headers"]):
        headers["x-should-retry"] = "false"
    return JsonResponse(error.body(), status=error.status, headers=headers)
