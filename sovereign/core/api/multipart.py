"""``multipart/form-data`` (RFC 7578), parsed as it comes: of what is still to come nothing has to be there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from django.utils.http import parse_header_parameters

from sovereign.core.errors import ApiError

MAXIMUM_HEADERS = 8 * 1024  # bytes of a part's headers
MAXIMUM_PADDING = 64  # bytes of blanks behind a boundary
BOUNDARY = re.compile(r"[ -~]{0,199}[!-~]")
HALF = re.compile("[\ud800-\udfff]")  # of a character: there are codecs that give it
LINE = b"\r\n"


@dataclass(frozen=True, slots=True)
class Part:
    """A part begins. ``filename`` is ``None`` for a plain field; it is what the client says, with any character."""

    name: str
    filename: str | None


#: The beginning of a part, or bytes of the one that began last.
Event = Part | bytes


class _State(Enum):
    PREAMBLE = auto()  # before the first boundary: nothing, usually
    BOUNDARY = auto()  # behind one: a line's end, or the last one's two hyphens
    HEADERS = auto()
    CONTENT = auto()
    EPILOGUE = auto()


class MultipartParser:
    """Fed with bytes, it tells what is in them. It holds at most a boundary's length, or a part's headers."""

    def __init__(self, content_type: str) -> None:
        """:raises ApiError: 400, it names no boundary."""
        try:
            boundary = parse_header_parameters(content_type)[1].get("boundary", "")
        except ValueError:
            boundary = ""
        if not BOUNDARY.fullmatch(boundary):
            raise malformed("its header names no boundary")
        self._delimiter = b"\r\n--" + boundary.encode()
        self._buffer = bytearray(LINE)  # the first boundary is at the beginning of a line, too
        self._state = _State.PREAMBLE

    def feed(self, data: bytes) -> Iterator[Event]:
        """:raises ApiError: 400, this is no multipart body."""
        self._buffer += data
        while True:
            before, event = self._state, self._step()
            if event is not None:
                yield event
            elif self._state is before:
                return

    def finish(self) -> None:
        """:raises ApiError: 400, the body has ended before its last boundary."""
        if self._state is not _State.EPILOGUE:
            raise malformed("it ends before its last boundary")

    def _step(self) -> Event | None:
        """One event, a change of the state, or neither, where more bytes are needed for both."""
        match self._state:
            case _State.PREAMBLE:
                self._content()
            case _State.BOUNDARY:
                self._behind_boundary()
            case _State.HEADERS:
                return self._headers()
            case _State.CONTENT:
                return self._content() or None
            case _State.EPILOGUE:
                self._buffer.clear()
        return None

    def _content(self) -> bytes:
        """What comes before a boundary, or before what may become one."""
        end = self._buffer.find(self._delimiter)
        if end >= 0:
            self._state = _State.BOUNDARY
            content = self._take(end)
            self._take(len(self._delimiter))
            return content
        return self._take(max(0, len(self._buffer) - len(self._delimiter) + 1))

    def _behind_boundary(self) -> None:
        if self._buffer.startswith(b"--"):
            self._state = _State.EPILOGUE
            return
        end = self._buffer.find(LINE)
        padding = self._buffer[: end if end >= 0 else None]
        if len(padding) > MAXIMUM_PADDING or padding.strip(b" \t\r-"):
            raise malformed("there is something behind a boundary")
        if end >= 0:
            if padding.strip(b" \t"):
                raise malformed("there is something behind a boundary")
            self._take(end)  # the line's end belongs to the headers: there may be none
            self._state = _State.HEADERS

    def _headers(self) -> Part | None:
        end = self._buffer.find(LINE + LINE)
        if end > MAXIMUM_HEADERS or (end < 0 and len(self._buffer) > MAXIMUM_HEADERS):
            raise malformed("the headers of a part are too long")
        if end < 0:
            return None
        headers = self._take(end).decode(errors="replace")
        self._take(len(LINE + LINE))
        self._state = _State.CONTENT
        return _part_of(headers)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def _part_of(headers: str) -> Part:
    for line in headers.split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() != "content-disposition":
            continue
        try:
            kind, options = parse_header_parameters(value)
        except ValueError:
            break
        if kind == "form-data" and "name" in options:
            part = Part(options["name"], options.get("filename"))
            if HALF.search(part.name + (part.filename or "")):
                raise malformed("a name in it is no text")
            return part
    raise malformed("a part of it has no name")


def malformed(what: str) -> ApiError:
    return ApiError(f"We could not parse the multipart body of your request: {what}.", code="invalid_multipart")
