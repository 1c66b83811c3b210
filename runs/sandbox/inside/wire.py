"""Frames over two pipes: a kind, a length, that many bytes. The server's side is ``runs.sandbox.wire``."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from typing import Any

HEADER = struct.Struct(">cI")
DOCUMENT, DATA, PICTURE = b"J", b"D", b"P"
PIECE = 256 * 1024  # bytes of a frame of data, at most
MARK = b"\xff"  # among what is printed: the picture that is sent next stands here. In UTF-8 there is no such byte.


class Wire:
    """:param source: the descriptor that frames come from; ``target``: the one that they go to."""

    def __init__(self, source: int, target: int) -> None:
        self._source, self._target = source, target

    def receive(self) -> dict[str, Any]:
        """:raises EOFError: the server is gone."""
        document: dict[str, Any] = json.loads(self._frame())
        return document

    def receive_data(self, size: int) -> Iterator[bytes]:
        while size > 0:
            piece = self._frame()
            size -= len(piece)
            yield piece

    def send(self, document: dict[str, Any]) -> None:
        self.send_frame(DOCUMENT, json.dumps(document).encode())

    def send_frame(self, kind: bytes, content: bytes) -> None:
        rest = memoryview(HEADER.pack(kind, len(content)) + content)
        while rest:
            rest = rest[os.write(self._target, rest) :]

    def _frame(self) -> bytes:
        _, size = HEADER.unpack(self._exactly(HEADER.size))
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size > 0:
            part = os.read(self._source, min(size, PIECE))
            if not part:
                raise EOFError
            size -= len(part)
            parts.append(part)
        return b"".join(parts)
