"""Exports of conversations: asked for, written under a lease, fetched by who asked, and forgotten some days later."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO

from django.db import transaction
from django.db.models import F, Q, QuerySet, TextField
from django.db.models.functions import Cast

from assistants.knowledge import storage
from assistants.knowledge.services import files
from assistants.knowledge.storage import Stored
from sovereign.accounts import credentials
from sovereign.accounts.models import Membership, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES, CONVERSATIONS_READ, THREADS_READ, Role
from sovereign.core import errors
from sovereign.core.database import now, only_row, service
from threads.exporting import begin_export, counted
from threads.exports.models import Export
from threads.models import Message, Thread

LEASE = timedelta(seconds=60)
KEPT = timedelta(days=7)
MOST_ATTEMPTS = 3  # of workers that died over it
MOST_ACTIVE = 3  # of one person
MOST_KEPT = 10  # likewise, with those that are under way: as many as their page of work shows
MOST_FORGOTTEN = 20  # at once
BEGUN = (Export.Status.IN_PROGRESS, Export.Status.COMPLETED)
NO_LEASE = {"lease_owner": None, "lease_expires_at": None}
ABANDONED = f"{MOST_ATTEMPTS} workers died over it."
GONE = "Who asked for it may not read these conversations any more."
CHANGED = "A conversation in it was deleted or redacted. Export again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What a worker writes. ``principal`` is who asked, as they are now; ``None`` where they may not read any more."""

    id: str
    kind: str
    thread_ids: list[str]
    token: str
    principal: Principal | None


@service
def begin(*, principal: Principal, thread_ids: Sequence[str], kind: str) -> Export:
    """Ask for a file of some threads; whoever of the workers has time writes it. The person's oldest ones make room.

    :param kind: of :data:`threads.exporting.SUFFIXES`.
    :raises ApiError: 403; 429, the person has some under way already.
    """
    principal.require(THREADS_READ)
    if principal.user_id is None:
        raise errors.forbidden(THREADS_READ)
    User.objects.select_for_update(no_key=True).only("pk").get(pk=principal.user_id)  # who asks twice at once, waits
    active = Export.objects.active().filter(user_id=principal.user_id).count()
    if active >= MOST_ACTIVE:
        raise errors.ApiError(
            f"At most {MOST_ACTIVE} exports of one person are written at once. Wait for one, or call it off.",
            status=429,
            code="too_many_exports",
        )
    _leave(MOST_KEPT - 1 - active, principal.user_id)
    return Export.objects.create(
        project_id=principal.project_id,
        user_id=principal.user_id,
        kind=kind,
        thread_ids=list(thread_ids),
        threads=len(thread_ids),
        total=Message.objects.filter(thread_id__in=thread_ids).count(),
    )


@service
def cancel(*, user_id: int, export_id: str) -> Export:
    """Call it off; nothing changes where it is over.

    :raises ApiError: 404, the person has none such.
    """
    export = of_person(user_id=user_id, export_id=export_id)
    ended = {"status": Export.Status.CANCELLED, "ended_at": now(), **NO_LEASE}
    Export.objects.active().filter(pk=export.pk).update(**ended)
    export.refresh_from_db()
    return export


def of_person(*, user_id: int, export_id: str) -> Export:
    """:raises ApiError: 404."""
    export: Export | None = only_row(Export.objects.filter(pk=export_id, user_id=user_id))
    if export is None:
        raise errors.not_found("export", export_id)
    return export


def open_file(export: Export) -> BinaryIO:
    """:raises ApiError: 404, it is not there yet, or not any more."""
    try:
        if export.storage_key is not None:
            return storage.open_stream(export.storage_key)
    except FileNotFoundError:
        pass
    raise errors.not_found("file of the export", export.pk)


# ------------------------------------------------------------------------------------- the worker's


def claim() -> Claimed | None:
    """The oldest that nobody writes. Looks before it locks."""
    return _claim() if _free().exists() else None


@service
def _claim() -> Claimed | None:
    for export in _free().order_by("created_at", "id").select_for_update(skip_locked=True, no_key=True):
        if export.attempts >= MOST_ATTEMPTS:
            _end(Export.objects.filter(pk=export.pk), ABANDONED)
            continue
        token = secrets.token_hex(8)
        Export.objects.filter(pk=export.pk).update(
            status=Export.Status.IN_PROGRESS,
            attempts=F("attempts") + 1,
            written=0,
            lease_owner=token,
            lease_expires_at=now() + LEASE,
        )
        return Claimed(
            id=export.pk,
            kind=export.kind,
            thread_ids=export.thread_ids,
            token=token,
            principal=_principal(export),
        )
    return None


def pieces(claimed: Claimed) -> Iterator[tuple[bytes, int]]:
    """The file piece by piece, and how many messages end with each."""
    return counted(_threads(claimed), claimed.kind, is_one=len(claimed.thread_ids) == 1)


