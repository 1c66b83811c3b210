"""Views that tell what happens to a request on its way through the handler."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import structlog
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

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
    assert go_on.wait(20)
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


urlpatterns = [
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
