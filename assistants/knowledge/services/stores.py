"""The only door for changing vector stores; the API, the admin and the rooms above all come through here.

Lock order everywhere: threads, runs, files by id, then stores, then the files in them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet

from assistants.knowledge.models import StoreFile, VectorStore
from assistants.knowledge.retrieval import indexing
from assistants.knowledge.services import filling
from assistants.knowledge.services.filling import NewFile
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import STORES_WRITE
from sovereign.core import errors
from sovereign.core.database import now, only_row, service, visible_row

log = structlog.get_logger(__name__)

KIND = "vector store"
FILES_AT_ONCE = 50  # taken out of a store in one transaction
STORES_AT_ONCE = 20  # removed in one look for those that nobody uses
KEPT_UNUSED = timedelta(days=14)  # a thread's store, which has expired after half of it: until then it can be revived
NOTED_EVERY = timedelta(seconds=1)  # what the contract shows: of the uses within one, the first is written down


def get_store(*, principal: Principal, store_id: str) -> VectorStore:
    """:raises ApiError: 404, for an unknown store and for another project's alike."""
    store = visible_row(VectorStore, principal, store_id)
    if store is None:
        raise errors.not_found(KIND, store_id)
    return store


def lock_store(*, principal: Principal, store_id: str) -> VectorStore:
    """The store with its row locked until the end of the transaction. Raises like :func:`get_store`."""
    store = visible_row(VectorStore, principal, store_id, lock=True)
    if store is None:
        raise errors.not_found(KIND, store_id)
    return store


def is_expired(store: VectorStore) -> bool:
    """Whether nobody can search or fill the store any more, by the database's clock."""
    return store.expires_at is not None and store.expires_at <= now()


def check_unexpired(store: VectorStore) -> None:
    """:raises ApiError: 400, the store has expired."""
    if is_expired(store):
        raise errors.ApiError(f"Vector store '{store.id}' has expired.", code="vector_store_expired")


@service
def create_store(
    *,
    principal: Principal,
    name: str | None = None,
    description: str | None = None,
    file_ids: Sequence[str] = (),
    chunking: dict[str, Any] | None = None,
    expires_after_days: int | None = None,
    metadata: dict[str, str] | None = None,
) -> VectorStore:
    """Make a vector store, with files in it.

    :param chunking: how those files are cut, in the contract's form.
    :raises ApiError: 404 for the first file that does not exist.
    """
    principal.require(STORES_WRITE)
    return make_store(
        principal=principal,
        files=[NewFile(file_id, chunking=chunking) for file_id in file_ids],
        name=name,
        description=description,
        expires_after_days=expires_after_days,
        metadata=metadata or {},
    )


def make_store(*, principal: Principal, files: Sequence[NewFile], **fields: Any) -> VectorStore:
    """As :func:`create_store`, inside the transaction of a caller who has decided that the principal may."""
    filling.lock_files(principal=principal, file_ids=[file.file_id for file in files])
    store = VectorStore.objects.create(project_id=principal.project_id, last_active_at=now(), **fields)
    if files:
        filling.fill(store, files)
    audit.record(principal, "vector_store.created", store, files=len(files))
    return store


@service
def update_store(*, principal: Principal, store_id: str, **fields: Any) -> VectorStore:
    """Change ``name``, ``metadata`` or ``expires_after_days``: those that are given.

    A store that has expired is usable again where what is given lets it live longer. One that was made for a thread
    is a store like any other from the moment on that somebody decides how long it lives.
    """
    principal.require(STORES_WRITE)
    store = lock_store(principal=principal, store_id=store_id)
    for name, value in fields.items():
        setattr(store, name, value if name != "metadata" else value or {})
    if "expires_after_days" in fields:
        store.is_for_thread = False
    if fields:
        store.save(update_fields=[*sorted(fields), "is_for_thread"])
    audit.record(principal, "vector_store.updated", store, fields=sorted(fields))
    return store


def delete_store(*, principal: Principal, store_id: str) -> None:
    """Delete a store with all that was made for its search. Its files stay.

    They are taken out some at a time: one transaction for ten thousand would keep others from writing for long. Where
    the process dies meanwhile, the store is left with fewer files, and is deleted by who asks again.
    """
    principal.require(STORES_WRITE)
    get_store(principal=principal, store_id=store_id)
    if not _remove(VectorStore.objects.visible_to(principal).filter(pk=store_id), principal, "vector_store.deleted"):
        raise errors.not_found(KIND, store_id)


def remove_unused() -> int:
    """Delete stores that were made for threads and have not been used since long before now; returns how many."""
    due = VectorStore.objects.filter(is_for_thread=True, last_active_at__lte=now() - KEPT_UNUSED)
    removed = 0
    for store_id in list(due.order_by("last_active_at").values_list("pk", flat=True)[:STORES_AT_ONCE]):
        try:
            removed += _remove(due.filter(pk=store_id), None, "vector_store.expired")
        except (OperationalError, InterfaceError):
            raise  # the database, not the store
        except Exception:  # one that cannot be removed must not keep the others
            log.exception("store_not_removed", store=store_id)
    return removed


def _remove(rows: QuerySet[Any], principal: Principal | None, action: str) -> bool:
    """Delete the one store among ``rows``, as long as it is there: in several transactions, its files first."""
    while _take_out_some(rows):
        pass
    return _delete(rows, principal, action)


@service
def _take_out_some(rows: QuerySet[Any]) -> bool:
    """Whether there were any files."""
    store = only_row(rows.select_for_update(no_key=True))
    some = StoreFile.objects.filter(store=store).order_by("pk").values_list("pk", flat=True)[:FILES_AT_ONCE]
    members = StoreFile.objects.filter(pk__in=list(some) if store else [])
    indexing.forget(members)
    return bool(members.delete()[0])


@service
def _delete(rows: QuerySet[Any], principal: Principal | None, action: str) -> bool:
    store = only_row(rows.select_for_update(no_key=True))
    if store is None:
        return False
    audit.record(principal, action, store)
    store.delete()
    return True


def touch(store_ids: Collection[str]) -> None:
    """Move the expiry of stores that were used; one whose row somebody holds just now is left to the next use."""
    instant = now()
    stale = VectorStore.objects.filter(pk__in=store_ids, last_active_at__lt=instant - NOTED_EVERY).order_by("pk")
    if found := list(stale.values_list("pk", flat=True)):  # most uses find none, and need no transaction
        _note_use(found, instant)


@service
def _note_use(store_ids: Collection[str], instant: datetime) -> None:
    rows = VectorStore.objects.filter(pk__in=store_ids, last_active_at__lt=instant).order_by("pk")
    free = list(rows.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True))
    VectorStore.objects.filter(pk__in=free).update(last_active_at=instant)
