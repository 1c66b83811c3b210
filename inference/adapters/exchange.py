"""The two ways of talking to an upstream that all dialects share: a stream that is decoded, and one JSON document.

What comes back is untrusted: a dialect's decoder checks every field before it is used.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol

import aiohttp
import orjson

from inference.adapters.base import Endpoint
from inference.adapters.refusals import MALFORMED, TOO_LONG, refusal
from inference.adapters.transport import TRAILER_TIMEOUT, Asked, Call, transport
from inference.adapters.usage import believed, most_prompt
from inference.chat import Delta, Finished, FinishReason, InferenceError
from sovereign.core.error_messages import sanitised
from sovereign.core.sse_parser import StreamTooLarge

MAXIMUM_DOCUMENT = 4 * 1024 * 1024  # bytes
EVENTS = "text/event-stream"
NO_CONVERSATION = "The request is not in OpenAI's format."
NOT_UNICODE = "The conversation holds a character that is not Unicode."


class Parser(Protocol):
    """Cuts a stream of bytes into the documents that it carries."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """:raises StreamTooLarge: one of them, or the stream, is longer than accepted."""
        ...


class Decoder(Protocol):
    """Reads the documents of one streamed answer."""

    done: bool  # nothing follows
    reason: FinishReason | None  # known once the answer is complete; usage may still follow

    def take(self, data: bytes, deltas: list[Delta], /) -> None:
        """Append what ``data`` holds.

        :raises InferenceError: it is not of this dialect, or tells of a failure.
        """
        ...

    def finished(self) -> Finished:
        """:raises InferenceError: the answer is not complete."""
        ...


async def streamed(
    endpoint: Endpoint, ask: Callable[[], Asked], content_types: frozenset[str], parser: Parser, decoder: Decoder
) -> AsyncGenerator[Delta, None]:
    """The deltas of one call; see :class:`inference.adapters.base.Adapter`."""
    try:
        asked = ask()
    except MALFORMED:
        raise InferenceError(NO_CONVERSATION, "invalid_prompt") from None
    call, received, prompts = transport().open(endpoint), 0, most_prompt(asked.body)
    try:
        response = await call.send(asked)
        del asked  # it may hold pictures, and the answer takes long
        await check_stream(response, endpoint, content_types)
        while not decoder.done and (chunk := await _next(call, decoder)):
            received += len(chunk)
            deltas: list[Delta] = []
            failure = _decode(parser, decoder, chunk, deltas)
            if deltas:
                call.saw_token()
            for delta in deltas:
                yield delta
            if failure is not None:
                raise failure
        last = decoder.finished()
        last.usage = believed(last.usage, prompts, received, endpoint.capabilities.context_length)
        yield last
    finally:
        call.close()


def _decode(parser: Parser, decoder: Decoder, chunk: bytes, deltas: list[Delta]) -> InferenceError | None:
    """Append what ``chunk`` holds to ``deltas``; a failure is returned, since what came before it counts."""
    try:
        for data in parser.feed(chunk):
            decoder.take(data, deltas)
    except StreamTooLarge:
        return InferenceError(TOO_LONG)
    except InferenceError as error:
        return error
    return None


async def _next(call: Call, decoder: Decoder) -> bytes:
    """The next bytes; once the finish reason is known, a missing rest is no failure."""
    if decoder.reason is None:
        return await call.read()
    call.may_end_within(TRAILER_TIMEOUT)
    try:
        return await call.read()
    except InferenceError:
        return b""


async def check_stream(response: aiohttp.ClientResponse, endpoint: Endpoint, content_types: frozenset[str]) -> None:
    """Refuse every answer that is not a stream of the dialect.

    :raises InferenceError: with the code that the status means.
    """
    if response.status != 200:
        raise await refusal(response, endpoint)
    if response.content_type not in content_types:
        kind = sanitised(response.content_type, endpoint.key)
        raise InferenceError(f"The engine answered with {kind} instead of a stream.")
    check_plain(response)


def check_plain(response: aiohttp.ClientResponse) -> None:
    """Refuse what is compressed: nobody asked for it, and unpacked it may be of any size."""
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("identity", ""):
        raise InferenceError("The engine sent a compressed answer, which was not asked for.")


async def document(endpoint: Endpoint, asked: Asked, *, maximum: int = MAXIMUM_DOCUMENT, computed: bool = True) -> Any:
    """What an upstream answers at once, as JSON; see ``whole_answer``.

    :raises InferenceError: it failed, in one of the ways of a stream, or sent no JSON.
    """
    return parsed(*await whole_answer(endpoint, asked, maximum=maximum, computed=computed), endpoint)


async def whole_answer(
    endpoint: Endpoint, asked: Asked, *, maximum: int = MAXIMUM_DOCUMENT, computed: bool = True
) -> tuple[bytes, str]:
    """The bytes of an answer, and what kind they are said to be.

    :param maximum: bytes that are read.
    :param computed: a model made it, so that it proves as much as a token does.
    :raises InferenceError: it failed, in one of the ways of a stream; ``unsupported`` where it is too long.
    """
    call = transport().open(endpoint)
    try:
        response = await call.send(asked)
        if response.status != 200:
            raise await refusal(response, endpoint)
        check_plain(response)
        raw = await _whole(call, maximum)
        if computed:
            call.saw_token()
    finally:
        call.close()
    return raw, response.content_type


def parsed(raw: bytes, kind: str, endpoint: Endpoint) -> Any:
    """An answer as JSON.

    :raises InferenceError: it is none.
    """
    try:
        return orjson.loads(raw)
    except ValueError:
        kind = sanitised(kind, endpoint.key)
        raise InferenceError(f"The engine's answer ({kind}) is not JSON.") from None


async def _whole(call: Call, maximum: int) -> bytes:
    pieces, held = [], 0
    while chunk := await call.read():
        pieces.append(chunk)
        held += len(chunk)
        if held > maximum:  # it may be what was asked for: that does not mean that the engine is broken
            raise InferenceError(TOO_LONG, "unsupported")
    return b"".join(pieces)


def encoded(body: dict[str, Any]) -> bytes:
    """A request's body.

    :raises InferenceError: a text is not Unicode.
    """
    try:
        return orjson.dumps(body)
    except TypeError:
        raise InferenceError(NOT_UNICODE, "invalid_prompt") from None


async def failing(error: InferenceError) -> AsyncGenerator[Delta, None]:
    """A stream that fails with ``error`` when it is read."""
    raise error
    yield  # what makes this a stream


def unsupported(what: str) -> InferenceError:
    """The error for what a kind of provider cannot do, ``what`` being the begin of a sentence."""
    return InferenceError(f"{what} by this kind of provider.", "unsupported")
