"""The files in vector stores, one by one and in batches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from assistants.knowledge.models import FileBatch, IngestionStatus, StoreFile, VectorStore
from assistants.knowledge.services import detaching, filling, stores
from assistants.knowledge.services.filling import NewFile
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import STORES_WRITE
from sovereign.core import errors
from sovereign.core.database import only_row, service

PAGE = re.compile(r"[0-9]{1,9}")
SHOWN_FILES = 20  # ids of files that an entry of the audit log names


def get_file(*, principal: Principal, store_id: str, file_id: str) -> StoreFile:
    """:raises ApiError: 404 for the store, or for a file that is not in it."""
    return _member_of(stores.get_store(principal=principal, store_id=store_id), file_id)


def get_batch(*, principal: Principal, store_id: str, batch_id: str) -> FileBatch:
    """:raises ApiError: 404 for the store, or for a batch of another one."""
    return _batch_of(stores.get_store(principal=principal, store_id=store_id), batch_id)


def content_page(
    *, principal: Principal, store_id: str, file_id: str, page: str | None, limit: int
) -> tuple[list[str], str | None]:
    """The text that was read of a file, in passages, each part of it once.

    :param page: what an earlier call gave for the next page; ``None`` for the first.
    :returns: at most ``limit`` texts, and what the page behind them is asked for by, if there is one.
    :raises ApiError: 404 like :func:`get_file`; 400, no page is called that.
    """
    member = get_file(principal=principal, store_id=store_id, file_id=file_id)
    if page is not None and not PAGE.fullmatch(page):
        raise errors.ApiError("Invalid 'page': expected the 'next_page' of a page.", param="page", code="invalid_value")
    first = int(page or 0)
    behind = member.chunks.filter(position__gte=first).order_by("position").values_list("text", "repeated")
    texts = [text[repeated:].lstrip() for text, repeated in behind[: limit + 1]]
    return texts[:limit], str(first + limit) if len(texts) > limit else None


@service
def attach_files(*, principal: Principal, store_id: str, files: Sequence[NewFile]) -> list[StoreFile]:
    """Put files into a store, where they are ingested in the background (see :func:`filling.fill`).

    :returns: the rows in the store, in the files' order.
    :raises ApiError: 404 for the store or the first unknown file; 400 where the store is full or has expired.
    """
    principal.require(STORES_WRITE)
    return _fill(principal, _lock_for(principal, store_id, files), files)


@service
def create_batch(*, principal: Principal, store_id: str, files: Sequence[NewFile]) -> FileBatch:
    """As :func:`attach_files`, with one object that tells how far all of them are."""
    principal.require(STORES_WRITE)
    batch = FileBatch.objects.create(store=_lock_for(principal, store_id, files))
    _fill(principal, batch.store, files, batch)
    return batch


@service
def cancel_batch(*, principal: Principal, store_id: str, batch_id: str) -> FileBatch:
    """Give up the files of a batch that are not done; nothing changes where all are."""
    principal.require(STORES_WRITE)
    store = stores.lock_store(principal=principal, store_id=store_id)
    batch = _batch_of(store, batch_id)
    waiting = StoreFile.objects.filter(batch=batch, status=IngestionStatus.IN_PROGRESS)
    ended = waiting.update(status=IngestionStatus.CANCELLED, lease_owner=None, lease_expires_at=None)
    if ended:
        audit.record(principal, "vector_store.batch_cancelled", store, batch=batch.id, files=ended)
    return batch


@service
def cancel_reading(*, principal: Principal, store_id: str) -> int:
    """Give up all files of a store that are not done; how many they were."""
    principal.require(STORES_WRITE)
    store = stores.lock_store(principal=principal, store_id=store_id)
    waiting = StoreFile.objects.filter(store=store, status=IngestionStatus.IN_PROGRESS)
    ended = waiting.update(status=IngestionStatus.CANCELLED, lease_owner=None, lease_expires_at=None)
    if ended:
        audit.record(principal, "vector_store.reading_cancelled", store, files=ended)
    return ended


@service
def update_attributes(
    *, principal: Principal, store_id: str, file_id: str, attributes: dict[str, Any] | None
) -> StoreFile:
    """Replace a file's attributes in a store; ``None`` empties them."""
    principal.require(STORES_WRITE)
    store = stores.lock_store(principal=principal, store_id=store_id)
    member = _member_of(store, file_id)
    member.attributes = attributes or {}
    member.save(update_fields=["attributes"])
    audit.record(principal, "vector_store.file_updated", store, file=file_id)
    return member


@service
def detach_file(*, principal: Principal, store_id: str, file_id: str) -> None:
    """Take a file out of a store, with all that was made for its search. The file itself stays."""
    principal.require(STORES_WRITE)
    store = stores.lock_store(principal=principal, store_id=store_id)
    member = _member_of(store, file_id)
    audit.record(principal, "vector_store.file_removed", store, file=file_id)
    detaching.detach(StoreFile.objects.filter(pk=member.pk))


def _lock_for(principal: Principal, store_id: str, files: Sequence[NewFile]) -> VectorStore:
    """The store that files may be put into, locked after them."""
    stores.get_store(principal=principal, store_id=store_id)  # of two unknown ids the store's is told
    filling.lock_files(principal=principal, file_ids=[file.file_id for file in files])
    store = stores.lock_store(principal=principal, store_id=store_id)
    stores.check_unexpired(store)
    return store


def _fill(
    principal: Principal, store: VectorStore, files: Sequence[NewFile], batch: FileBatch | None = None
) -> list[StoreFile]:
    members = filling.fill(store, files, batch)
    named = [member.file_id for member in members[:SHOWN_FILES]]
    details = {"batch": batch.id} if batch else {}
    audit.record(principal, "vector_store.files_added", store, number=len(members), files=named, **details)
    return members


def _member_of(store: VectorStore, file_id: str) -> StoreFile:
    member: StoreFile | None = only_row(StoreFile.objects.filter(store=store, file_id=file_id))
    if member is None:
        shown = file_id[: errors.SHOWN_ID]
        raise errors.ApiError(f"No file found with id '{shown}' in vector store '{store.id}'.", status=404)
    return member


def _batch_of(store: VectorStore, batch_id: str) -> FileBatch:
    batch: FileBatch | None = only_row(FileBatch.objects.filter(store=store, pk=batch_id))
    if batch is None:
        raise errors.not_found("vector store file batch", batch_id)
    return batch