def _threads(claimed: Claimed) -> Iterator[Thread]:
    """As they are now, each noted as exported; those that were deleted meanwhile are left out."""
    if (principal := claimed.principal) is None:
        return
    for thread_id in claimed.thread_ids:
        try:
            yield begin_export(principal=principal, thread_id=thread_id, kind=claimed.kind)
        except errors.ApiError:
            continue


def keep(claimed: Claimed, written: int) -> bool:
    """Write how far it is, and hold it further; false where it was called off, or is another's by now."""
    return _held(claimed).update(written=written, lease_expires_at=now() + LEASE) == 1


@service
def complete(claimed: Claimed, stored: Stored) -> bool:
    """The file is whole; false where nobody wants it any more."""
    values = {"storage_key": stored.key, "bytes": stored.bytes, "written": F("total")}
    done = _held(claimed).update(status=Export.Status.COMPLETED, ended_at=now(), **values, **NO_LEASE) == 1
    if done:
        transaction.on_commit(lambda: storage.settle(stored.key), robust=True)
    return done


def fail(claimed: Claimed, error: str) -> None:
    _end(_held(claimed), error)


def give_back(claimed: Claimed) -> None:
    """The worker stops: another one begins again at once."""
    _held(claimed).update(attempts=F("attempts") - 1, **NO_LEASE)


# ------------------------------------------------------------------------------------- forgetting


def forget_old() -> int:
    """Delete what was there to be fetched for long enough; how many these were."""
    old = Export.objects.filter(ended_at__lte=now() - KEPT).order_by("ended_at", "id")
    found = list(old.values_list("id", flat=True)[:MOST_FORGOTTEN])
    return sum(_forget(export_id) for export_id in found)


def _leave(count: int, user_id: int) -> None:
    """Delete all that is over but the newest of a person: what has no file goes first."""
    over = Export.objects.filter(user_id=user_id, ended_at__isnull=False).order_by("-created_at", "-id")
    found = sorted(over.values_list("id", "storage_key"), key=lambda row: row[1] is None)
    for export_id, _ in found[count:]:
        _forget(export_id)


@service
def _forget(export_id: str) -> bool:
    export = Export.objects.select_for_update(skip_locked=True).filter(pk=export_id).first()
    if export is None:
        return False
    _delete_file(export)
    export.delete()
    return True


def forget_exports_of(thread_id: str) -> None:
    """The thread loses words, or goes, in this transaction, which has locked it: files that were made of it before go
    as well, and what is being written fails. What is begun after that waits for the lock (:func:`begin_export`)."""
    projects = Thread.objects.filter(pk=thread_id).values("project_id")
    begun = Export.objects.filter(status__in=BEGUN, project_id__in=projects).defer("thread_ids")
    said = begun.alias(said=Cast("thread_ids", TextField())).filter(said__contains=f'"{thread_id}"')
    for export in said.order_by("id").select_for_update(no_key=True):
        _delete_file(export)
        _end(Export.objects.filter(pk=export.pk), CHANGED)


def forget_exports_with(message: Message) -> list[str]:
    """As :func:`forget_exports_of`, before a message loses its words. No row tells of them besides."""
    forget_exports_of(message.thread_id)
    return []


def forget_exports_called_so(thread_ids: Collection[str], lines: Collection[str]) -> None:
    """As :func:`forget_exports_of`, after threads lost titles: whatever one is called now, a file may have the old."""
    if lines:
        for thread_id in sorted(thread_ids):
            forget_exports_of(thread_id)


def forget_exports_of_trashed(principal: Principal, thread_ids: list[str]) -> None:
    """As :func:`forget_exports_of`, before threads are nobody's. They do not come back with them."""
    for thread_id in sorted(thread_ids):
        forget_exports_of(thread_id)


def _delete_file(export: Export) -> None:
    if export.storage_key is not None:
        files.remove_content(export.storage_key)


def _end(rows: QuerySet[Export], error: str) -> None:
    rows.update(status=Export.Status.FAILED, error=error, ended_at=now(), storage_key=None, **NO_LEASE)


def _free() -> QuerySet[Export]:
    return Export.objects.active().filter(Q(lease_expires_at=None) | Q(lease_expires_at__lte=now()))


def _held(claimed: Claimed) -> QuerySet[Export]:
    return Export.objects.filter(pk=claimed.id, status=Export.Status.IN_PROGRESS, lease_owner=claimed.token)


def _principal(export: Export) -> Principal | None:
    """Who asked, with the rights that they have now."""
    user = User.objects.filter(pk=export.user_id, is_active=True).first()
    if user is None:
        return None
    if user.is_superuser:
        return Principal(project_id=export.project_id, user_id=user.pk, role=Role.OWNER, scopes=ALL_SCOPES)
    membership = Membership.objects.in_force().filter(user=user, project_id=export.project_id).first()
    principal = None if membership is None else credentials.principal_of_membership(membership)
    return principal if principal is not None and principal.allows(CONVERSATIONS_READ) else None
