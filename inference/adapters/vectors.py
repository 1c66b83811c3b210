"""Vectors as upstreams send them, checked: one for each text, all of one width, every number finite.

Many texts are sent in several calls, and long answers are read in a thread: the loop has streams to carry meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
from array import array
from base64 import b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import isfinite
from typing import Any

from inference.adapters.base import Endpoint
from inference.adapters.exchange import parsed, whole_answer
from inference.adapters.transport import Asked
from inference.adapters.usage import believed, counted, most_prompt
from inference.calls import Embedded, EmbeddingRequest
from inference.chat import InferenceError, Usage

MAXIMUM_WIDTH = 16_384
BYTES_PER_VECTOR = 256 * 1024  # of an answer: 8,192 numbers written out
MAXIMUM_ANSWER = 64 * 1024 * 1024  # bytes
TEXTS_AT_ONCE = 256
WRITTEN_AT_ONCE = 32  # where every number is written out: reading JSON stops all threads, and of so much for 50 ms
SHORT_ANSWER = 64 * 1024  # bytes; reading so few is done before a thread would have begun
NOT_VECTORS = "The engine sent vectors that cannot be used: {}."


def answer_limit(texts: int) -> int:
    """Bytes that an answer with so many vectors may have."""
    return min(MAXIMUM_ANSWER, (texts + 4) * BYTES_PER_VECTOR)


#: not the loop's own threads: names are looked up in those
_readers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="vectors")

Reader = Callable[[Any, EmbeddingRequest], Embedded]


async def embedded(
    endpoint: Endpoint,
    request: EmbeddingRequest,
    ask: Callable[[EmbeddingRequest], Asked],
    read: Reader,
    *,
    at_once: int = TEXTS_AT_ONCE,
) -> Embedded:
    """The vectors of all texts, and the tokens of all calls.

    :param ask: writes one call.
    :param read: reads its answer, JSON; in any thread.
    :param at_once: the most texts of one call.
    :raises InferenceError: a call failed, or its vectors cannot be used.
    """
    vectors: list[list[float]] = []
    tokens = 0
    for begin in range(0, len(request.texts), at_once):
        part = replace(request, texts=request.texts[begin : begin + at_once])
        found = await _part(endpoint, part, ask(part), read)
        vectors += found.vectors
        tokens += found.usage.prompt_tokens
    return Embedded(checked_widths(vectors, request), Usage(tokens, 0))


async def _part(endpoint: Endpoint, request: EmbeddingRequest, asked: Asked, read: Reader) -> Embedded:
    raw, kind = await whole_answer(endpoint, asked, maximum=answer_limit(len(request.texts)))

    def work() -> Embedded:
        return read(parsed(raw, kind, endpoint), request)

    is_short = len(raw) <= SHORT_ANSWER
    found = work() if is_short else await asyncio.get_running_loop().run_in_executor(_readers, work)
    return replace(found, usage=believed(found.usage, most_prompt(asked.body), 0, None))


def read_openai(body: Any, request: EmbeddingRequest) -> Embedded:
    """OpenAI's list of embeddings, as numbers or as base64 of little-endian float32, in any order.

    :raises InferenceError: it is none, or not what was asked for.
    """
    try:
        entries = body["data"]
        if len(entries) != len(request.texts):
            raise InferenceError(NOT_VECTORS.format(f"{len(entries)} of them for {len(request.texts)} texts"))
        places = [entry.get("index", place) for place, entry in enumerate(entries)]
        if sorted(places) != list(range(len(entries))):
            raise InferenceError(NOT_VECTORS.format("their places are not one after the other"))
        vectors: list[list[float]] = [[]] * len(entries)
        for place, entry in zip(places, entries, strict=True):
            vectors[place] = _vector(entry["embedding"])
        usage = body.get("usage") or {}
        return Embedded(checked(vectors, request), counted(usage.get("prompt_tokens"), 0))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InferenceError("The engine sent vectors that are not in OpenAI's format.") from None


def _vector(given: Any) -> list[float]:
    if isinstance(given, str):
        numbers = array("f", b64decode(given, validate=True))
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers.tolist()
    if not isinstance(given, list):
        raise TypeError("neither numbers nor base64")
    return given


def checked(vectors: list[list[float]], request: EmbeddingRequest) -> list[list[float]]:
    """The vectors of an answer as floats.

    :raises InferenceError: not one for each text, or of different, wrong or absurd widths, or not finite.
    """
    if len(vectors) != len(request.texts):
        raise InferenceError(NOT_VECTORS.format(f"{len(vectors)} of them for {len(request.texts)} texts"))
    return [_finite(vector) for vector in checked_widths(vectors, request)]


def checked_widths(vectors: list[list[float]], request: EmbeddingRequest) -> list[list[float]]:
    """The vectors, where all are of the one width that was asked for.

    :raises InferenceError: they are not, or of an absurd one.
    """
    widths = {len(vector) for vector in vectors}
    if len(widths) > 1:
        raise InferenceError(NOT_VECTORS.format("they differ in width"))
    width = widths.pop() if widths else 0
    if vectors and not 0 < width <= MAXIMUM_WIDTH:
        raise InferenceError(NOT_VECTORS.format(f"a width of {width}"))
    if request.dimensions is not None and vectors and width != request.dimensions:
        raise InferenceError(NOT_VECTORS.format(f"{width} numbers wide where {request.dimensions} were asked for"))
    return vectors


def _finite(vector: list[float]) -> list[float]:
    kinds = set(map(type, vector))
    if not kinds <= {float, int}:
        raise InferenceError(NOT_VECTORS.format("something in them is no number"))
    try:
        numbers = [float(number) for number in vector] if int in kinds else vector
        if isfinite(sum(numbers)):  # one that is not makes the sum so
            return numbers
    except OverflowError:
        pass
    raise InferenceError(NOT_VECTORS.format("a number in them is not finite"))
