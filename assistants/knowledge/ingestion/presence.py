"""Whether somebody makes files searchable now, as far as that can be known without asking them."""

from __future__ import annotations

from django.db.models.functions import Now

from assistants.knowledge.models import IngestionStatus, StoreFile

_here: set[str] = set()


def arrive(worker_id: str) -> None:
    """A worker of this process begins."""
    _here.add(worker_id)


def leave(worker_id: str) -> None:
    """It takes no more files."""
    _here.discard(worker_id)


def is_at_work_on(store_id: str) -> bool:
    """Whether a worker is in this process, which is told at once of what waits, or another one holds a file of the
    store."""
    held = StoreFile.objects.filter(store=store_id, status=IngestionStatus.IN_PROGRESS, lease_expires_at__gt=Now())
    return bool(_here) or held.exists()
