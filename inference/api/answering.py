"""Model calls as answers over HTTP: all of it at once, or as it comes. Everything here runs in the event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Protocol

import orjson
import structlog
from django.http import HttpResponse

from inference.api.failures import api_error, told
from inference.api.pump import Pump
from inference.chat import Delta, InferenceError
from sovereign.core.errors import ApiError, server_error
from sovereign.core.sse import EventStream

log = structlog.get_logger(__name__)

Sources = Sequence[AsyncGenerator[Delta, None]]


class Chunks(Protocol):
    """What writes the frames of a stream."""

    def frames(self, number: int, delta: Delta) -> bytes:
        """Those of one delta of call ``number``."""
        ...

    def ending(self) -> bytes:
        """Those after the last call has ended."""
        ...


class Collector(Protocol):
    """What puts an answer together.

    :ivar held: bytes that it keeps for that.
    """

    held: int

    def add(self, number: int, delta: Delta) -> None: ...

    def render(self) -> dict[str, Any]: ...


Keep = Callable[[bytes], Awaitable[None]]
MOST_HELD = 64 * 1024 * 1024  # bytes of one answer


def json_response(body: dict[str, Any]) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), content_type="application/json")


async def collected(sources: Sources, collector: Collector, keep: Keep | None = None) -> HttpResponse:
    """The whole answer.

    :param keep: is given it, in JSON, before it is sent.
    :raises ApiError: a call failed, or the answer is too large.
    """
    pump = Pump(sources)
    try:
        with told():
            while bunch := await pump.next():
                take(collector, bunch)
    finally:
        await pump.close()
    content = orjson.dumps(collector.render())
    if keep is not None:
        await keep(content)
    return HttpResponse(content, content_type="application/json")


def take(collector: Collector, bunch: list[tuple[int, Delta]]) -> None:
    """:raises ApiError: 400, the answer has become too large to be kept until it is whole."""
    for number, delta in bunch:
        collector.add(number, delta)
    if collector.held > MOST_HELD:
        raise ApiError(
            f"The answer is larger than {MOST_HELD // 1024**2} MB: ask for fewer or shorter answers, for fewer "
            "logprobs, or for a stream that is not stored.",
            code="answer_too_large",
        )


async def streamed(
    sources: Sources, chunks: Chunks, collector: Collector | None = None, keep: Keep | None = None
) -> EventStream:
    """The answer as it comes; it begins when the first piece is there.

    :param collector: puts the answer together for ``keep``, which gets it before the stream ends.
    :raises ApiError: a call failed before that.
    """
    pump = Pump(sources)
    try:
        with told():
            first = await pump.next()
    except BaseException:
        await pump.close()
        raise
    return EventStream(DeltaStream(pump, first, chunks, collector, keep))


class DeltaStream:
    """The frames of a stream: pieces that arrive together are one write. A failure is its last frame."""

    def __init__(
        self,
        pump: Pump,
        first: list[tuple[int, Delta]],
        chunks: Chunks,
        collector: Collector | None,
        keep: Keep | None,
    ) -> None:
        self._pump = pump
        self._first = first
        self._chunks = chunks
        self._collector = collector
        self._keep = keep
        self._is_over = False

    def __aiter__(self) -> DeltaStream:
        return self

    async def __anext__(self) -> bytes:
        if self._is_over:
            raise StopAsyncIteration
        try:
            bunch, self._first = self._first or await self._pump.next(), []
            if bunch:
                return self._written(bunch)
            self._is_over = True
            if self._collector is not None and self._keep is not None:
                await self._keep(orjson.dumps(self._collector.render()))
            return self._chunks.ending()
        except InferenceError as error:
            return self._failed(api_error(error))
        except ApiError as error:
            return self._failed(error)
        except Exception as error:
            log.error("unexpected_exception", exc_info=error)
            return self._failed(server_error(structlog.contextvars.get_contextvars().get("request_id", "unknown")))

    async def aclose(self) -> None:
        """End the calls, whether or not they are done."""
        await self._pump.close()

    def _written(self, bunch: list[tuple[int, Delta]]) -> bytes:
        if self._collector is not None:
            take(self._collector, bunch)
        frames = self._chunks.frames
        return b"".join([frames(number, delta) for number, delta in bunch])

    def _failed(self, error: ApiError) -> bytes:
        self._is_over = True
        return b"data: %s\n\n" % orjson.dumps(error.body())
