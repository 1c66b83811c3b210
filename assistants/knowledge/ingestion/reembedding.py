"""Vectors of another model, in the background: for files that were made searchable with an earlier one, or with none.

The old vectors serve until the new ones are committed, file by file.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now

from assistants.knowledge import embedding
from assistants.knowledge.ingestion import leases, outcomes, work
from assistants.knowledge.ingestion.leases import MAXIMUM_CRASHES, Lease
from assistants.knowledge.models import Chunk, IngestionStatus, MemberVectors, StoreFile, VectorStore
from inference.chat import InferenceError
from sovereign.core.database import DatabaseExecutor, service

log = structlog.get_logger(__name__)

FIRST_DELAY = 30.0  # seconds until a file is tried again, doubled up to an hour
LONGEST_DELAY = 3600.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a store is: files that can be searched, those of them with vectors of ``model``, and those that wait for
    it, since it did not answer. Files that no worker can do are counted as done."""

    store_id: str
    model: str
    total: int
    done: int
    waiting: int


def under_way(stores: QuerySet[VectorStore]) -> list[Progress]:
    """Those of the stores with files whose vectors are of another model than the one that makes them now."""
    rows = StoreFile.objects.filter(status=IngestionStatus.COMPLETED, store__in=stores).order_by()
    is_left_alone, is_postponed = Q(crash_count__gte=MAXIMUM_CRASHES), Q(available_at__gt=Now())
    counted = rows.values_list("store__project_id", "store_id", "space").annotate(
        number=Count("id"), given_up=Count("id", filter=is_left_alone), waiting=Count("id", filter=is_postponed)
    )
    meant: dict[str, tuple[str, str] | None] = {}
    found: dict[str, list[int]] = {}
    models: dict[str, str] = {}
    for project_id, store_id, name, number, given_up, waiting in counted:
        if project_id not in meant:
            meant[project_id] = embedding.model_meant(project_id)
        if (current := meant[project_id]) is None:
            continue
        space = embedding.space_named(name)
        is_done = space is not None and (space.model, space.version) == current
        models[store_id] = current[0]
        sums = found.setdefault(store_id, [0, 0, 0])
        for place, amount in enumerate((number, number if is_done else given_up, 0 if is_done else waiting)):
            sums[place] += amount
    return [
        Progress(store_id, models[store_id], total, done, waiting)
        for store_id, (total, done, waiting) in found.items()
        if done < total
    ]


async def outdated(database: DatabaseExecutor) -> list[tuple[str, embedding.Space]]:
    """The projects with vectors of another space than the one that is made for them now, and that one."""
    found = []
    for project_id, spaces in (await database.run(_spaces)).items():
        try:
            current = await embedding.current_space(project_id)
        except InferenceError:
            continue  # it does not answer: the next look will tell
        if current is not None and spaces != {current.name}:
            found.append((project_id, current))
    return found


def _spaces() -> dict[str, set[str]]:
    """The spaces of each project's files."""
    rows = StoreFile.objects.filter(status=IngestionStatus.COMPLETED).order_by()
    found: dict[str, set[str]] = {}
    for project_id, space in rows.values_list("store__project_id", "space").distinct():
        found.setdefault(project_id, set()).add(space)
    return found


def claim(worker_id: str, project_id: str, space: str) -> Lease | None:
    """Take the oldest file of a project whose vectors are not of this space. Looks before it locks."""
    return _claim(worker_id, project_id, space) if _claimable(project_id, space).exists() else None


@service
def _claim(worker_id: str, project_id: str, space: str) -> Lease | None:
    rows = _claimable(project_id, space).order_by("created_at", "id")
    for member in rows.select_for_update(skip_locked=True, no_key=True, of=("self",))[:1]:
        return leases.take(member, project_id, worker_id)
    return None


def _claimable(project_id: str, space: str) -> QuerySet[StoreFile]:
    """One that killed its workers keeps what it has."""
    rows = leases.unheld().filter(status=IngestionStatus.COMPLETED, store__project_id=project_id).exclude(space=space)
    due = rows.filter(Q(available_at__isnull=True) | Q(available_at__lte=Now()))
    return due.filter(crash_count__lt=MAXIMUM_CRASHES)


async def reembed(lease: Lease, space: embedding.Space, database: DatabaseExecutor) -> None:
    """New vectors for one file, or another try later."""
    texts, width, retries = await database.run(_read, lease)
    try:
        vectors = await work.embed(texts, space, lease.project_id)
    except InferenceError as error:
        seconds = min(LONGEST_DELAY, FIRST_DELAY * 2.0**retries)
        log.warning("file_not_reembedded", member=lease.member_id, error=error.message)
        await database.run(outcomes.postpone, lease, seconds, work.NO_ANSWER)
        return
    if await database.run(outcomes.replace, lease, vectors, space.name, width):
        log.info("file_reembedded", member=lease.member_id, chunks=len(texts), space=space.name)


def _read(lease: Lease) -> tuple[list[str], int, int]:
    """The texts of a file's chunks, the width of their vectors, and how often it was tried."""
    texts = list(Chunk.objects.filter(member=lease.member_id).order_by("position").values_list("text", flat=True))
    width = MemberVectors.objects.filter(member=lease.member_id).values_list("width", flat=True).first() or 0
    return texts, width, outcomes.retries(lease)
