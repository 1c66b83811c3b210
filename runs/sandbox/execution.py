"""One piece of code, from being sent to its end: what it prints and shows as it comes, and what it may not do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import Any

from runs.sandbox.limits import MIB, Limits
from runs.sandbox.outputs import Ended, Ending, Image, Logs, Output
from runs.sandbox.process import Inmates
from runs.sandbox.wire import FORGED, PICTURE, Broken, parsed

WATCH = 0.05  # seconds between two looks at what the code uses
SLACK = 64 * 1024  # bytes that may be printed beside what the code prints: its traceback
LONGEST_MESSAGE = 500  # characters
PNG = b"\x89PNG\r\n\x1a\n"


class Execution:
    """:ivar stopped_for: kind and sentence, where ``outputs`` ended with ``Broken`` because of what the code did."""

    def __init__(self, inmates: Inmates, limits: Limits, seconds: float) -> None:
        self._inmates, self._limits, self._seconds = inmates, limits, seconds
        self._until = asyncio.get_running_loop().time() + seconds + limits.grace
        self._images = 0
        self.stopped_for: tuple[Ending, str] | None = None

    async def outputs(self, code: str) -> AsyncGenerator[Output, None]:
        """
        :raises Broken: nothing more will come of this session: it has to be ended.
        """
        self._inmates.printed.taken = 0
        frame = asyncio.create_task(self._first(code))
        watch = asyncio.create_task(self._watch())
        try:
            while True:
                await self._something(frame, watch)
                has_frame = frame.done()  # before looking at what was printed, which then is all that came before it
                is_picture = has_frame and frame.exception() is None and frame.result()[0] == PICTURE
                async for logs in self._logs(all_of_it=has_frame, to_its_end=has_frame and not is_picture):
                    yield logs
                if not has_frame:
                    self._check(watch)
                    continue
                output = self._meaning(*self._received(frame))
                if is_picture:
                    self._inmates.printed.pass_mark()
                if isinstance(output, Ended):
                    yield replace(output, unseen=max(0, self._images - self._limits.images))
                    return
                if output is not None:
                    yield output
                frame = asyncio.create_task(self._inmates.frames.receive())
        finally:
            await _cancelled(frame, watch)

    async def _first(self, code: str) -> tuple[bytes, bytes]:
        await self._inmates.frames.send({"do": "run", "code": code, "seconds": self._seconds})
        return await self._inmates.frames.receive()

    async def _something(self, *tasks: asyncio.Task[Any]) -> None:
        """Wait until there is something to look at, or the time is over."""
        printed = asyncio.create_task(self._inmates.printed.wait())
        try:
            left = self._until - asyncio.get_running_loop().time()
            await asyncio.wait({printed, *tasks}, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancelled(printed)

    async def _logs(self, *, all_of_it: bool, to_its_end: bool) -> AsyncIterator[Logs]:
        """What was printed up to where the next picture stands, or ``to_its_end``.

        :raises Broken: that is too much.
        """
        more = True
        while more:
            text = self._inmates.printed.take(to_its_end=to_its_end)
            more = all_of_it and text != ""
            if text:
                yield Logs(text)
            if self._inmates.printed.taken > self._limits.output + SLACK:
                raise self._stopped("output", self._too_much_output)

    def _check(self, watch: asyncio.Task[None]) -> None:
        """:raises Broken: the code is to be stopped."""
        if watch.done():
            raise self._stopped("memory", self._too_much_memory)
        if asyncio.get_running_loop().time() > self._until:
            raise self._stopped("timeout", self._too_long)

    async def _watch(self) -> None:
        """Ends when too much memory is used."""
        while (await asyncio.to_thread(self._inmates.use)).memory <= self._limits.memory:
            await asyncio.sleep(WATCH)

    def _received(self, frame: asyncio.Task[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
        try:
            return frame.result()
        except Broken:
            if self._inmates.met_lack_of_memory():
                raise self._stopped("memory", self._too_much_memory) from None
            raise

    def _meaning(self, kind: bytes, content: bytes) -> Image | Ended | None:
        """:raises Broken: it is nothing that a runner says."""
        if kind == PICTURE:
            self._images += 1
            if not content.startswith(PNG):
                raise Broken(FORGED)
            return Image(content) if self._images <= self._limits.images else None
        document = parsed(kind, content)
        message = document.get("message")
        match document.get("ended"):
            case "ok":
                return Ended("ok")
            case "error":
                return Ended("error", sentence(message))
            case "timeout":
                return Ended("timeout", self._too_long)
            case "memory":
                return Ended("memory", self._too_much_memory)
            case "output":
                return Ended("output", self._too_much_output)
        raise Broken(FORGED)

    def _stopped(self, how: Ending, why: str) -> Broken:
        self.stopped_for = how, why
        return Broken(why)

    @property
    def _too_long(self) -> str:
        return f"The code was stopped: it may take {self._seconds:g} seconds."

    @property
    def _too_much_memory(self) -> str:
        return f"The code was stopped: it may use {self._limits.memory / MIB:g} MB of memory."

    @property
    def _too_much_output(self) -> str:
        return f"The code was stopped: it may print {self._limits.output / MIB:g} MB."


def sentence(message: object) -> str:
    """One line of what a session says, without anything that databases refuse."""
    line = " ".join(str(message).replace("\0", "").split())
    return line.encode(errors="replace").decode()[:LONGEST_MESSAGE]


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(Broken):
        await asyncio.gather(*tasks, return_exceptions=True)
