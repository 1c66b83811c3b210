"""Files, and stores with files in them that are ingested, without storage and workers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction

from assistants.knowledge.chunking import Chunk
from assistants.knowledge.models import File, IngestionStatus, StoreFile, VectorStore
from assistants.knowledge.retrieval import indexing
from assistants.knowledge.services import members, stores
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.core.ids import new_id


def apart(texts: Iterable[str]) -> list[Chunk]:
    """Chunks that repeat nothing of each other."""
    found: list[Chunk] = []
    for text in texts:
        found.append(Chunk(text, 10, found[-1].start + len(found[-1].text) if found else 0))
    return found


def a_file(project: Project, name: str = "notes.txt") -> File:
    """The row of an uploaded file."""
    return File.objects.create(
        project=project, purpose="assistants", filename=name, bytes=21, sha256="0" * 64, storage_key=new_id("")
    )


def some_files(project: Project, number: int) -> list[str]:
    """Ids of new files, in the order in which they were made."""
    return [a_file(project, f"file_{index}.txt").id for index in range(number)]


def ingested(member: StoreFile, *texts: str) -> StoreFile:
    """What a worker makes of a file in a store that is waiting."""
    return indexed(member, apart(texts))


def indexed(member: StoreFile, chunks: Sequence[Chunk]) -> StoreFile:
    with transaction.atomic():
        VectorStore.objects.select_for_update().get(pk=member.store_id)
        member.usage_bytes = indexing.add(member, chunks, None, "")
        member.status = IngestionStatus.COMPLETED
        member.save()
    return member


def failed(member: StoreFile) -> StoreFile:
    member.status, member.error_code, member.error_message = IngestionStatus.FAILED, "invalid_file", "It is broken."
    member.save()
    return member


def a_store(
    principal: Principal, project: Project, texts: Sequence[str] = (), attributes: Sequence[dict[str, Any]] = ()
) -> VectorStore:
    """A store with one ingested file for each text; ``attributes`` are those of the first of them."""
    store = stores.create_store(principal=principal)
    for number, text in enumerate(texts):
        said = attributes[number] if number < len(attributes) else None
        file = members.NewFile(a_file(project, f"{number}.txt").id, said)
        ingested(*members.attach_files(principal=principal, store_id=store.id, files=[file]), text)
    store.refresh_from_db()
    return store
