"""Django's ASGI handler with the whole of a request in one thread.

Everything that answers here is synchronous, and Django's own handler goes from the event loop to a new thread and back
for each middleware that is not asynchronous: two thirds of what a small GET cost. Here one hop takes the request
through signals, middleware, view and closing, in a thread that is kept, and the loop only sends bytes. What streams is
sent by the loop as it comes; what takes long and needs no database (``LaterResponse``) is awaited there, so that no
thread is held for it. Bodies are there before their view is called, but for those that it takes as they come
(``core.incoming``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from contextvars import copy_context
from functools import partial
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.db import InterfaceError, OperationalError
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from sovereign.core.database import DatabaseExecutor
from sovereign.core.errors import ApiError, database_unavailable, request_too_large, server_error, unavailable
from sovereign.core.ids import new_request_id
from sovereign.core.incoming import SCOPE, Incoming, limit_of
from sovereign.core.sse import EventStream

log = structlog.get_logger(__name__)

Leaves = Callable[[], Coroutine[Any, Any, Any]]  # returns when the client has gone

THREADS = 32  # requests that may wait for the database at once; those after them wait for a thread
WAITING = 1_000  # requests that may wait for a thread; those after them are refused
HEALTH = frozenset(("/health", "/health/live"))  # ask for no database, and must be answered whatever others wait for


class LaterResponse(HttpResponseBase):
    """What a view gives whose answer takes long: ``work`` is awaited in the loop and gives the response itself.

    Middleware sees this one; the headers and cookies that it adds go onto the other. ``work`` may raise ``ApiError``,
    runs in the context of its request, and is cancelled when the client leaves. If it gives an ``EventStream``, its
    source is closed whether or not any of it was sent. ``over`` is called, in whatever thread, when the request is
    over, also where ``work`` has never begun.
    """

    streaming = True  # no middleware is to look for a body
    is_async = True

    def __init__(
        self, work: Callable[[], Awaitable[HttpResponseBase]], over: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__()
        del self.headers["Content-Type"]
        self.context = copy_context()
        self._work = work
        self.over = over
        self._since = time.perf_counter()
        self._listeners: list[Callable[[HttpResponseBase], Any]] = []

    def when_known(self, listener: Callable[[HttpResponseBase], Any]) -> None:
        """``listener`` is called in the loop with the response that is sent, when it is there."""
        self._listeners.append(listener)

    async def final(self) -> HttpResponseBase:
        """The response that is sent."""
        response = await self._worked()
        for name, value in self.items():
            response.headers.setdefault(name, value)
        if isinstance(response, HttpResponse):
            response.headers.setdefault("Content-Length", str(len(response.content)))
        response.cookies.update(self.cookies)
        if "openai-processing-ms" in self:
            waited = time.perf_counter() - self._since
            response["openai-processing-ms"] = str(int(self["openai-processing-ms"]) + int(waited * 1000))
        for listener in self._listeners:
            listener(response)
        return response

    async def _worked(self) -> HttpResponseBase:
        try:
            return await self._work()
        except ApiError as error:
            return _refusal(error)
        except RequestAborted:
            raise
        except (OperationalError, InterfaceError) as error:
            log.error("database_unavailable", exc_info=error)
            return _refusal(database_unavailable())
        except Exception as error:
            log.error("unexpected_exception", exc_info=error)
            return _refusal(server_error(self.get("x-request-id", "unknown")))


class LaterAware:
    """A middleware that looks at responses: at the one that is sent, where that comes later.

    It stands before a ``MiddlewareMixin`` whose ``process_response`` keeps the response as it is.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        look = super().process_response  # type: ignore[misc]
        if isinstance(response, LaterResponse):
            response.when_known(partial(look, request))
        else:
            look(request, response)
        return response


