"""Views that tell what happens to a request on its way through the handler."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import structlog
from django.db import OperationalError
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from sovereign.core.asgi import LaterResponse
from sovereign.core.errors import ApiError
from sovereign.core.sse import EventStream

told: list[str] = []  # what streams did, in order


def echo(request: HttpRequest) -> HttpResponse:
    """The thread, the context that an earlier request may have left, and the body."""
    threads.append(threading.get_ident())
    before = structlog.contextvars.get_contextvars().get("left", "nothing")
    structlog.contextvars.bind_contextvars(left="something")
    return HttpResponse(f"{threading.current_thread().name}|{before}|{request.body.decode()}")


def fail(request: HttpRequest) -> HttpResponse:
    raise ValueError("a secret")


threads: list[int] = []  # who took part in answering
held, go_on = threading.Semaphore(0), threading.Event()


class Noting:
    """A middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        threads.append(threading.get_ident())
        return self.get_response(request)


def hold(request: HttpRequest) -> HttpResponse:
    held.release()
    assert go_on.wait(60)
    return HttpResponse("held")


def late_file(request: HttpRequest) -> FileResponse:
    hold(request)
    return file(request)


class Tape(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        told.append(f"read by {threading.current_thread().name}")
        return super().read(size)

    def close(self) -> None:
        told.append("closed")
        super().close()


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(Tape(b"x" * 100_000))


def pieces(request: HttpRequest) -> StreamingHttpResponse:
    def content() -> Iterator[bytes]:
        yield from (b"one", b"", b"two")

    return StreamingHttpResponse(content())


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Never ends by itself."""

    async def content() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            told.append("ended")

    return StreamingHttpResponse(content())


def broken_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def content() -> AsyncIterator[bytes]:
        yield b"first"
        raise ValueError("broken")

    return StreamingHttpResponse(content())


class Cookies:
    """A middleware that adds a header and a cookie."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response["x-added"] = "yes"
        response.set_cookie("crumb", "1")
        return response


going = asyncio.Event()  # the work of ``/later_held`` has begun


class Source:
    """What a later stream reads from."""

    def __init__(self) -> None:
        self.left = [b"data: 1\n\n", b"data: 2\n\n"]

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)

    async def aclose(self) -> None:
        told.append("closed")


def later(request: HttpRequest) -> LaterResponse:
    async def work() -> HttpResponse:
        await asyncio.sleep(0)
        context = structlog.contextvars.get_contextvars()
        return HttpResponse(f"{threading.current_thread().name}|{context['request_id']}", status=201)

    return LaterResponse(work)


def later_refused(request: HttpRequest) -> LaterResponse:
    async def work() -> HttpResponse:
        raise ApiError("No.", status=429, headers={"Retry-After": "3"})

    return LaterResponse(work)


def later_broken(request: HttpRequest) -> LaterResponse:
    async def work() -> HttpResponse:
        raise ValueError("a secret")

    return LaterResponse(work)


def later_away(request: HttpRequest) -> LaterResponse:
    async def work() -> HttpResponse:
        raise OperationalError("a secret")

    return LaterResponse(work)


def later_held(request: HttpRequest) -> LaterResponse:
    async def work() -> HttpResponse:
        going.set()
        try:
            await asyncio.Event().wait()
        finally:
            told.append("stopped")
        raise AssertionError

    return LaterResponse(work)


def later_stream(request: HttpRequest) -> LaterResponse:
    async def work() -> EventStream:
        return EventStream(Source())

    return LaterResponse(work)


urlpatterns = [
    path("later", later),
    path("later_refused", later_refused),
    path("later_broken", later_broken),
    path("later_away", later_away),
    path("later_held", later_held),
    path("later_stream", later_stream),
    path("echo", echo),
    path("fail", fail),
    path("file", file),
    path("hold", hold),
    path("late_file", late_file),
    path("health/live", echo),
    path("pieces", pieces),
    path("stream", stream),
    path("broken_stream", broken_stream),
]

handler500 = "sovereign.web.errors.failed"
