"""The work on one file: fetch its content, read and cut it, embed what was cut, and write all of it down at once."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import structlog
from django.db import Error as DatabaseError

from assistants.knowledge import embedding, storage
from assistants.knowledge.chunking import Chunk
from assistants.knowledge.ingestion import outcomes
from assistants.knowledge.ingestion.leases import Lease
from assistants.knowledge.models import StoreFile
from assistants.knowledge.parsing import process
from assistants.knowledge.retrieval.packing import Packing, TooManyWords
from inference.chat import Attribution, InferenceError
from sovereign.core.database import DatabaseExecutor
from sovereign.core.errors import ApiError

if TYPE_CHECKING:
    import numpy as np

log = structlog.get_logger(__name__)

RETRIES = 6  # about a minute: then keywords alone have to serve, or the file has failed
FIRST_DELAY = 1.0  # seconds until the second try, doubled for every further one
LONGEST_DELAY = 30.0
EMBEDDED_AT_ONCE = 128  # chunks between two looks at how far we are
TOLD_EVERY = 1.0  # seconds between two notes of the progress
FETCHED, READ, EMBEDDED = 5, 30, 95  # percent
PURPOSE = "ingestion"
AWAY = "The server could not fetch or read the content of the file just now."
GONE = "The content of the file is not there any more."
NO_ANSWER = "The embedding model did not answer; it is asked again."  # what it said is for the log: it names places
NO_VECTORS = "The embedding model did not answer: the search goes by keywords alone until it does."


class Passing(Exception):
    """Something that is not the file's fault, and may be over soon."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker has to know of a file."""

    store_id: str
    storage_key: str
    filename: str
    chunk_tokens: int
    overlap_tokens: int
    retries: int


class Ingestion:
    """One file's way into the search, under a lease."""

    def __init__(self, lease: Lease, database: DatabaseExecutor) -> None:
        self._lease, self._database = lease, database
        self._told = time.monotonic()

    async def run(self) -> None:
        """To the end, whatever it is; what is raised is the database's, or a mistake."""
        job = await self._database.run(_job, self._lease)
        if job is None:
            return  # deleted, or taken by another
        try:
            # all of it before the transaction, in which others cannot write; words first: they may be too many
            packing = Packing(job.store_id)
            chunks = await self._chunks(job, packing)
            packed = await self._database.run(packing.packed)
            vectors, space, note = await self._vectors(chunks, job)
        except process.ParsingFailed as failure:
            await self._fail(failure.code, failure.message)
        except TooManyWords as refusal:
            await self._fail(process.INVALID, str(refusal))
        except Passing as reason:
            await self._again(job, str(reason))
        else:
            if await self._database.run(outcomes.complete, self._lease, chunks, packed, vectors, space, note):
                log.info("file_ingested", member=self._lease.member_id, chunks=len(chunks), space=space)

    async def _chunks(self, job: _Job, packing: Packing) -> list[Chunk]:
        """Their words are taken apart while the next ones are cut: the reader is a process of its own.

        :raises ParsingFailed: the file gives none. :raises Passing: the machine or the storage is at fault.
        :raises TooManyWords: see ``packing``.
        """

        async def pack(some: list[Chunk]) -> None:
            await self._database.run(packing.add, [chunk.text for chunk in some], [chunk.start for chunk in some])

        try:
            with await self._database.run(_content, job.storage_key) as content:
                await self._tell(FETCHED)
                return await process.read(
                    content, job.filename, maximum=job.chunk_tokens, overlap=job.overlap_tokens, meanwhile=pack
                )
        except FileNotFoundError:
            raise process.ParsingFailed(outcomes.SERVER_ERROR, GONE) from None
        except (ApiError, OSError) as error:
            log.warning("file_not_fetched", member=self._lease.member_id, error=str(error))
            raise Passing(AWAY) from error

    async def _vectors(self, chunks: list[Chunk], job: _Job) -> tuple[np.ndarray | None, str, str]:
        """Vectors, the name of their space, and what is to be known where there are none.

        :raises Passing: a model that should make them does not answer, and has not for long.
        """
        try:
            space = await embedding.current_space(self._lease.project_id)
            if space is None:
                return None, "", embedding.why_not()
            texts = [chunk.text for chunk in chunks]
            return await self._embed(texts, space), space.name, ""
        except InferenceError as error:
            log.warning("file_not_embedded", member=self._lease.member_id, error=error.message)
            if job.retries < RETRIES:
                raise Passing(NO_ANSWER) from error
            return None, "", NO_VECTORS

    async def _embed(self, texts: list[str], space: embedding.Space) -> np.ndarray:
        """Vectors float32 [texts][width], made piece by piece."""
        import numpy as np

        made = []
        for start in range(0, len(texts), EMBEDDED_AT_ONCE):
            made.append(await embed(texts[start : start + EMBEDDED_AT_ONCE], space, self._lease.project_id))
            await self._tell(READ + (EMBEDDED - READ) * (start + len(made[-1])) // len(texts))
        return np.concatenate(made)

    async def _fail(self, code: str, message: str) -> None:
        await self._database.run(outcomes.fail, self._lease, code, message)
        log.info("file_failed", member=self._lease.member_id, code=code)

    async def _again(self, job: _Job, reason: str) -> None:
        if job.retries >= RETRIES:
            await self._fail(outcomes.SERVER_ERROR, reason)
            return
        seconds = delay(job.retries)
        await self._database.run(outcomes.postpone, self._lease, seconds, reason)
        log.info("file_postponed", member=self._lease.member_id, seconds=seconds)

    async def _tell(self, percent: int) -> None:
        """Write down how far we are, now and then; nothing is lost where that fails."""
        if time.monotonic() - self._told < TOLD_EVERY:
            return
        self._told = time.monotonic()
        try:
            await self._database.run(outcomes.progress, self._lease, percent)
        except DatabaseError as error:
            log.warning("progress_not_told", error=type(error).__name__)


async def embed(texts: list[str], space: embedding.Space, project_id: str) -> np.ndarray:
    """Vectors float32 [texts][width], on the account of the project whose files they are."""
    return await embedding.embed(texts, space, Attribution(project=project_id, purpose=PURPOSE))


def delay(retries: int) -> float:
    """Seconds to the next try after so many."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0**retries)


def _job(lease: Lease) -> _Job | None:
    member = StoreFile.objects.select_related("file").filter(pk=lease.member_id, lease_epoch=lease.epoch).first()
    if member is None:
        return None
    return _Job(
        store_id=member.store_id,
        storage_key=member.file.storage_key,
        filename=member.file.filename,
        chunk_tokens=member.chunk_tokens,
        overlap_tokens=member.overlap_tokens,
        retries=member.retry_count,
    )


def _content(key: str) -> IO[Any]:
    """The content as an open file of the system's: the stored one itself, or a copy that nobody else knows.

    :raises OSError: it cannot be fetched, or there is no room for the copy.
    """
    stream = storage.open_stream(key)
    if _is_regular(stream):
        return stream
    with closing(stream), ExitStack() as undo:
        copy = undo.enter_context(tempfile.TemporaryFile())
        try:
            shutil.copyfileobj(stream, copy, storage.PIECE)
        except OSError:
            raise
        except Exception as error:  # a library's own, of a connection that breaks
            raise OSError(str(error)) from error
        copy.flush()
        undo.pop_all()
    return copy


def _is_regular(stream: IO[Any]) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (AttributeError, OSError):
        return False
