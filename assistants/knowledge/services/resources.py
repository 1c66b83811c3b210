"""``tool_resources`` of assistants, threads and runs: what they name has to exist, and what they ask for is made.

All of it happens inside the transaction of the object that the resources belong to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from assistants.knowledge.models import File, VectorStore
from assistants.knowledge.services import filling, stores
from assistants.knowledge.services.filling import NewFile
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import FILES_READ, STORES_READ, STORES_WRITE
from sovereign.core import errors
from sovereign.core.database import only_row, service

THREAD_STORE_DAYS = 7  # without use, after which a store that was made for a thread expires
MAXIMUM_CODE_FILES = 20
CODE, SEARCH = "code_interpreter", "file_search"


@service
def settle(*, principal: Principal, resources: dict[str, Any], expires_after_days: int | None) -> dict[str, Any]:
    """Check what resources name, and make the store that they ask for.

    :param resources: the contract's ``tool_resources``, their shape checked. ``file_search`` has ``vector_store_ids``,
        or ``vector_stores``: the files of a store to be made.
    :param expires_after_days: of the store that is made: ``THREAD_STORE_DAYS`` for threads, ``None`` for assistants.
    :returns: the resources in the form in which they are kept and shown.
    :raises ApiError: 404 for the first file or store that does not exist; 403, the principal may not read them or may
        not make a store that lasts.
    """
    settled = {}
    for kind, held in resources.items():
        if kind == CODE:
            check_files(principal=principal, file_ids=held.get("file_ids", []))
            settled[kind] = held
        else:
            settled[kind] = {"vector_store_ids": _stores_of(principal, held, expires_after_days)}
    return settled


@service
def attach(*, principal: Principal, resources: dict[str, Any], attachments: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The resources of a locked thread with the attachments of its new messages.

    Files for ``code_interpreter`` join its list. Files for ``file_search`` join the thread's store; where it has none,
    or the one it had is gone or has expired, a new one is made that expires after a week without use.

    :param attachments: the contract's, ``file_id`` and ``tools``, their shape checked.
    :raises ApiError: 404 for the first file that does not exist; 400, there are too many.
    """
    check_files(principal=principal, file_ids=[attachment["file_id"] for attachment in attachments])
    changed = dict(resources)
    if to_run := _named_for(attachments, CODE):
        changed[CODE] = {"file_ids": _with_files(resources.get(CODE, {}).get("file_ids", []), to_run)}
    if to_search := _named_for(attachments, SEARCH):
        held = resources.get(SEARCH, {}).get("vector_store_ids", [])
        changed[SEARCH] = {"vector_store_ids": [_fill_store_of_thread(principal, held, to_search)]}
    return changed


def still_there(*, principal: Principal, attachments: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of attachments that were made earlier whose files were not deleted since."""
    named = {attachment["file_id"] for attachment in attachments}
    found = set(File.objects.visible_to(principal).filter(pk__in=named).values_list("pk", flat=True)) if named else ()
    return [attachment for attachment in attachments if attachment["file_id"] in found]


def forget_file(holders: QuerySet[Any], file: File) -> None:
    """Take a file that is being deleted from the code interpreter's lists of these objects of its project.

    Their resources are a JSON text in which the database can look for the id, and which it cannot search otherwise.
    So they are looked through without a lock; each that names the file is then changed in a transaction of its own.
    """
    written = holders.filter(project_id=file.project_id).alias(written=Cast("tool_resources", TextField()))
    naming = written.filter(written__contains=file.id).order_by("pk").values_list("pk", flat=True)
    for holder_id in list(naming):
        _forget_in(holders.filter(pk=holder_id), file.id)


@service
def _forget_in(holders: QuerySet[Any], file_id: str) -> None:
    holder: Any = only_row(holders.select_for_update(no_key=True))
    held = [] if holder is None else holder.tool_resources.get(CODE, {}).get("file_ids", [])
    if file_id in held:
        holder.tool_resources[CODE]["file_ids"] = [held_id for held_id in held if held_id != file_id]
        holder.save(update_fields=["tool_resources"])


def check_files(*, principal: Principal, file_ids: Sequence[str]) -> None:
    """:raises ApiError: 404 for the first that is unknown or another project's; 403, the principal may not read any."""
    if not file_ids:
        return
    principal.require(FILES_READ)
    visible = File.objects.visible_to(principal).filter(pk__in=set(file_ids))
    found = set(visible.values_list("pk", flat=True))
    for file_id in file_ids:
        if file_id not in found:
            raise errors.no_such_file(file_id)


def _stores_of(principal: Principal, held: dict[str, Any], expires_after_days: int | None) -> list[str]:
    """The ids of the stores that ``file_search`` names or asks for."""
    named: list[str] = held.get("vector_store_ids") or []
    if named:
        principal.require(STORES_READ)
    for store_id in named:
        stores.get_store(principal=principal, store_id=store_id)
    return named or [_make_store(principal, draft, expires_after_days) for draft in held.get("vector_stores") or []]


def _make_store(principal: Principal, draft: dict[str, Any], expires_after_days: int | None) -> str:
    principal.require(FILES_READ)
    if expires_after_days is None:  # one that goes with its thread needs no more than the right to write threads
        principal.require(STORES_WRITE)
    files = [NewFile(file_id, chunking=draft.get("chunking_strategy")) for file_id in draft.get("file_ids") or []]
    metadata = draft.get("metadata") or {}
    made = stores.make_store(
        principal=principal,
        files=files,
        metadata=metadata,
        expires_after_days=expires_after_days,
        is_for_thread=expires_after_days is not None,
    )
    return made.id


def _named_for(attachments: Iterable[dict[str, Any]], kind: str) -> list[str]:
    """The files that are attached for a tool, each once, in their order."""
    named = {
        attachment["file_id"]: None
        for attachment in attachments
        if any(tool["type"] == kind for tool in attachment.get("tools") or [])
    }
    return list(named)


def _with_files(file_ids: list[str], added: list[str]) -> list[str]:
    files = list(dict.fromkeys([*file_ids, *added]))
    if len(files) > MAXIMUM_CODE_FILES:
        raise errors.ApiError(
            f"A thread cannot have more than {MAXIMUM_CODE_FILES} files for the code interpreter.",
            param="attachments",
            code="array_above_max_length",
        )
    return files


def _fill_store_of_thread(principal: Principal, store_ids: list[str], file_ids: list[str]) -> str:
    """Put files into the thread's store, or into a new one; its id."""
    filling.lock_files(principal=principal, file_ids=file_ids)
    files = [NewFile(file_id) for file_id in file_ids]
    store = _usable(principal, store_ids)
    if store is None:
        made = stores.make_store(
            principal=principal, files=files, expires_after_days=THREAD_STORE_DAYS, is_for_thread=True
        )
        return made.id
    if not store.is_for_thread:  # what is put there others find, too
        principal.require(STORES_WRITE)
    filling.fill(store, files)
    audit.record(principal, "vector_store.files_added", store, number=len(files))
    return store.id


def _usable(principal: Principal, store_ids: list[str]) -> VectorStore | None:
    """The first of the stores, locked, if it is still there and has not expired."""
    visible = VectorStore.objects.visible_to(principal).filter(pk__in=store_ids[:1])
    store: VectorStore | None = only_row(visible.select_for_update(no_key=True))
    return None if store is None or stores.is_expired(store) else store
