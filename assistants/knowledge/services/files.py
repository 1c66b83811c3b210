"""The only door for making and deleting files.

A row is made after its bytes are stored and goes before they are removed, so that no row is without its bytes;
what a process that dies in between leaves is found by ``storage.old_doubts``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from http import HTTPStatus
from typing import BinaryIO

import structlog
from django.db import Error as DatabaseError
from django.db import transaction

from assistants.knowledge import storage
from assistants.knowledge.models import File, Purpose, StoreFile
from assistants.knowledge.services import quota
from assistants.knowledge.storage import Stored
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import FILES_WRITE
from sovereign.core import errors
from sovereign.core.database import service, visible_row
from sovereign.core.errors import ApiError

log = structlog.get_logger(__name__)

BATCH_EXPIRES_AFTER = timedelta(days=30)  # what the contract gives files for batches that were given nothing

#: What the rooms above do once a file is deleted: they add to it when they start. They work after the commit, since
#: they lock what others lock before a file; a process that dies meanwhile leaves an id that names nothing.
forgetters: list[Callable[[File], None]] = []


def get_file(*, principal: Principal, file_id: str) -> File:
    """:raises ApiError: 404, for an unknown file and for another project's alike."""
    file = visible_row(File, principal, file_id)
    if file is None:
        raise errors.no_such_file(file_id)
    return file


def open_content(file: File) -> BinaryIO:
    """The bytes of a file from their beginning, to be closed by the caller.

    :raises ApiError: 404, they are not where they were stored (somebody took them away); 503.
    """
    try:
        return storage.open_stream(file.storage_key)
    except FileNotFoundError:
        log.error("content_missing", file=file.id, key=file.storage_key)
        message = f"The content of the file '{file.id}' is not there any more."
        raise ApiError(message, status=HTTPStatus.NOT_FOUND, param="id") from None


@service
def create_file(
    *, principal: Principal, purpose: str, filename: str, stored: Stored, expires_after: timedelta | None = None
) -> File:
    """Make a stored content a file.

    The caller removes the content where the transaction fails (:func:`unless_refused`).

    :param filename: at most 255 characters; it is only ever shown.
    :raises ApiError: 400, the project would have more than it may.
    """
    principal.require(FILES_WRITE)
    quota.leave_room(principal.project_id, stored.bytes)
    if expires_after is None and purpose == Purpose.BATCH:
        expires_after = BATCH_EXPIRES_AFTER
    file = File(
        project_id=principal.project_id,
        purpose=purpose,
        filename=filename,
        bytes=stored.bytes,
        sha256=stored.sha256,
        storage_key=stored.key,
        created_by_user=principal.user_id,
        created_by_key=principal.key_id,
    )
    file.save(force_insert=True)
    if expires_after is not None:
        file.expires_at = file.created_at + expires_after
        file.save(update_fields=["expires_at"])
    audit.record(principal, "file.created", file, purpose=purpose, bytes=stored.bytes)
    transaction.on_commit(lambda: storage.settle(stored.key), robust=True)
    return file


@contextmanager
def unless_refused(stored: Stored) -> Iterator[None]:
    """What happens in here makes ``stored`` a row's; it is removed where that is refused.

    After an error of the database nobody knows whether the row is there: the doubt about the content stays.
    """
    try:
        yield
    except DatabaseError:
        raise
    except BaseException:
        storage.give_up(stored)
        raise


def store_file(*, principal: Principal, purpose: str, filename: str, chunks: Iterable[bytes]) -> File:
    """Store a content and make it a file, for callers inside of the product.

    :raises ApiError: 507, there is no room; 400, the project would have more than it may.
    """
    stored = storage.save(chunks)
    with unless_refused(stored):
        return create_file(principal=principal, purpose=purpose, filename=filename, stored=stored)


def keep_for_good(project_id: str, file_ids: Collection[str]) -> None:
    """Let files stay that were to go by themselves unless somebody wanted them."""
    if file_ids:
        File.objects.filter(project_id=project_id, pk__in=file_ids).update(expires_at=None)


@service
def delete_file(*, principal: Principal, file_id: str) -> None:
    """Delete a file, from every vector store and every list it is in."""
    principal.require(FILES_WRITE)
    file = visible_row(File, principal, file_id, lock=True)
    if file is None:
        raise errors.no_such_file(file_id)
    audit.record(principal, "file.deleted", file, purpose=file.purpose)
    remove_file(file)


def remove_file(file: File) -> None:
    """Delete a locked file, inside the caller's transaction; its bytes, and what names it, go after the commit."""
    from assistants.knowledge.services import detaching

    detaching.detach(StoreFile.objects.filter(file=file))
    File.objects.filter(pk=file.pk).delete()  # the object keeps its id, for those who forget it
    remove_content(file.storage_key)
    for forget in forgetters:
        transaction.on_commit(lambda forget=forget: forget(file), robust=True)  # type: ignore[misc]


def remove_content(key: str) -> None:
    """Remove a content once the deletion of its row is committed."""
    with suppress(OSError):  # on a disk that is full deleting has to go on
        storage.doubt(key)
    transaction.on_commit(lambda: storage.delete(key), robust=True)  # Django cannot name a partial that fails
