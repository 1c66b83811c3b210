"""What is written about a file that is worked on. Nothing is, once it is not its holder's any more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from assistants.knowledge.chunking import Chunk
from assistants.knowledge.ingestion.leases import MAXIMUM_CRASHES, Lease, poisoned
from assistants.knowledge.models import IngestionStatus, StoreFile, VectorStore
from assistants.knowledge.retrieval import indexing
from assistants.knowledge.retrieval.packing import Packed
from sovereign.core.database import now, only_row, service

if TYPE_CHECKING:
    import numpy as np

log = structlog.get_logger(__name__)

SERVER_ERROR = "server_error"
MESSAGE_LENGTH = NOTE_LENGTH = 512
UNFORESEEN = "Something went wrong on the server while the file was made searchable."
FREE: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None}


def progress(lease: Lease, percent: int) -> None:
    """Tell how far the work is."""
    _held(lease).update(progress=percent)


@service
def complete(
    lease: Lease, chunks: list[Chunk], packed: Packed, vectors: np.ndarray | None, space: str, note: str
) -> bool:
    """Make the file searchable, at once and as a whole; false where it is the holder's no more.

    :param packed: the words of the chunks.
    :param vectors: float32 [chunks][width], or ``None`` where there is nothing that makes any.
    :param space: the name of the vectors' space.
    """
    member = _locked(lease)
    if member is None:
        return False
    stored = indexing.add(member, chunks, vectors, space, packed)
    changes = {"status": IngestionStatus.COMPLETED, "progress": 100, "usage_bytes": stored, "space": space}
    _write(lease, **changes, note=note[:NOTE_LENGTH], crash_count=0, retry_count=0, available_at=None, **FREE)
    return True


@service
def replace(lease: Lease, vectors: np.ndarray, space: str, width_before: int) -> bool:
    """Give a searchable file the vectors of another model; false where it is the holder's no more.

    :param width_before: of the vectors that it had, 0 where it had none.
    """
    member = _locked(lease)
    if member is None:
        return False
    indexing.replace_vectors(member, vectors, space)
    numbers = vectors.size - len(vectors) * width_before
    stored = max(0, member.usage_bytes + numbers * indexing.BYTES_OF_NUMBER)
    _write(lease, space=space, note="", usage_bytes=stored, crash_count=0, retry_count=0, available_at=None, **FREE)
    return True


def fail(lease: Lease, code: str, message: str) -> None:
    """End the work for good.

    :param code: ``server_error``, ``unsupported_file`` or ``invalid_file``.
    """
    error = {"error_code": code, "error_message": message[:MESSAGE_LENGTH]}
    _write(lease, status=IngestionStatus.FAILED, note="", available_at=None, **error, **FREE)


def postpone(lease: Lease, seconds: float, reason: str) -> None:
    """Leave the file for another try, after so many seconds of the database's clock."""
    again = now() + timedelta(seconds=seconds)
    _write(lease, retry_count=retries(lease) + 1, available_at=again, note=reason[:NOTE_LENGTH], **FREE)


def retries(lease: Lease) -> int:
    """How many tries have ended with a passing error."""
    return _held(lease).values_list("retry_count", flat=True).first() or 0


def stumble(lease: Lease, seconds: float, most: int) -> None:
    """What nobody foresaw went wrong: leave the file for another try; one that is not searchable has only so many."""
    is_searchable = _held(lease).filter(status=IngestionStatus.COMPLETED).exists()
    if is_searchable or retries(lease) < most:
        postpone(lease, seconds, UNFORESEEN)
    else:
        fail(lease, SERVER_ERROR, UNFORESEEN)


def fail_poisoned() -> int:
    """End the files that nobody may touch any more; returns how many there were."""
    message = f"{MAXIMUM_CRASHES} workers died while they read this file."
    if not poisoned().exists():
        return 0
    ended: int = poisoned().update(
        status=IngestionStatus.FAILED, error_code=SERVER_ERROR, error_message=message, note="", **FREE
    )
    log.error("files_poisoned", files=ended)
    return ended


def _held(lease: Lease) -> Any:
    return StoreFile.objects.filter(pk=lease.member_id, lease_owner=lease.worker_id, lease_epoch=lease.epoch)


def _locked(lease: Lease) -> StoreFile | None:
    """The file, if it is the holder's, its store's row locked first."""
    if not list(VectorStore.objects.filter(pk__in=_held(lease).values("store")).select_for_update(no_key=True)):
        return None
    member: StoreFile | None = only_row(_held(lease).select_for_update(no_key=True))
    return member


def _write(lease: Lease, **changes: Any) -> None:
    _held(lease).update(**changes)