class OneHopHandler(ASGIHandler):
    """The ``http`` application. Middleware and views are synchronous; what they stream may be either."""

    def __init__(self) -> None:
        BaseHandler.__init__(self)  # ASGIHandler's own would load the middleware in its asynchronous form
        self.load_middleware(is_async=False)
        self._threads = DatabaseExecutor(THREADS, "request")
        self._health_threads = DatabaseExecutor(2, "health")
        self._unanswered = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        taken = limit_of(scope["method"], scope["path"], _header(scope, b"content-type"))
        if taken is not None:
            await self._take(scope, Incoming(receive, taken), taken, send)
            return
        try:
            _refuse_announced(scope, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
            body = await self.read_body(receive)
        except RequestAborted:
            return
        except ApiError as error:
            await self.send_response(_refused_at_once(error), send)
            return
        await self._send(await self._answer(scope, body), receive, send)

    async def _take(self, scope: Any, incoming: Incoming, limit: int, send: Any) -> None:
        """Answer a request whose view takes the body as it comes: to Django it has none."""
        send = incoming.before(send)
        try:
            _refuse_announced(scope, limit)
        except ApiError as error:
            await self.send_response(_refused_at_once(error), send)
            return
        with suppress(RequestAborted):
            await self._send(await self._answer({**scope, SCOPE: incoming}, BytesIO()), incoming.left, send)

    async def _send(self, response: Any, leaves: Leaves, send: Any) -> None:
        if not response.streaming:
            await self.send_response(response, send)
        elif isinstance(response, LaterResponse):
            await self._send_later(response, leaves, send)
        else:
            await self._stream(response, asyncio.create_task(leaves()), send)

    async def read_body(self, receive: Any) -> Any:
        """The body, of which only what is large goes to a file.

        :raises ApiError: 413, as soon as more has come than a body may have.
        """
        received = 0
        with ExitStack() as unless_whole:
            body = unless_whole.enter_context(SpooledTemporaryFile(settings.FILE_UPLOAD_MAX_MEMORY_SIZE))
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestAborted
                piece = message.get("body", b"")
                received += len(piece)
                if received > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
                    raise request_too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
                body.write(piece)
                if not message.get("more_body", False):
                    body.seek(0)
                    unless_whole.pop_all()
                    return body

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
        if not response.streaming or isinstance(response, LaterResponse):
            response.close()
        elif not response.is_async:
            response.streaming_content = self._pieces(response.streaming_content)
        return response

    async def _pieces(self, content: Iterator[bytes]) -> AsyncIterator[bytes]:
        """A file, read piece by piece in a thread."""
        while (piece := await self._threads.run(next, content, None)) is not None:
            yield piece

    async def _send_later(
        self, later: LaterResponse, leaves: Callable[[], Coroutine[Any, Any, Any]], send: Any
    ) -> None:
        """Await the response and send it; both end when the client leaves."""
        leaving = asyncio.create_task(leaves())
        working = asyncio.create_task(later.final(), context=later.context)
        try:
            await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                return
            response: Any = working.result()
            if response.streaming:
                await self._stream(response, leaving, send, later)
            else:
                await self.send_response(response, send)
        finally:
            leaving.cancel()
            working.cancel()
            later.over()
            await asyncio.gather(leaving, working, return_exceptions=True)
            if not working.cancelled() and working.exception() is None:
                await _end(working.result())

    async def _stream(
        self, response: Any, leaving: asyncio.Task[Any], send: Any, later: LaterResponse | None = None
    ) -> None:
        """Send until the end, or until the client has gone (``leaving``)."""
        sending = asyncio.create_task(self.send_response(response, send), context=later.context if later else None)
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            sending.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            if later is None:  # which was closed in its thread
                await self._threads.run(response.close)
        if not sending.cancelled():
            sending.result()


async def _end(response: Any) -> None:
    """Close what a response streams from: a task that is cancelled before its first step has not begun to read it."""
    if isinstance(response, EventStream):
        await response.source.aclose()


async def _unless_cancelled(answering: Future[Any]) -> Any:
    """The response; a stream that nobody waits for any more when it is there is closed."""
    try:
        return await asyncio.wrap_future(answering)
    except asyncio.CancelledError:
        answering.add_done_callback(_close_unsent)
        raise


def _close_unsent(answering: Future[Any]) -> None:
    if not answering.cancelled() and answering.exception() is None and (response := answering.result()).streaming:
        response.over() if isinstance(response, LaterResponse) else response.close()


def _header(scope: Any, name: bytes) -> bytes:
    value: bytes = dict(scope["headers"]).get(name, b"")
    return value


def _refuse_announced(scope: Any, limit: int) -> None:
    """:raises ApiError: 413, the client says that its body is larger; what is no number is refused elsewhere."""
    told = _header(scope, b"content-length")
    if told.isdigit() and len(told) < 20 and int(told) > limit:
        raise request_too_large(limit)


def _refusal(error: ApiError) -> HttpResponse:
    content = orjson.dumps(error.body())
    return HttpResponse(content, status=error.status, headers=error.headers, content_type="application/json")


def _refused_at_once(error: ApiError) -> HttpResponse:
    response = _refusal(error)
    response["x-request-id"] = new_request_id()
    response["Content-Length"] = str(len(response.content))
    return response


def _too_busy(scope: Any) -> HttpResponse:
    """An SDK must not retry a ``POST`` that has no key: it could be taken for the retry of an equal one."""
    error = unavailable("The server has too many requests to answer at the moment. Please retry.", retry_after=5)
    response = _refused_at_once(error)
    if scope["method"] == "POST" and b"idempotency-key" not in dict(scope["headers"]):
        response["x-should-retry"] = "false"
    return response
