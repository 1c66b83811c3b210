"""What a reader writes: the text once, and which parts of it are its chunks, which repeat each other.

``HEADER``, the text in UTF-8, and ``SPAN`` for each chunk as it is cut: who reads it need not wait for the last.
"""

from __future__ import annotations

import os
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

PIECE = 4 * 1024**2  # bytes that are read at once
HEADER = struct.Struct("<I")  # bytes of text
SPAN = struct.Struct("<III")  # of a chunk: its tokens, its first character, and how many it has


def write(target: IO[bytes], text: str, chunks: Iterable[Chunk]) -> None:
    """:raises Unreadable: there are too many chunks, or they repeat too much."""
    data = text.encode()
    target.write(HEADER.pack(len(data)))
    target.write(data)
    size = 0
    for number, chunk in enumerate(chunks):
        size += len(chunk.text)
        if number == MAXIMUM_CHUNKS:
            raise Unreadable(Reason.TOO_MANY_CHUNKS)
        if size > MAXIMUM_CHUNKED:
            raise Unreadable(Reason.TOO_MUCH_TEXT)
        target.write(SPAN.pack(chunk.tokens, chunk.start, len(chunk.text)))


class Reading:
    """What was written so far, which is not believed: a parser may have been taken over by what it read.

    :param source: a descriptor of the file, whose place is the writer's and is not moved.
    :param maximum: tokens of a chunk.
    """

    def __init__(self, source: int, maximum: int) -> None:
        self._source, self._maximum = source, maximum
        self._read, self._rest = 0, bytearray()
        self._text: str | None = None
        self._number = self._begun = self._ended = self._chunked = 0

    def more(self) -> list[Chunk]:
        """The chunks that were written since the last call, of which there may be none.

        :raises ValueError: that is not what :func:`write` writes.
        """
        while data := os.pread(self._source, min(PIECE, MAXIMUM_OUTPUT + 1 - self._read), self._read):
            self._read += len(data)
            self._rest += data
        if self._read > MAXIMUM_OUTPUT:
            raise ValueError("it is too much")
        if self._text is None:
            self._text = self._whole_text()
        return [] if self._text is None else [self._chunk(self._text, *span) for span in self._spans()]

    def finish(self) -> None:
        """:raises ValueError: something is missing at the end."""
        if self._rest or not self._number:
            raise ValueError("it is cut off")

    def _whole_text(self) -> str | None:
        """The text, once it is there to its end."""
        if len(self._rest) < HEADER.size:
            return None
        end = HEADER.size + HEADER.unpack_from(self._rest)[0]
        if len(self._rest) < end:
            return None
        text = self._rest[HEADER.size : end].decode()
        if "\0" in text:
            raise ValueError("it is no text that databases take")
        del self._rest[:end]
        return text

    def _spans(self) -> Iterator[tuple[int, int, int]]:
        size = len(self._rest) - len(self._rest) % SPAN.size
        whole = bytes(self._rest[:size])
        del self._rest[:size]
        return SPAN.iter_unpack(whole)

    def _chunk(self, text: str, tokens: int, start: int, size: int) -> Chunk:
        """Each ends in the text, begins not before the one before it, and ends behind it; all are not endless."""
        self._number += 1
        self._chunked += size
        end = start + size
        if self._number > MAXIMUM_CHUNKS or self._chunked > MAXIMUM_CHUNKED:
            raise ValueError("there are too many chunks")
        if not (0 < tokens <= self._maximum and 0 < size <= tokens * LONGEST_TOKEN):
            raise ValueError("no chunk is so large, or empty")
        if not (self._begun <= start and self._ended < end <= len(text)):
            raise ValueError("chunks are in order")
        self._begun, self._ended = start, end
        return Chunk(text[start:end], tokens, start)
