"""Who works on which run: claims, heartbeats, and giving back.

A lease is a worker's name, an epoch that every claim raises, and a time of the database's clock. Whoever writes
about a run filters by worker and epoch, so a worker that was stopped and continues later changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

from runs.events import WAITED_FOR, EventLog
from runs.models import Run
from runs.querysets import RunQuerySet
from runs.services.recorder import Recorder
from runs.services.shares import Share, are_of, settled_slots, share_of
from runs.services.waiting import Openings, Owner, look, owners_of
from runs.states import Status
from sovereign.accounts.services.quotas import Subject
from sovereign.core.database import now, service

LEASE = timedelta(seconds=6)  # more than twice the heartbeat
HEARTBEAT = 2.0  # seconds
BY_AGE = ("created_at", "id")
WAITING = (Status.QUEUED, Status.IN_PROGRESS)  # the states of which runs may be claimed


@dataclass(frozen=True, slots=True)
class Lease:
    run_id: str
    thread_id: str
    worker_id: str
    epoch: int


def claim(*, worker_id: str, limit: int, executing: Collection[str] = ()) -> list[Lease]:
    """Take up to ``limit`` runs: the oldest first, and only those whose model can be called now. Of a project or key
    whose model calls are limited only as many as may still begin, and of an assistant as many as its scale says.

    The rest stay queued and say why. Looks before it locks, so that an idle worker never takes the writer's lock.

    :param executing: the worker's own runs: a heartbeat that came late is no reason to take them from itself.
    """
    if limit < 1 or (openings := look(executing)) is None:
        return []
    return _claim(worker_id, limit, openings, executing)


@service
def _claim(worker_id: str, limit: int, openings: Openings, executing: Collection[str]) -> list[Lease]:
    instant = now()
    leases = []
    with EventLog() as log:
        for run in _choose(limit, openings, executing):
            run.crash_count += run.lease_owner is not None
            run.lease_owner, run.lease_epoch, run.lease_expires_at = worker_id, run.lease_epoch + 1, instant + LEASE
            run.lease_flushes = 0
            run.save(update_fields=["crash_count", "lease_owner", "lease_epoch", "lease_expires_at", "lease_flushes"])
            if run.status == Status.QUEUED:
                waited_for = {WAITED_FOR: run.waiting_reason} if run.waiting_reason else {}
                Recorder(log, run).move(Status.IN_PROGRESS, kept=waited_for, started_at=instant, waiting_reason="")
            leases.append(Lease(run.id, run.thread_id, worker_id, run.lease_epoch))
    return leases


def _choose(limit: int, openings: Openings, executing: Collection[str]) -> list[Run]:
    """Lock the oldest runs, but of a project, a key and an assistant no more than they have places left.

    Those that are passed over keep nobody out: where there were any, the next ones are looked at too.
    """
    left, chosen, settled = dict(openings.left), list[Run](), set[Share]()
    while len(chosen) < limit:
        runs = _claimable(openings, left, [*executing, *(run.pk for run in chosen)])
        rows = _next(runs, limit - len(chosen), openings.ranked)
        if openings.scaled is not None:
            found = {share_of(run) for run in rows if run.assistant_id and run.environment} - settled
            for share, slots in settled_slots(found, known=openings.scaled).items():
                left[share] = slots
            settled |= found
        taken = [run for run in rows if _takes_place(run, left)]
        chosen += taken
        if len(taken) == len(rows):
            break
    return chosen


def _next(runs: RunQuerySet, limit: int, ranked: Collection[str]) -> list[Run]:
    """The oldest, locked. In the place of each that belongs to a project with priorities comes its most urgent one.

    So a project's priorities order its own runs, and put none before another project's.
    """
    locked = runs.select_related("configuration").select_for_update(skip_locked=True, no_key=True, of=("self",))
    if not ranked:
        return list(locked.order_by(*BY_AGE)[:limit])
    turns = Counter(runs.order_by(*BY_AGE).values_list("project_id", flat=True)[:limit])
    return [
        run
        for project_id, places in turns.items()
        for run in _most_urgent(locked.filter(project_id=project_id), places)
    ]


def _most_urgent(runs: RunQuerySet, places: int) -> list[Run]:
    """Of a project's. Each state is asked for alone: then an index has those that are queued in this order."""
    each = (runs.filter(status=status).order_by("-priority", *BY_AGE)[:places] for status in WAITING)
    return sorted(chain.from_iterable(each), key=lambda run: (-run.priority, run.created_at, run.id))[:places]


def _claimable(openings: Openings, left: Mapping[Owner, int], others: Collection[str]) -> RunQuerySet:
    full = [owner for owner, places in left.items() if places < 1]
    runs = Run.objects.claimable(
        models=openings.models,
        except_projects=[owner.id for owner in full if isinstance(owner, Subject) and owner.kind == "project"],
        except_keys=[owner.id for owner in full if isinstance(owner, Subject) and owner.kind == "key"],
    )
    if shares := [owner for owner in full if isinstance(owner, Share)]:
        runs = runs.exclude(are_of(shares))
    if openings.spent:
        runs = runs.exclude(are_of(openings.spent), started_at=None)
    return runs.exclude(pk__in=others)


def _takes_place(run: Run, left: dict[Owner, int]) -> bool:
    limited = [owner for owner in owners_of(run) if owner in left]
    if any(left[owner] < 1 for owner in limited):
        return False
    for owner in limited:
        left[owner] -= 1
    return True


@service
def renew(worker_id: str, run_ids: Collection[str]) -> None:
    """The heartbeat: the runs that the worker is really executing stay its for another lease."""
    held = _locked(Run.objects.held_by(worker_id).filter(pk__in=run_ids))
    Run.objects.filter(pk__in=held).update(lease_expires_at=now() + LEASE)


def look_at(run_ids: Collection[str]) -> dict[str, tuple[int, str]]:
    """How runs stand, as ``{run id: (epoch, status)}``; one that is missing was deleted.

    Another epoch than a holder's means that it lost the run. Where it ended the run itself the epoch is still its own.
    """
    rows = Run.objects.filter(pk__in=run_ids).values_list("id", "lease_epoch", "status")
    return {run_id: (epoch, status) for run_id, epoch, status in rows}


@service
def give_back(worker_id: str) -> None:
    """Let other workers take everything this one still holds at once: an orderly stop, not a crash."""
    held = _locked(Run.objects.held_by(worker_id))
    Run.objects.filter(pk__in=held).update(lease_owner=None, lease_expires_at=None)


def _locked(runs: RunQuerySet) -> list[str]:
    """Lock rows in the order everybody locks them in: an UPDATE of several rows has none."""
    return list(runs.select_for_update(no_key=True).order_by("id").values_list("id", flat=True))
