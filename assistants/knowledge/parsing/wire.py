"""What a reader writes: the text once, and which parts of it are its chunks, which repeat each other.

``HEADER``, ``SPAN`` for each chunk, and the text in UTF-8.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import IO

from assistants.knowledge.chunking import LONGEST_TOKEN, Chunk
from assistants.knowledge.parsing.reasons import (
    MAXIMUM_CHUNKED,
    MAXIMUM_CHUNKS,
    MAXIMUM_OUTPUT,
    Reason,
    Unreadable,
)

HEADER = struct.Struct("<II")  # how many chunks there are, and how many bytes of text
SPAN = struct.Struct("<III")  # of a chunk: its tokens, its first character, and how many it has


def write(target: IO[bytes], text: str, chunks: Iterable[Chunk]) -> None:
    """:raises Unreadable: there are too many chunks, or they repeat too much."""
    spans, size = [], 0
    for number, chunk in enumerate(chunks):
        size += len(chunk.text)
        if number == MAXIMUM_CHUNKS:
            raise Unreadable(Reason.TOO_MANY_CHUNKS)
        if size > MAXIMUM_CHUNKED:
            raise Unreadable(Reason.TOO_MUCH_TEXT)
        spans.append(SPAN.pack(chunk.tokens, chunk.start, len(chunk.text)))
    data = text.encode()
    target.write(HEADER.pack(len(spans), len(data)) + b"".join(spans))
    target.write(data)


def read(source: IO[bytes], maximum: int) -> list[Chunk]:
    """What was written, which is not believed: a parser may have been taken over by what it read.

    :param maximum: tokens of a chunk.
    :raises ValueError: it is not what :func:`write` writes.
    """
    output = source.read(MAXIMUM_OUTPUT + 1)
    try:
        number, size = HEADER.unpack_from(output)
    except struct.error:
        raise ValueError("nothing was written") from None
    begin = HEADER.size + number * SPAN.size
    if not 0 < number <= MAXIMUM_CHUNKS or len(output) != begin + size:
        raise ValueError("it is cut off, or too much")
    text = output[begin:].decode()
    if "\0" in text:
        raise ValueError("it is no text that databases take")
    return list(_chunks(text, SPAN.iter_unpack(output[HEADER.size : begin]), maximum))


def _chunks(text: str, spans: Iterable[tuple[int, int, int]], maximum: int) -> Iterator[Chunk]:
    """Each ends in the text, begins not before the one before it, and ends behind it; together they are not endless."""
    begun = ended = chunked = 0
    for tokens, start, size in spans:
        chunked += size
        end = start + size
        if not (0 < tokens <= maximum and 0 < size <= tokens * LONGEST_TOKEN and chunked <= MAXIMUM_CHUNKED):
            raise ValueError("no chunk is so large, or empty")
        if not (begun <= start and ended < end <= len(text)):
            raise ValueError("chunks are in order")
        begun, ended = start, end
        yield Chunk(text[start:end], tokens, start)
