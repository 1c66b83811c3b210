"""What is not searchable yet."""

from __future__ import annotations

from collections.abc import Collection

from assistants.knowledge.models import IngestionStatus, StoreFile


def files_in_progress(store_ids: Collection[str]) -> int:
    """How many files of these stores are still to be made searchable."""
    return StoreFile.objects.filter(store__in=store_ids, status=IngestionStatus.IN_PROGRESS).count()
