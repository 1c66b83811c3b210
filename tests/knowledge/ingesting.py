"""Uploaded files in stores, a worker in the test's own loop that ingests them, and an embedder that obeys."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO, Any

import numpy as np

from assistants.knowledge import chunking, storage
from assistants.knowledge.embedding import Space
from assistants.knowledge.ingestion.worker import IngestionWorker
from assistants.knowledge.models import Chunk, File, IngestionStatus, MemberVectors, StoreFile, VectorStore
from assistants.knowledge.parsing import process
from assistants.knowledge.services import files, members, stores
from assistants.knowledge.services.filling import NewFile
from sovereign.accounts.principals import Principal
from sovereign.core.database import now
from tests.runs.support import Gate, until

TEXT = "Invoices are paid within thirty days.\n\nThe warranty lasts two years."
STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}


@dataclass
class Embedder:
    """Stands for ``knowledge.embedding``: each call does the next of ``script``, an error or a gate, and then works."""

    space: Space | None = field(default_factory=lambda: Space("tests/embedder", "", 3))
    script: list[Any] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)

    async def current_space(self, project_id: str | None) -> Space | None:
        return self.space

    async def embed(self, texts: list[str], space: Space, attribution: Any) -> np.ndarray:
        self.calls.append(texts)
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        if isinstance(step, Gate):
            step.reached.set()
            await step.opened.wait()
        return np.ones((len(texts), space.width), np.float32) / np.sqrt(space.width)


def upload(principal: Principal, data: bytes | str = TEXT, name: str = "notes.txt") -> File:
    data = data.encode() if isinstance(data, str) else data
    stored = storage.save([data])
    return files.create_file(principal=principal, purpose="assistants", filename=name, stored=stored)


def attach(principal: Principal, store: VectorStore, file: File, **said: Any) -> StoreFile:
    [member] = members.attach_files(principal=principal, store_id=store.id, files=[NewFile(file.id, **said)])
    return member


def store_with(principal: Principal, *contents: bytes | str, name: str = "notes.txt", **said: Any) -> list[StoreFile]:
    """The rows of fresh files in a fresh store."""
    store = stores.create_store(principal=principal)
    return [attach(principal, store, upload(principal, content, name), **said) for content in contents]


def fresh(member: StoreFile) -> StoreFile:
    return StoreFile.objects.get(pk=member.pk)


async def read(
    content: IO[bytes], filename: str, *, maximum: int, overlap: int, meanwhile: process.Meanwhile | None = None
) -> list[chunking.Chunk]:
    """As ``parsing.process`` reads a text, without a process."""
    found = list(chunking.chunks(content.read().decode(), maximum=maximum, overlap=overlap))
    if meanwhile is not None:
        await meanwhile(found)
    return found


def _if_over(member: StoreFile) -> StoreFile | None:
    return StoreFile.objects.filter(pk=member.pk).exclude(status=IngestionStatus.IN_PROGRESS).first()


async def over(member: StoreFile) -> StoreFile:
    """The file once it is in progress no more."""
    return await until(lambda: _if_over(member))  # type: ignore[no-any-return]


def indexed(member: StoreFile) -> tuple[list[str], int]:
    """The texts of a file's chunks, and how many rows of vectors it has."""
    texts = list(Chunk.objects.filter(member=member).order_by("position").values_list("text", flat=True))
    return texts, MemberVectors.objects.filter(member=member).count()


def age_lease(member: StoreFile) -> None:
    """As if the heart of its worker had stopped a while ago."""
    StoreFile.objects.filter(pk=member.pk).update(lease_expires_at=now() - timedelta(seconds=1))


@contextlib.asynccontextmanager
async def working(*, drain: float = 0.0) -> AsyncIterator[IngestionWorker]:
    """A worker in the running loop, stopped in good order at the end."""
    stop, worker = asyncio.Event(), IngestionWorker(drain=drain)
    task = asyncio.create_task(worker.run(stop))
    try:
        yield worker
    finally:
        stop.set()
        await task
