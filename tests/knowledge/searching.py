"""Stores with texts in them, for tests of the search: indexed directly, without uploads and workers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction

from assistants.knowledge.models import File, IngestionStatus, StoreFile, VectorStore
from assistants.knowledge.retrieval import indexing
from sovereign.accounts.models import Project
from tests.knowledge.filled import apart

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def make_store(project: Project) -> VectorStore:
    return VectorStore.objects.create(project=project, last_active_at=BEGINNING)


def add_file(
    store: VectorStore,
    name: str,
    texts: Sequence[str],
    vectors: np.ndarray | None = None,
    space: str = "",
    attributes: dict[str, Any] | None = None,
) -> StoreFile:
    """A completed file of the store; those made later are a minute younger each."""
    number = File.objects.count()
    file = File.objects.create(
        project=store.project,
        purpose="assistants",
        filename=name,
        bytes=1,
        sha256="",
        storage_key=f"key-{number}-{name}",
        created_at=BEGINNING + timedelta(minutes=number),
    )
    member = StoreFile.objects.create(
        store=store,
        file=file,
        status=IngestionStatus.COMPLETED,
        attributes=attributes or {},
        created_at=BEGINNING,
        space=space if vectors is not None else "",
    )
    with transaction.atomic():
        VectorStore.objects.select_for_update().get(pk=store.pk)
        indexing.add(member, apart(texts), vectors, space)
    return member
