"""The server's side of the pipes to a session. Nothing that comes out is believed: the code may have said it."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import struct
from collections.abc import AsyncGenerator
from typing import Any

import orjson

HEADER = struct.Struct(">cI")
DOCUMENT, DATA, PICTURE = b"J", b"D", b"P"
PIECE = 256 * 1024  # bytes of a frame of data that we send
FORGED = "it wrote into the interpreter's own pipe"
READ = 64 * 1024  # bytes of logs taken at once
MARK = b"\xff"  # among what is printed: the picture that is sent next stands here. In UTF-8 there is no such byte.
LONGEST_DOCUMENT = 1024**2  # bytes; a thousand files with long names


class Broken(Exception):
    """What came is not what a runner sends, or nothing comes any more."""


class Frames:
    """Frames of one session, both ways.

    :param longest: bytes of the longest picture or piece of data that is taken.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, longest: int) -> None:
        self._reader, self._writer = reader, writer
        self._reading = asyncio.Lock()  # a reader has one at a time, and who ends a session may meet who waits for it
        self._longest = {DOCUMENT: LONGEST_DOCUMENT, DATA: PIECE, PICTURE: longest}

    async def receive(self) -> tuple[bytes, bytes]:
        """The next frame's kind and content.

        :raises Broken: there is none.
        """
        try:
            async with self._reading:
                kind, size = HEADER.unpack(await self._reader.readexactly(HEADER.size))
                if size > self._longest.get(kind, -1):
                    raise Broken(FORGED)
                return kind, await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Broken("its process ended") from error

    async def exhaust(self) -> None:
        """Take what still comes, until nobody is there any more who could send something."""
        with contextlib.suppress(OSError):
            async with self._reading:
                while await self._reader.read(1024**2):
                    pass

    async def document(self) -> dict[str, Any]:
        """:raises Broken: the next frame is no JSON object."""
        kind, content = await self.receive()
        return parsed(kind, content)

    async def data(self, size: int) -> AsyncGenerator[bytes, None]:
        """A file in pieces.

        :raises Broken: other frames come, or more than was said.
        """
        left = size
        while left > 0:
            kind, content = await self.receive()
            left -= len(content)
            if kind != DATA or not content or left < 0:
                raise Broken("a file was not as long as it said")
            yield content

    async def send(self, document: dict[str, Any]) -> None:
        """:raises Broken: nobody takes it."""
        await self._send(DOCUMENT, orjson.dumps(document))

    async def send_data(self, content: bytes) -> None:
        """:raises Broken: nobody takes it."""
        for start in range(0, len(content), PIECE):
            await self._send(DATA, content[start : start + PIECE])

    async def _send(self, kind: bytes, content: bytes) -> None:
        try:
            self._writer.write(HEADER.pack(kind, len(content)) + content)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise Broken("its process ended") from error


def parsed(kind: bytes, content: bytes) -> dict[str, Any]:
    """:raises Broken: it is no JSON object."""
    try:
        document = orjson.loads(content)
    except ValueError as error:
        raise Broken(FORGED) from error
    if kind != DOCUMENT or not isinstance(document, dict):
        raise Broken(FORGED)
    return document


class Printed:
    """The pipe that everything in a session prints to, as text.

    It is read by hand, so that what was printed before a frame was sent is there when the frame is. A mark keeps what
    was printed behind a picture from being taken before it.
    """

    def __init__(self) -> None:
        self._source, self.target = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._source, False)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = b""  # from a mark on
        self._closed = False
        self.taken = 0
        self.ended = False

    def take(self, *, to_its_end: bool = False) -> str:
        """What is there now up to a mark; ``""`` where nothing is. Reads at most ``READ`` bytes.

        :param to_its_end: marks stand for nothing: the code has written them itself.
        """
        content = b""
        with contextlib.suppress(BlockingIOError):
            content = os.read(self._source, READ) if not self.ended else b""
            self.ended = not content
        self.taken += len(content)
        self._held += content
        text = self._held if to_its_end else self._held.partition(MARK)[0]
        self._held = self._held[len(text) :]
        return self._decoder.decode(text, final=self.ended and not self._held).replace(
            "\0", "\N{REPLACEMENT CHARACTER}"
        )

    def pass_mark(self) -> None:
        """What stands behind it is next."""
        self._held = self._held.removeprefix(MARK)

    async def wait(self) -> None:
        """Until there is something, or nothing will ever be."""
        if self._closed or (self._held and not self._held.startswith(MARK)):
            return
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._source, ready.set)
        try:
            await ready.wait()
        finally:
            if not self._closed:  # the number may be another one's by now
                loop.remove_reader(self._source)

    def forget_target(self) -> None:
        """The other end is the session's now."""
        os.close(self.target)

    def close(self) -> None:
        """Nothing is read any more; who waits notices by other things that the session has ended."""
        if not self._closed:
            self._closed = self.ended = True
            with contextlib.suppress(RuntimeError):  # no loop runs
                asyncio.get_running_loop().remove_reader(self._source)
            os.close(self._source)
