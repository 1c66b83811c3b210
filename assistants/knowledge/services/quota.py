"""How much of the storage one project may take."""

from __future__ import annotations

from django.conf import settings
from django.db.models import QuerySet, Sum

from assistants.knowledge.models import File, Upload, UploadPart
from sovereign.core.errors import ApiError

MAXIMUM_PENDING = 1_000  # uploads of a project that are neither completed nor over


def leave_room(project_id: str, more: int) -> None:
    """Let so many bytes more be stored; to be called in the transaction that makes their row.

    Parts of uploads count until those are over. Where two transactions go on at the same moment (on Postgres), both
    may find the same room.

    :raises ApiError: 400, the project would have more than it may.
    """
    most: int = settings.SOVEREIGN.maximum_stored_bytes
    if not most:
        return
    held = _bytes(File.objects.filter(project=project_id)) + _bytes(
        UploadPart.objects.filter(upload__project=project_id)
    )
    if held + more > most:
        raise ApiError(
            f"The files of this project may have {most:,} bytes together: they have {held:,}, and these are {more:,}. "
            "Delete files that are not needed any more, or ask your administrator.",
            code="storage_quota_exceeded",
        )


def leave_turn(project_id: str) -> None:
    """:raises ApiError: 400, too many uploads of the project are pending."""
    pending = Upload.objects.filter(project=project_id, status=Upload.Status.PENDING)
    if len(pending.values_list("pk")[:MAXIMUM_PENDING]) == MAXIMUM_PENDING:
        raise ApiError(
            f"{MAXIMUM_PENDING:,} uploads of this project are pending. Complete or cancel some of them first.",
            code="too_many_uploads",
        )


def _bytes(rows: QuerySet[File] | QuerySet[UploadPart]) -> int:
    total: int = rows.aggregate(total=Sum("bytes", default=0))["total"]
    return total
