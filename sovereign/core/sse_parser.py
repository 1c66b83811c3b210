"""Reads server-sent events from an upstream that is not trusted, in whatever pieces they arrive."""

from __future__ import annotations

MAXIMUM_LINE = 1024 * 1024  # bytes of one event's lines
MAXIMUM_TOTAL = 64 * 1024 * 1024  # bytes of one stream

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class StreamTooLarge(ValueError):
    """The upstream sent a longer event, or a longer stream, than any answer has."""


class EventParser:
    """Turns chunks of bytes into the ``data`` of complete events.

    Works on bytes, so a chunk may end inside a character. Lines end with LF, CRLF or CR; comments, ``event``, ``id``
    and ``retry`` lines are skipped; several ``data`` lines of an event are joined with LF. An event that is cut off
    by the end of the stream is never given out, as the standard asks.
    """

    def __init__(self, *, maximum_line: int = MAXIMUM_LINE, maximum_total: int = MAXIMUM_TOTAL) -> None:
        self._maximum_line = maximum_line
        self._maximum_total = maximum_total
        self._total = 0
        self._rest = bytearray()  # an unfinished line, which may come in very small pieces
        self._data: list[bytes] = []  # the data lines of the unfinished event
        self._held = 0  # bytes in _data
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that ``chunk`` completes, in order.

        :raises StreamTooLarge: an event or the stream is longer than the bounds.
        """
        at_start = self._total == 0
        self._total += len(chunk)
        if self._total > self._maximum_total:
            raise StreamTooLarge(f"more than {self._maximum_total} bytes")
        clean = not self._rest and not self._data and not self._after_cr and len(chunk) <= self._maximum_line
        if clean and (plain := _plain_events(chunk)) is not None:
            return plain
        if at_start or self._total - len(chunk) < len(BYTE_ORDER_MARK):
            chunk = self._without_mark(chunk)
        events: list[bytes] = []
        for line in self._lines(chunk):
            self._take(line, events)
        if len(self._rest) + self._held > self._maximum_line:
            raise StreamTooLarge(f"an event of more than {self._maximum_line} bytes")
        return events

    def _without_mark(self, chunk: bytes) -> bytes:
        if not self._data and not self._after_cr and (self._rest + chunk).startswith(BYTE_ORDER_MARK):
            chunk, self._rest = bytes(self._rest + chunk)[len(BYTE_ORDER_MARK) :], bytearray()
        return chunk

    def _lines(self, chunk: bytes) -> list[bytes]:
        """The complete lines, without their ends; what remains waits in ``_rest``."""
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *others = chunk.split(b"\n")
        if not others:
            self._rest += first
            return []
        lines = [bytes(self._rest) + first, *others[:-1]]
        self._rest = bytearray(others[-1])
        return lines

    def _take(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            if self._data:
                events.append(b"\n".join(self._data))
                self._data, self._held = [], 0
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._held += len(value)
            if self._held > self._maximum_line:
                raise StreamTooLarge(f"an event of more than {self._maximum_line} bytes")


def _plain_events(chunk: bytes) -> list[bytes] | None:
    """The fast way for what nearly every chunk is: whole events of one ``data: `` line each; else ``None``."""
    if not chunk.endswith(b"\n\n") or b"\r" in chunk:
        return None
    events = []
    for part in chunk[:-2].split(b"\n\n"):
        if not part.startswith(b"data: ") or b"\n" in part:
            return None
        events.append(part[6:])
    return events
