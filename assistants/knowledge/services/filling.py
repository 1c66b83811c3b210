"""Putting files into a vector store whose row the caller has locked: what all ways of attaching have in common."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from django.db import transaction

from assistants.knowledge.models import File, FileBatch, IngestionStatus, StoreFile, VectorStore
from assistants.knowledge.models.stores import DEFAULT_CHUNK_TOKENS, DEFAULT_OVERLAP_TOKENS
from assistants.knowledge.retrieval import indexing
from sovereign.accounts.principals import Principal
from sovereign.core import bus, errors
from sovereign.core.database import now

MAXIMUM_FILES = 10_000  # of one store
#: What a file has again that is to be ingested once more; its epoch is raised, so that no worker finishes the old work.
AFRESH = {
    "status": IngestionStatus.IN_PROGRESS,
    "error_code": "",
    "error_message": "",
    "usage_bytes": 0,
    "progress": 0,
    "space": "",
    "note": "",
    "lease_owner": None,
    "lease_expires_at": None,
    "crash_count": 0,
    "retry_count": 0,
    "available_at": None,
}
CHANGED = (*AFRESH, "lease_epoch", "chunk_tokens", "overlap_tokens", "attributes", "batch")


class NewFile(NamedTuple):
    """A file for a store, with the contract's chunking strategy. ``None`` is the default, or what it is already."""

    file_id: str
    attributes: dict[str, Any] | None = None
    chunking: dict[str, Any] | None = None


def lock_files(*, principal: Principal, file_ids: Sequence[str]) -> None:
    """Keep files from being deleted until the end of the transaction. They are locked before any store.

    :raises ApiError: 404, for the first that is unknown or another project's.
    """
    visible = File.objects.visible_to(principal).filter(pk__in=set(file_ids)).order_by("pk")
    found = set(visible.select_for_update(no_key=True).values_list("pk", flat=True))
    for file_id in file_ids:
        if file_id not in found:
            raise errors.no_such_file(file_id)


def fill(store: VectorStore, files: Sequence[NewFile], batch: FileBatch | None = None) -> list[StoreFile]:
    """Put files, which are locked like the store, into it, and wake those who ingest them.

    A file that is in the store already stays what it is, but for what is said about it anew: attributes replace its
    attributes, another way of cutting or an earlier failure or cancellation makes it be ingested again, and it belongs
    to the newest batch that named it: to none where it was named alone since.

    :returns: the rows, in the order in which the files were first named.
    :raises ApiError: 400, the store would have too many files.
    """
    wanted = {file.file_id: file for file in files}
    members = StoreFile.objects.filter(store=store, file_id__in=wanted).order_by("id")
    known = {member.file_id: member for member in members.select_for_update(no_key=True)}
    fresh = [file for file in wanted.values() if file.file_id not in known]
    _check_room(store, len(fresh))
    rows = {row.file_id: row for row in _insert(store, fresh, batch)}
    _change([(member, wanted[file_id]) for file_id, member in known.items()], batch)
    store.last_active_at = now()
    store.save(update_fields=["last_active_at"])
    transaction.on_commit(partial(bus.publish, bus.FILES_WAITING, {"store": store.id}))
    return [rows.get(file_id) or known[file_id] for file_id in wanted]


def chunk_sizes(chunking: dict[str, Any] | None) -> tuple[int, int]:
    """Tokens of a chunk, and those it shares with its neighbour, of the contract's chunking strategy."""
    sizes = (chunking or {}).get("static")
    if sizes is None:
        return DEFAULT_CHUNK_TOKENS, DEFAULT_OVERLAP_TOKENS
    return sizes["max_chunk_size_tokens"], sizes["chunk_overlap_tokens"]


def _check_room(store: VectorStore, number: int) -> None:
    if number and store.files.count() + number > MAXIMUM_FILES:
        raise errors.ApiError(
            f"Vector store '{store.id}' cannot have more than {MAXIMUM_FILES} files.", code="vector_store_full"
        )


def _insert(store: VectorStore, files: Sequence[NewFile], batch: FileBatch | None) -> list[StoreFile]:
    beginning = _instant_after(store)
    rows = []
    for place, file in enumerate(files):
        tokens, overlap = chunk_sizes(file.chunking)
        row = StoreFile(store=store, file_id=file.file_id, batch=batch, chunk_tokens=tokens, overlap_tokens=overlap)
        row.attributes = file.attributes or {}
        row.created_at = beginning + timedelta(microseconds=place)  # lists keep the order that was asked for
        rows.append(row)
    return StoreFile.objects.bulk_create(rows)


def _instant_after(store: VectorStore) -> datetime:
    newest = store.files.order_by("-created_at").values_list("created_at", flat=True).first()
    instant = now()
    return instant if newest is None else max(instant, newest + timedelta(microseconds=1))


def _change(named: Sequence[tuple[StoreFile, NewFile]], batch: FileBatch | None) -> None:
    """Give files that are in the store already what was said about them now."""
    again = []
    for member, file in named:
        sizes = member.chunk_tokens, member.overlap_tokens
        wanted = sizes if file.chunking is None else chunk_sizes(file.chunking)
        is_ended_badly = member.status in (IngestionStatus.FAILED, IngestionStatus.CANCELLED)
        if wanted != sizes or is_ended_badly:
            again.append(member)
        member.chunk_tokens, member.overlap_tokens = wanted
        member.batch = batch
        if file.attributes is not None:
            member.attributes = file.attributes
    if again:
        indexing.forget(StoreFile.objects.filter(pk__in=[member.pk for member in again]))
    for member in again:
        vars(member).update(AFRESH, lease_epoch=member.lease_epoch + 1)
    StoreFile.objects.bulk_update([member for member, _ in named], CHANGED)
