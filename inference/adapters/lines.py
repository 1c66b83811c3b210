"""Reads documents of one line each from an upstream that is not trusted, in whatever pieces they arrive."""

from __future__ import annotations

from sovereign.core.sse_parser import MAXIMUM_LINE, MAXIMUM_TOTAL, StreamTooLarge


class LineParser:
    """Turns chunks of bytes into complete lines; one that the end of the stream cuts off is never given out."""

    def __init__(self, *, maximum_line: int = MAXIMUM_LINE, maximum_total: int = MAXIMUM_TOTAL) -> None:
        self._maximum_line = maximum_line
        self._maximum_total = maximum_total
        self._total = 0
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that ``chunk`` completes, without empty ones.

        :raises StreamTooLarge: a line or the stream is longer than the bounds.
        """
        self._total += len(chunk)
        if self._total > self._maximum_total:
            raise StreamTooLarge(f"more than {self._maximum_total} bytes")
        first, *others = chunk.split(b"\n")
        self._rest += first
        lines = []
        for piece in others:
            lines.append(bytes(self._rest))
            self._rest = bytearray(piece)
        if max([len(self._rest), *map(len, lines)]) > self._maximum_line:
            raise StreamTooLarge(f"a line of more than {self._maximum_line} bytes")
        return [stripped for line in lines if (stripped := line.strip())]
