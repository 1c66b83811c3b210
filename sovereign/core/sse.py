"""Server-sent events: the encoding, and the only place that makes a streaming response."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from django.db import connections
from django.http import StreamingHttpResponse

#: A comment, and no blank line behind it: openai-python takes one for the end of an event once it has seen an ``id:``.
PING = b": ping\n"
DONE = b"event: done\ndata: [DONE]\n\n"


def encode(event: str, data: bytes, identifier: int | None = None) -> bytes:
    """One frame. ``data`` is JSON on a single line; ``identifier`` becomes ``id:``, what a client resumes from."""
    head = b"" if identifier is None else b"id: %d\n" % identifier
    return b"%sevent: %s\ndata: %s\n\n" % (head, event.encode(), data)


class EventStream(StreamingHttpResponse):
    """A response that sends frames as they come; ``source`` is an asynchronous iterator of them.

    ``closed`` is called, in whatever thread, when it is over: also where its client left before anything was read of
    ``source``, which then has never begun.
    """

    def __init__(self, source: Any, closed: Callable[[], object] | None = None) -> None:
        super().__init__(source, content_type="text/event-stream; charset=utf-8")
        self.source = source
        self._closed = closed
        self["Cache-Control"] = "no-cache"
        self["X-Accel-Buffering"] = "no"

    def close(self) -> None:
        super().close()
        if self._closed is not None:
            self._closed()


def sse_response(frames: AsyncIterator[bytes], closed: Callable[[], object] | None = None) -> EventStream:
    """A response that sends ``frames`` as they come.

    The request's database connection is given back first: a stream lives for minutes, and twenty of them would hold
    a whole pool.
    """
    connections.close_all()
    return EventStream(frames, closed)
