"""Who makes which file searchable: claims, heartbeats, and giving back.

A lease is a worker's name, an epoch that every claim raises, and a time of the database's clock, as a run has them.
Whoever writes about a file filters by worker and epoch, so that a worker that was stopped and continues later changes
nothing. A file that is searchable is leased in the same way while it gets vectors of another model.

A worker that dies makes suspects of all the files it held. A suspect is worked on alone: what dies then dies of it, and
its neighbours do not become poison with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import Now

from assistants.knowledge.models import IngestionStatus, StoreFile
from sovereign.core.database import now, service

LEASE = timedelta(seconds=6)  # more than twice the heartbeat
HEARTBEAT = 2.0  # seconds
MAXIMUM_CRASHES = 3  # workers that may die over a file before it is taken for poison

#: of files that no living worker holds: one died that held it, or it is still in the name of one that did
_IS_SUSPECT = Q(crash_count__gt=0) | Q(lease_owner__isnull=False)


@dataclass(frozen=True, slots=True)
class Lease:
    member_id: int
    project_id: str
    worker_id: str
    epoch: int


def claim(*, worker_id: str, limit: int, of_project: int, executing: Mapping[int, str]) -> list[Lease]:
    """Take up to ``limit`` files: the next is always the oldest of the project that has the fewest being worked on.

    Where suspects wait, one of them is taken, once the worker has ended all else; until it is done, nothing is.

    Looks before it locks, so that an idle worker never takes the writer's lock.

    :param of_project: how many files of one project the worker may hold.
    :param executing: the worker's own files and their projects: a heartbeat that came late is no reason to take them
        from itself.
    """
    if limit < 1 or not (waiting := _waiting(executing)):
        return []
    deaths = _deaths(executing)
    if any(waiting.values()):
        return [] if deaths else _claim_suspect(worker_id)
    if any(deaths):
        return []
    turns = _turns(list(waiting), Counter(executing.values()), limit, of_project)
    return _claim(worker_id, turns, executing) if turns else []


def _waiting(executing: Collection[int]) -> dict[str, int]:
    """The projects with files to claim, the longest waiting first, and how many of each one's files are suspects."""
    files = claimable(executing).values("store__project_id")
    rows = files.annotate(oldest=Min("created_at"), suspects=Count("pk", filter=_IS_SUSPECT))
    return {row["store__project_id"]: row["suspects"] for row in rows.order_by("oldest", "store__project_id")}


def _turns(waiting: list[str], mine: Counter[str], limit: int, of_project: int) -> list[str]:
    """Whose files are taken, one after the other; a project may be named more often than it has files."""
    held = _held() if len(waiting) > 1 else Counter()  # one alone is always the next
    turns: list[str] = []
    while len(turns) < limit:
        free = [project_id for project_id in waiting if mine[project_id] < of_project]
        if not free:
            break
        chosen = min(free, key=lambda project_id: held[project_id])
        held[chosen] += 1
        mine[chosen] += 1
        turns.append(chosen)
    return turns


def _held() -> Counter[str]:
    """How many files of each project living workers hold."""
    held = StoreFile.objects.filter(status=IngestionStatus.IN_PROGRESS, lease_expires_at__gt=Now()).order_by()
    return Counter(held.values_list("store__project_id", flat=True))


def _deaths(executing: Collection[int]) -> list[int]:
    """How many workers died over each file that is being made searchable; new vectors are no danger."""
    rows = StoreFile.objects.filter(pk__in=list(executing), status=IngestionStatus.IN_PROGRESS)
    return list(rows.values_list("crash_count", flat=True)) if executing else []


@service
def _claim_suspect(worker_id: str) -> list[Lease]:
    rows = claimable().filter(_IS_SUSPECT).select_related("store").order_by("created_at", "id")
    locked = rows.select_for_update(skip_locked=True, no_key=True, of=("self",))[:1]
    return [take(member, member.store.project_id, worker_id) for member in locked]


@service
def _claim(worker_id: str, turns: list[str], executing: Collection[int]) -> list[Lease]:
    leases = []
    for project_id, number in Counter(turns).items():
        rows = claimable(executing).exclude(_IS_SUSPECT).filter(store__project_id=project_id)
        rows = rows.order_by("created_at", "id")
        for member in rows.select_for_update(skip_locked=True, no_key=True, of=("self",))[:number]:
            leases.append(take(member, project_id, worker_id))
    return leases


def take(member: StoreFile, project_id: str, worker_id: str) -> Lease:
    """Lease a row that the caller has locked; whoever held it before has died."""
    member.crash_count += member.lease_owner is not None
    member.lease_owner, member.lease_epoch, member.lease_expires_at = worker_id, member.lease_epoch + 1, now() + LEASE
    member.save(update_fields=["crash_count", "lease_owner", "lease_epoch", "lease_expires_at"])
    return Lease(member.pk, project_id, worker_id, member.lease_epoch)


def claimable(others: Collection[int] = ()) -> QuerySet[StoreFile]:
    """Files to be made searchable that no living worker holds, whose time has come, and that are no poison."""
    rows = unheld().filter(status=IngestionStatus.IN_PROGRESS).exclude(_is_poison())
    return rows.filter(Q(available_at__isnull=True) | Q(available_at__lte=Now())).exclude(pk__in=list(others))


def poisoned() -> QuerySet[StoreFile]:
    """Files that have taken too many workers with them."""
    return unheld().filter(_is_poison(), status=IngestionStatus.IN_PROGRESS)


def unheld() -> QuerySet[StoreFile]:
    """Files that no living worker holds."""
    return StoreFile.objects.filter(Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lte=Now()))


def _is_poison() -> Q:
    """The last worker died too (it never gave the lease back), and enough had died before it."""
    return Q(lease_owner__isnull=False, crash_count__gte=MAXIMUM_CRASHES - 1)


@service
def renew(worker_id: str, member_ids: Collection[int]) -> None:
    """The heartbeat: the files that the worker is really working on stay its for another lease."""
    held = _locked(StoreFile.objects.filter(lease_owner=worker_id, pk__in=list(member_ids)))
    StoreFile.objects.filter(pk__in=held).update(lease_expires_at=now() + LEASE)


def lost(leases: Collection[Lease]) -> set[int]:
    """The files of these leases that are not the holder's any more: cancelled, deleted, or taken by another."""
    rows = StoreFile.objects.filter(pk__in=[lease.member_id for lease in leases])
    epochs = {pk: (owner, epoch) for pk, owner, epoch in rows.values_list("pk", "lease_owner", "lease_epoch")}
    return {lease.member_id for lease in leases if epochs.get(lease.member_id) != (lease.worker_id, lease.epoch)}


@service
def give_back(worker_id: str) -> None:
    """Let other workers take everything this one still holds at once: an orderly stop, not a crash."""
    held = _locked(StoreFile.objects.filter(lease_owner=worker_id))
    StoreFile.objects.filter(pk__in=held).update(lease_owner=None, lease_expires_at=None)


def _locked(rows: QuerySet[StoreFile]) -> list[int]:
    """Lock rows in the order everybody locks them in: an UPDATE of several rows has none."""
    return list(rows.select_for_update(no_key=True).order_by("id").values_list("id", flat=True))
