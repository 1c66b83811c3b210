"""One Python in a sandbox of its own."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from runs.sandbox.bubblewrap import DATA
from runs.sandbox.execution import Execution, sentence
from runs.sandbox.limits import Limits
from runs.sandbox.outputs import Ended, Ending, FileRefused, FileState, Output, SandboxUnavailable
from runs.sandbox.process import Inmates
from runs.sandbox.watching import Background
from runs.sandbox.wire import FORGED, Broken

LONGEST_CODE = 512 * 1024  # characters
LONGEST_STEM, LONGEST_EXTENSION = 100, 20  # characters of a name, 4 bytes each at most
LONGEST_PATH = 1_000  # characters
MOST_FILES = 1_000
LARGEST = 2**63 - 1
UNSAFE = re.compile(r"[^\w.()+=@ -]+")
GONE = "Its variables and files are gone."
HAS_ENDED = "The session of the code interpreter has ended."


class Session:
    """One Python in a sandbox of its own, with variables that stay, and files at ``/mnt/data``.

    It does one thing after the other. What breaks off in the middle (a time-out, a cancelled caller) ends it.

    :ivar id: no other one's, on any machine.
    :ivar fresh: made by this call of ``Sandbox.session``: variables and files of earlier ones are gone.
    """

    def __init__(self, inmates: Inmates, limits: Limits, *, owner: str = "") -> None:
        self.owner = owner
        self.id = secrets.token_hex(8)
        self.fresh = True
        self._inmates, self._limits = inmates, limits
        self._turn = asyncio.Lock()
        self.used_at = asyncio.get_running_loop().time()
        self._background: Background | None = None

    @property
    def is_alive(self) -> bool:
        return self._inmates.is_alive

    @property
    def is_busy(self) -> bool:
        return self._turn.locked()

    async def put(self, name: str, pieces: Iterable[bytes], *, size: int) -> str:
        """Put a file in.

        :param name: what people call it; it is made safe and unique inside.
        :param pieces: taken in a thread, one after the other; it may raise ``FileRefused``, which ends the session
            unless it is for the first one.
        :param size: bytes that there are.
        :returns: its path below ``/mnt/data``.
        :raises FileRefused: it is too large, or there is no room.
        :raises SandboxUnavailable: the session has ended.
        """
        if size > self._limits.disk:
            raise FileRefused(f"The file has {size:,} bytes, and {self._limits.disk:,} fit into the sandbox.")
        source = iter(pieces)
        piece = await asyncio.to_thread(next, source, b"")
        async with self._exchange({"do": "put", "name": safe_name(name), "size": size}):
            await self._send(piece, source, size)
            return _path((await self._answer()).get("path"))

    async def read(self, path: str, take: Callable[[bytes], Awaitable[object]], *, maximum: int = 0) -> None:
        """
        :param take: gets the content, piece by piece; it may raise ``FileRefused``.
        :param maximum: bytes; 0: as large as a file in the sandbox may be.
        :raises FileRefused: it is no regular file below ``/mnt/data``, or too large.
        :raises SandboxUnavailable: the session has ended.
        """
        most = min(maximum or self._limits.disk, self._limits.disk)
        if len(path) > LONGEST_PATH or "\0" in path:
            raise FileRefused("There is no such file.")
        async with self._exchange({"do": "read", "path": _encodable(path), "maximum": most}):
            size = (await self._answer()).get("size")
            if type(size) is not int or not 0 <= size <= most:
                raise Broken(FORGED)
            refusal: FileRefused | None = None
            async for piece in self._inmates.frames.data(size):
                try:
                    if refusal is None:
                        await take(piece)
                except FileRefused as refused:  # what comes still has to be taken from the pipe
                    refusal = refused
            if refusal is not None:
                raise refusal

    async def files(self) -> dict[str, FileState]:
        """Regular files below ``/mnt/data`` by their paths, at most 1,000.

        :raises SandboxUnavailable: the session has ended.
        """
        async with self._exchange({"do": "files"}):
            listed = (await self._answer()).get("files")
            if not isinstance(listed, list) or len(listed) > MOST_FILES:
                raise Broken(FORGED)
            return dict(map(_file, listed))

    async def run(self, code: str, *, seconds: float) -> AsyncGenerator[Output, None]:
        """Run code, as a cell of a notebook; the last output is an ``Ended``, always.

        Who leaves the iteration early closes it (``contextlib.aclosing``), and the session ends with it.
        """
        if len(code) > LONGEST_CODE:
            yield Ended("error", f"The code is longer than {LONGEST_CODE:,} characters.")
            return
        async with self._turn:
            whole = False
            try:
                async with aclosing(self._run(_encodable(code), seconds)) as outputs:
                    async for output in outputs:
                        whole = whole or isinstance(output, Ended)
                        yield output
            finally:
                self._touch()
                if not whole:
                    await self.close()

    async def close(self) -> None:
        """End it with everything in it. Any number of times."""
        await self._inmates.end()

    async def uses_too_much(self) -> bool:
        """Whether something in it goes on while nobody asked for anything; to be looked at again and again."""
        if self.is_busy or not self.is_alive:
            return False
        background = self._background = self._background or Background()
        use = await asyncio.to_thread(self._inmates.use)
        if self.is_busy or self._background is not background:  # somebody asked for something meanwhile
            return False
        background.note(use)
        return use.memory > self._limits.memory or background.processor > self._limits.idle_processor

    def _touch(self) -> None:
        self.used_at = asyncio.get_running_loop().time()
        self._background = None

    async def _send(self, piece: bytes, others: Iterator[bytes], size: int) -> None:
        """:raises Broken: there is not as much as was said, or nobody takes it."""
        while piece:
            size -= len(piece)
            if size < 0:
                break
            await self._inmates.frames.send_data(piece)
            try:
                piece = await asyncio.to_thread(next, others, b"")
            except FileRefused as refused:
                raise Broken(str(refused)) from refused
        if size:
            raise Broken("the file was not as long as it was said to be")

    @asynccontextmanager
    async def _exchange(self, request: dict[str, Any]) -> AsyncIterator[None]:
        """A request about a file, and the time that its answer may take."""
        async with self._turn:
            if not self.is_alive:
                raise SandboxUnavailable(HAS_ENDED)
            try:
                async with asyncio.timeout(self._limits.file):
                    await self._inmates.frames.send(request)
                    yield
            except FileRefused:
                raise
            except (Broken, TimeoutError):
                await self.close()
                raise SandboxUnavailable(HAS_ENDED) from None
            except BaseException:
                await self.close()
                raise
            finally:
                self._touch()

    async def _answer(self) -> dict[str, Any]:
        """:raises FileRefused: with the runner's reason."""
        answer = await self._inmates.frames.document()
        if "refused" in answer:
            raise FileRefused(sentence(answer["refused"]))
        return answer

    async def _run(self, code: str, seconds: float) -> AsyncGenerator[Output, None]:
        if not self.is_alive:
            yield Ended("killed", HAS_ENDED)
            return
        execution = Execution(self._inmates, self._limits, seconds)
        try:
            async with aclosing(execution.outputs(code)) as outputs:
                async for output in outputs:
                    yield output
            return
        except Broken as error:
            ending: tuple[Ending, str] = ("killed", f"The code was broken off: {error}.")
            how, message = execution.stopped_for or ending
        await self.close()
        yield Ended(how, f"{message} {GONE}")


def safe_name(name: str) -> str:
    """A name for a file inside: no folders, nothing hidden, nothing that shells or terminals take for more than a name.

    >>> safe_name("../../etc/pass\\nwd (1).txt")
    'pass_wd (1).txt'
    """
    last = UNSAFE.sub("_", _encodable(name).replace("\\", "/").rpartition("/")[2]).strip(". ")
    stem, dot, extension = last.rpartition(".")
    if not dot:
        stem, extension = last, ""
    return f"{stem[:LONGEST_STEM] or 'file'}{dot}{extension[:LONGEST_EXTENSION]}"


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


def _path(value: object) -> str:
    """:raises Broken: it is no path of a file below ``/mnt/data``."""
    if not isinstance(value, str) or not value.startswith(f"{DATA}/") or len(value) > LONGEST_PATH or "\0" in value:
        raise Broken(FORGED)
    return value


def _file(value: object) -> tuple[str, FileState]:
    """:raises Broken: it is no path, size and time."""
    match value:
        case [path, int() as size, int() as changed] if 0 <= size <= LARGEST and 0 <= changed <= LARGEST:
            return _path(path), FileState(size, changed)
    raise Broken(FORGED)
