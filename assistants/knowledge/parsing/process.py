"""The process that reads a document, from outside: started, waited for, and ended for certain."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from typing import IO, Any

import structlog

from assistants.knowledge.chunking import Chunk
from assistants.knowledge.parsing import forkclient, wire
from assistants.knowledge.parsing.formats import extension_of, is_supported
from assistants.knowledge.parsing.reasons import MAXIMUM_CHUNKS, MAXIMUM_TEXT, MAXIMUM_TOKENS, Reason

log = structlog.get_logger(__name__)

TIMEOUT = 300.0  # seconds, on a machine that does other things too
LOOK = 0.02  # seconds, after which it is looked whether there are more chunks
SHOWN = 1_000  # bytes at the end of what a parser complains of: in the log only

Meanwhile = Callable[[list[Chunk]], Awaitable[None]]

UNSUPPORTED, INVALID = "unsupported_file", "invalid_file"
MEGABYTES = MAXIMUM_TEXT // 1024**2
TIME_IS_OVER = "Reading the file takes too long: it is too large or too complex."
SENTENCES = {
    Reason.BROKEN: "The file is damaged, or is not what its extension says.",
    Reason.ENCODING: "The file is not text in UTF-8, UTF-16 or ASCII.",
    Reason.PROTECTED: "The file is protected with a password, or is in an older format than its extension says.",
    Reason.NO_TEXT: "The file has no text. Pages that were scanned have to go through text recognition (OCR) first.",
    Reason.BOMB: "The file unpacks to far more than it is, and is not read.",
    Reason.TOO_MUCH_TEXT: f"The file has more than {MEGABYTES} MB of text.",
    Reason.TOO_MANY_TOKENS: f"The file has more than {MAXIMUM_TOKENS:,} tokens.",
    Reason.TOO_COMPLEX: "The file is too complex: reading it takes too much memory.",
    Reason.TOO_MANY_CHUNKS: f"The file makes more than {MAXIMUM_CHUNKS:,} chunks: choose larger ones.",
}


class ParsingFailed(Exception):
    """The document gives no text, and will not give any when it is tried again.

    :param code: ``unsupported_file`` or ``invalid_file``.
    :param message: a sentence for who uploaded it.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


async def read(
    document: IO[Any], filename: str, *, maximum: int, overlap: int, meanwhile: Meanwhile | None = None
) -> list[Chunk]:
    """The chunks of a document's text, one or more, without NUL and halves of characters.

    :param document: an open file of the system's, read from its beginning.
    :param filename: its extension decides how the document is read.
    :param maximum: tokens of a chunk; ``overlap`` of them at most are the end of the one before.
    :param meanwhile: is given the chunks, some at a time and in order, while the next are cut; what it raises ends the
        reading. Only when all is read it is known that the document was sound.
    :raises ParsingFailed: why there is no text.
    :raises OSError: no process can be started, the system ended it (it does when memory is short), or there is no room
        for what it writes: another time, perhaps.
    """
    extension = extension_of(filename)
    if not is_supported(filename):
        what = f"'.{extension[:20]}'" if extension else "without an extension"
        raise ParsingFailed(UNSUPPORTED, f"Files {what} cannot be searched: their format is not supported.")
    os.lseek(document.fileno(), 0, os.SEEK_SET)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        reading = _Reading(wire.Reading(output.fileno(), maximum), meanwhile)
        status = await reading.until(_run(document, output, errors, extension, maximum, overlap))
        if status == 0:
            return reading.chunks
        errors.seek(-min(SHOWN, errors.seek(0, os.SEEK_END)), os.SEEK_END)
        log.info("document_unreadable", extension=extension, status=status, errors=errors.read(SHOWN).decode("latin-1"))
    if status in (Reason.NO_ROOM, -signal.SIGKILL):
        raise OSError(f"the reader of the document ended with status {status}")
    raise ParsingFailed(INVALID, _sentence(status))


class _Reading:
    """Takes chunks as they come."""

    def __init__(self, source: wire.Reading, meanwhile: Meanwhile | None) -> None:
        self._source, self._meanwhile = source, meanwhile
        self.chunks: list[Chunk] = []

    async def until(self, process: Coroutine[Any, Any, int | None]) -> int | None:
        """The exit status, when all chunks are taken; where that fails nothing of the process is left.

        :raises ParsingFailed: what came is not what the reader writes.
        """
        running = asyncio.create_task(process)
        try:
            while not running.done():
                await asyncio.wait([running], timeout=LOOK)
                await self._take()
            status = running.result()
            if status == 0:
                await self._take()
                self._source.finish()
            return status
        except ValueError:
            raise ParsingFailed(INVALID, SENTENCES[Reason.BROKEN]) from None
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def _take(self) -> None:
        some = await asyncio.to_thread(self._source.more)
        self.chunks += some
        if some and self._meanwhile is not None:
            await self._meanwhile(some)


def _sentence(status: int | None) -> str:
    if status in (None, -signal.SIGXCPU):
        return TIME_IS_OVER
    try:
        return SENTENCES[Reason(status)]
    except ValueError:  # the parser failed as nobody foresaw
        return SENTENCES[Reason.BROKEN]


async def _run(document: IO[Any], output: IO[bytes], errors: IO[bytes], *how: Any) -> int | None:
    """The exit status; ``None`` where the time was over. Nothing of the process is left, also when cancelled."""
    try:
        async with asyncio.timeout(TIMEOUT):
            return await forkclient.status_of([file.fileno() for file in (document, output, errors)], *how)
    except TimeoutError:
        return None
