"""Who works on which run: claims, heartbeats, and giving back.

A lease is a worker's name, an epoch that every claim raises, and a time of the database's clock. Whoever writes
about a run filters by worker and epoch, so a worker that was stopped and continues later changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import TypedDict

from inference import gateway
from inference.chat import Attribution
from runs.events import EventLog
from runs.models import Run
from runs.querysets import RunQuerySet
from runs.services.recorder import Recorder
from runs.states import Status
from sovereign.accounts.services.quotas import Subject
from sovereign.core.database import now, service

LEASE = timedelta(seconds=6)  # more than twice the heartbeat
HEARTBEAT = 2.0  # seconds
CROWDED = "As many model calls of this {} run as may at once."
NOT_SERVED = "Nothing serves the model now."


class HeldBack(TypedDict):
    """As ``RunQuerySet.claimable`` takes it."""

    except_models: set[tuple[str, str]]
    except_keys: set[str]


@dataclass(frozen=True, slots=True)
class Lease:
    run_id: str
    thread_id: str
    worker_id: str
    epoch: int


def claim(*, worker_id: str, limit: int, executing: Collection[str] = ()) -> list[Lease]:
    """Take up to ``limit`` runs: the oldest first, and only those whose model can be called now.

    The rest stay queued and say why. Looks before it locks, so that an idle worker never takes the writer's lock.

    :param executing: the worker's own runs: a heartbeat that came late is no reason to take them from itself.
    """
    if limit < 1 or not Run.objects.claimable().exclude(pk__in=executing).exists():
        return []
    held_back = _held_back()
    if not Run.objects.claimable(**held_back).exclude(pk__in=executing).exists():
        return []
    return _claim(worker_id, limit, held_back, executing)


@service
def _claim(worker_id: str, limit: int, held_back: HeldBack, executing: Collection[str]) -> list[Lease]:
    rows = (
        Run.objects.claimable(**held_back)
        .exclude(pk__in=executing)
        .select_related("configuration")
        .select_for_update(skip_locked=True, no_key=True, of=("self",))
        .order_by("created_at", "id")[:limit]
    )
    instant = now()
    leases = []
    with EventLog() as log:
        for run in rows:
            run.crash_count += run.lease_owner is not None
            run.lease_owner, run.lease_epoch, run.lease_expires_at = worker_id, run.lease_epoch + 1, instant + LEASE
            run.lease_flushes = 0
            run.save(update_fields=["crash_count", "lease_owner", "lease_epoch", "lease_expires_at", "lease_flushes"])
            if run.status == Status.QUEUED:
                Recorder(log, run).move(Status.IN_PROGRESS, started_at=instant, waiting_reason="")
            leases.append(Lease(run.id, run.thread_id, worker_id, run.lease_epoch))
    return leases


def _held_back() -> HeldBack:
    """Which waiting runs are left where they are: nothing serves their model now, or as many calls of their project or
    key run as may at once. The runs are told the reason.
    """
    queued = Run.objects.claimable().filter(status=Status.QUEUED).order_by()
    waiting = set(queued.values_list("project_id", "created_by_key", "model"))
    full = gateway.crowded([Attribution(project=project_id, key=key) for project_id, key, _ in waiting])
    models: set[tuple[str, str]] = set()
    for project_id, model in {(project_id, model) for project_id, _, model in waiting}:
        reason = _why_not(project_id, model, full)
        if reason:
            models.add((project_id, model))
            _tell(Run.objects.filter(project_id=project_id, model=model), reason)
    keys = {key for _, key, _ in waiting if key is not None and Subject("key", key) in full}
    if keys:
        _tell(Run.objects.filter(created_by_key__in=keys), CROWDED.format("API key"))
    return {"except_models": models, "except_keys": keys}


def _why_not(project_id: str, model: str, full: Collection[Subject]) -> str:
    if Subject("project", project_id) in full:
        return CROWDED.format("project")
    availability = gateway.availability(model, project_id=project_id)
    return "" if availability.ready else availability.reason or NOT_SERVED


def _tell(runs: RunQuerySet, reason: str) -> None:
    reason = reason[:500]
    runs.filter(status=Status.QUEUED).exclude(waiting_reason=reason).update(waiting_reason=reason)


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
