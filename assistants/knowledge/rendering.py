"""Vector stores, the files in them, batches, and what a search found, as the contract's objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from assistants.knowledge.models import FileBatch, IngestionStatus, StoreFile, VectorStore
from assistants.knowledge.querysets import Tally
from sovereign.core.database import now

if TYPE_CHECKING:
    from assistants.knowledge.retrieval.search import Hit

COUNTED = ("in_progress", "completed", "failed", "cancelled", "total")
EXPIRED = "expired"  # of a store alone, beside the states of files


def render_stores(stores: Sequence[VectorStore]) -> list[dict[str, Any]]:
    """Stores with the counts of their files, all counted at once."""
    tallies = StoreFile.objects.tallies("store_id", [store.id for store in stores])
    instant = now()
    return [_render_store(store, tallies[store.id], instant) for store in stores]


def render_store(store: VectorStore) -> dict[str, Any]:
    return render_stores([store])[0]


def _render_store(store: VectorStore, tally: Tally, instant: datetime) -> dict[str, Any]:
    days = store.expires_after_days
    return {
        "id": store.id,
        "object": "vector_store",
        "created_at": int(store.created_at.timestamp()),
        "name": store.name,
        "description": store.description,
        "usage_bytes": tally.usage_bytes,
        "file_counts": _counts(tally),
        "status": _state_of_store(store, tally, instant),
        "expires_after": None if days is None else {"anchor": "last_active_at", "days": days},
        "expires_at": None if store.expires_at is None else int(store.expires_at.timestamp()),
        "last_active_at": int(store.last_active_at.timestamp()),
        "metadata": store.metadata,
    }


def _state_of_store(store: VectorStore, tally: Tally, instant: datetime) -> str:
    if store.expires_at is not None and store.expires_at <= instant:
        return EXPIRED
    return IngestionStatus.IN_PROGRESS.value if tally.in_progress else IngestionStatus.COMPLETED.value


def render_file(member: StoreFile) -> dict[str, Any]:
    """A file in a store: its id is the file's."""
    sizes = {"max_chunk_size_tokens": member.chunk_tokens, "chunk_overlap_tokens": member.overlap_tokens}
    error = {"code": member.error_code, "message": member.error_message} if member.error_code else None
    return {
        "id": member.file_id,
        "object": "vector_store.file",
        "usage_bytes": member.usage_bytes,
        "created_at": int(member.created_at.timestamp()),
        "vector_store_id": member.store_id,
        "status": member.status,
        "last_error": error,
        "chunking_strategy": {"type": "static", "static": sizes},
        "attributes": member.attributes,
    }


def render_files(members: Iterable[StoreFile]) -> list[dict[str, Any]]:
    return [render_file(member) for member in members]


def render_batch(batch: FileBatch) -> dict[str, Any]:
    tally = StoreFile.objects.tallies("batch_id", [batch.id])[batch.id]
    return {
        "id": batch.id,
        "object": "vector_store.file_batch",
        "created_at": int(batch.created_at.timestamp()),
        "status": _state_of_batch(tally),
        "vector_store_id": batch.store_id,
        "file_counts": _counts(tally),
    }


def _state_of_batch(tally: Tally) -> str:
    """``failed`` where nothing came of any file; a single one that failed is told by the counts."""
    if tally.in_progress:
        return IngestionStatus.IN_PROGRESS.value
    if tally.cancelled:
        return IngestionStatus.CANCELLED.value
    is_failed = tally.failed and not tally.completed
    return IngestionStatus.FAILED.value if is_failed else IngestionStatus.COMPLETED.value


def _counts(tally: Tally) -> dict[str, int]:
    return {name: getattr(tally, name) for name in COUNTED}


def render_content(texts: Sequence[str], next_page: str | None) -> dict[str, Any]:
    """What a file in a store was read as."""
    return {
        "object": "vector_store.file_content.page",
        "data": [_text(text) for text in texts],
        "has_more": next_page is not None,
        "next_page": next_page,
    }


def render_search(queries: Sequence[str], hits: Iterable[Hit]) -> dict[str, Any]:
    """What was found, best first.

    :param queries: as they were searched for.
    """
    return {
        "object": "vector_store.search_results.page",
        "search_query": list(queries),
        "data": [render_hit(hit) for hit in hits],
        "has_more": False,
        "next_page": None,
    }


def render_hit(hit: Hit) -> dict[str, Any]:
    return {
        "file_id": hit.file_id,
        "filename": hit.filename,
        "score": hit.score,
        "attributes": hit.attributes,
        "content": [_text(hit.text)],
    }


def render_deleted(identifier: str, kind: str) -> dict[str, Any]:
    """:param kind: ``vector_store`` or ``vector_store.file``."""
    return {"id": identifier, "object": f"{kind}.deleted", "deleted": True}


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
