"""What ends by itself: files and uploads whose time is over, and what processes that died have left in the storage.

Called again and again by every process that has a reaper.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError
from django.db.models import Model, QuerySet

from assistants.knowledge import storage
from assistants.knowledge.models import File, Upload, UploadPart
from assistants.knowledge.services import detaching, files, uploads
from sovereign.accounts import audit
from sovereign.core.database import now, service

log = structlog.get_logger(__name__)

AT_ONCE = 100  # objects that one pass ends
TRIED_AT_ONCE = 10 * AT_ONCE  # so that a pass has an end where hardly any can be ended
SWEPT_EVERY = 3_600.0  # seconds
DOUBTFUL = 24 * 3_600.0  # seconds that a content may take between the storage and its row, a slow bucket included

#: Whose rows name contents (``storage_key``). The rooms above add theirs when they start: a sweep asks all of them.
owners: list[type[Model]] = [File, UploadPart]

_next_sweep = 0.0


def expire_files() -> int:
    """End every file and upload that is due, each in a transaction of its own; returns how many there were.

    Places in stores that were kept long enough are forgotten, and once an hour the storage is swept, too.
    """
    global _next_sweep
    detaching.forget_places()
    if time.monotonic() >= _next_sweep:
        _next_sweep = time.monotonic() + SWEPT_EVERY
        sweep()
    ended = 0
    instant = now()
    due_files = File.objects.filter(expires_at__lte=instant)
    due_uploads = Upload.objects.filter(status=Upload.Status.PENDING, expires_at__lte=instant)
    for due, end in ((due_files, _end_file), (due_uploads, _end_upload)):
        ended += _end_due(due.order_by("expires_at", "id").values_list("id", flat=True), end)
    return ended


def _end_due(due: QuerySet[Any, str], end: Callable[[str], bool]) -> int:
    """End the first that can be ended; the others stay, and those behind them have their turn."""
    ended = passed = 0
    while ended < AT_ONCE and ended + passed < TRIED_AT_ONCE:
        identifiers = list(due[passed : passed + AT_ONCE - ended])
        if not identifiers:
            break
        done = sum(_ended(end, identifier) for identifier in identifiers)
        ended += done
        passed += len(identifiers) - done
    return ended


def _ended(end: Callable[[str], bool], identifier: str) -> bool:
    try:
        return end(identifier)
    except (OperationalError, InterfaceError):
        raise  # the database, not the object
    except Exception:  # one that cannot be ended must not keep all later ones
        log.exception("not_expired", object=identifier)
        return False


@service
def _end_file(file_id: str) -> bool:
    due = File.objects.select_for_update(no_key=True, of=("self",)).filter(pk=file_id, expires_at__lte=now())
    file = due.order_by().first()
    if file is None:
        return False
    audit.record(None, "file.expired", file, purpose=file.purpose)
    files.remove_file(file)
    return True


@service
def _end_upload(upload_id: str) -> bool:
    pending = Upload.objects.select_for_update(no_key=True, of=("self",)).filter(status=Upload.Status.PENDING)
    upload = pending.filter(pk=upload_id, expires_at__lte=now()).order_by().first()
    if upload is None:
        return False
    uploads.end_upload(upload, Upload.Status.EXPIRED)
    return True


def sweep(age: float = DOUBTFUL) -> int:
    """Remove contents that no row names although their keys have been in doubt for so long; returns how many."""
    removed = 0
    for key in storage.old_doubts(age):
        if any(model._default_manager.filter(storage_key=key).exists() for model in owners):
            storage.settle(key)
        else:
            log.warning("content_without_row", key=key)
            storage.delete(key)
            removed += 1
    return removed
