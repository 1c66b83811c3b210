"""Ending runs that nobody else will end: overdue, cancelled without a worker, or poisonous."""

from __future__ import annotations

import structlog
from django.db import InterfaceError, OperationalError

from assistants.knowledge.services import stores
from assistants.knowledge.services.expiry import expire_files
from runs.events import EventLog
from runs.models import Run
from runs.querysets import MAXIMUM_CRASHES, RunQuerySet
from runs.services.recorder import Recorder
from runs.states import ACTIVE, Status
from sovereign.accounts.services import forget_answers
from sovereign.core.database import now, service
from threads import services as threads

log = structlog.get_logger(__name__)


def reap() -> int:
    """End every run that is due, each in a transaction of its own; returns how many there were.

    What is kept of answers for those who ask again is forgotten here too, once its time is over, and so are files
    and the stores of threads.
    """
    ended = 0
    for due, end in (
        (Run.objects.overdue(), end_overdue),
        (Run.objects.abandoned_cancels(), end_cancelled),
        (Run.objects.poisoned(), end_poisoned),
    ):
        for run_id in due.values_list("id", flat=True):
            try:
                ended += end(run_id)
            except (OperationalError, InterfaceError):
                raise  # the database, not the run
            except Exception:  # one run that cannot be ended must not keep all later ones alive
                log.exception("run_not_ended", run=run_id)
    forget_answers()
    expire_files()
    stores.remove_unused()
    return ended


def expire_if_due(run: Run) -> bool:
    """Lazy expiry: whoever reads an overdue run ends it; true where it was ended here."""
    return run.status in ACTIVE and run.expires_at <= now() and end_overdue(run.id)


def end_overdue_of(thread_id: str) -> None:
    """Lazy expiry of a thread's active run, which would keep the thread from its next."""
    for run_id in Run.objects.overdue().filter(thread_id=thread_id).values_list("id", flat=True):
        end_overdue(run_id)


@service
def end_overdue(run_id: str) -> bool:
    run = _lock(Run.objects.overdue(), run_id)
    if run is None:
        return False
    error = None
    if run.waiting_reason and run.status == Status.QUEUED:
        error = {"code": "server_error", "message": run.waiting_reason}
    with EventLog() as events:
        Recorder(events, run).end(Status.EXPIRED, last_error=error)
    log.info("run_overdue", run=run.id, ended=run.status)
    return True


@service
def end_cancelled(run_id: str) -> bool:
    run = _lock(Run.objects.abandoned_cancels(), run_id)
    if run is None:
        return False
    with EventLog() as events:
        Recorder(events, run).end(Status.CANCELLED)
    return True


@service
def end_poisoned(run_id: str) -> bool:
    run = _lock(Run.objects.poisoned(), run_id)
    if run is None:
        return False
    with EventLog() as events:
        Recorder(events, run).fail("server_error", f"{MAXIMUM_CRASHES} workers died while they worked on this run.")
    log.error("run_poisoned", run=run.id)
    return True


def _lock(due: RunQuerySet, run_id: str) -> Run | None:
    """The run if it is still due, its thread and itself locked; the epoch is raised, so its worker is fenced."""
    thread_id = Run.objects.filter(pk=run_id).values_list("thread_id", flat=True).first()
    if thread_id is None:
        return None
    threads.lock_threads([thread_id])
    run: Run | None = (
        due.select_related("configuration").select_for_update(no_key=True, of=("self",)).filter(pk=run_id).first()
    )
    if run is not None:
        run.lease_epoch += 1
        run.save(update_fields=["lease_epoch"])
    return run
