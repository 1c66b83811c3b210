"""What a client does to a run that exists: read, modify, cancel, submit tool outputs."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from django.db import connection, transaction

from runs import asked
from runs.events import EventLog
from runs.models import Run, RunStep
from runs.querysets import RunQuerySet
from runs.services import calls
from runs.services.creation import Begun
from runs.services.reaping import end_overdue, end_overdue_of, expire_if_due
from runs.services.recorder import Recorder
from runs.states import Status
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import RUNS_WRITE
from sovereign.core import bus, errors
from sovereign.core.database import only_row, service
from threads import services as threads
from threads.models import Thread

T = TypeVar("T")

SHOWN = 64  # characters of a call's id that an error repeats
CANCELLABLE = frozenset({Status.QUEUED, Status.IN_PROGRESS, Status.REQUIRES_ACTION})


def get_run(*, principal: Principal, thread_id: str, run_id: str) -> Run:
    """The run with its configuration; one past its end of life is expired on the way.

    :raises ApiError: 404 for the thread or the run.
    """
    run = _find(principal, thread_id, run_id)
    if expire_if_due(run):
        run = _find(principal, thread_id, run_id)
    return run


def list_runs(thread: Thread, *, principal: Principal) -> RunQuerySet:
    """The runs of a thread the principal may see, with their configurations, as far as they know their assistants.

    The active one is expired where it is due.
    """
    if thread.active_run_id:
        end_overdue_of(thread.id)
    runs: RunQuerySet = Run.objects.filter(thread_id=thread.id).known_to(principal).select_related("configuration")
    return runs


def get_step(*, principal: Principal, thread_id: str, run_id: str, step_id: str) -> tuple[Run, RunStep]:
    """:raises ApiError: 404 for the thread, the run or the step."""
    run = get_run(principal=principal, thread_id=thread_id, run_id=run_id)
    step = only_row(RunStep.objects.of_run(run.id).filter(pk=step_id))
    if step is None:
        raise errors.not_found("run step", step_id)
    return run, step


def _find(principal: Principal, thread_id: str, run_id: str) -> Run:
    runs = Run.objects.on_threads_of(principal).select_related("configuration")
    run = only_row(runs.filter(pk=run_id, thread_id=thread_id))
    if run is None or not _knows(principal, run):
        threads.get_thread(principal=principal, thread_id=thread_id)
        raise errors.not_found("run", run_id)
    return run


def _knows(principal: Principal, run: Run) -> bool:
    """As ``known_to`` says it; most who ask began the run, and then nothing is asked."""
    is_own = principal.key_id == run.created_by_key and principal.user_id == run.created_by_user
    return is_own or Run.objects.known_to(principal).filter(pk=run.pk).exists()


def expire_overdue(*, principal: Principal, thread_id: str, run_id: str) -> None:
    """Lazy expiry of a run somebody may see, which is told nothing else about."""
    if Run.objects.on_threads_of(principal).overdue().filter(pk=run_id, thread_id=thread_id).exists():
        end_overdue(run_id)


def changes_run(function: Callable[..., T]) -> Callable[..., T]:
    """A service that changes one run of ``(principal, thread_id, run_id)``: its scope, and lazy expiry before it.

    The refusal of an expired run must not take its expiry back, so that has a transaction of its own. Who calls from
    inside a transaction has to see to it before they begin one, as ``ChangingView`` does.
    """
    in_transaction = service(function)

    @functools.wraps(function)
    def inner(*, principal: Principal, thread_id: str, run_id: str, **request: Any) -> T:
        principal.require(RUNS_WRITE)
        if not connection.in_atomic_block:
            expire_overdue(principal=principal, thread_id=thread_id, run_id=run_id)
        return in_transaction(principal=principal, thread_id=thread_id, run_id=run_id, **request)

    return inner


@changes_run
def update_run(*, principal: Principal, thread_id: str, run_id: str, **fields: Any) -> Run:
    """Replace a run's ``metadata`` where it is given (``None`` empties it): the one thing that may change."""
    run = _lock(principal, thread_id, run_id)
    if "metadata" in fields:
        run.metadata = fields["metadata"] or {}
        run.save(update_fields=["metadata"])
    return run


@changes_run
def cancel_run(*, principal: Principal, thread_id: str, run_id: str) -> Run:
    """Ask for a run's end. Its worker ends it, or the next look of a reaper where no worker holds it.

    :raises ApiError: 400, the run is over or already being cancelled.
    """
    run = _lock(principal, thread_id, run_id)
    if run.status not in CANCELLABLE:
        raise errors.ApiError(f"Cannot cancel run with status '{run.status}'.")
    with EventLog() as log:
        Recorder(log, run).move(Status.CANCELLING, required_action=None)
    audit.record(principal, "run.cancelled", run)
    transaction.on_commit(partial(bus.publish, bus.RUN_WAITING, {"run": run.id}))
    return run


@changes_run
def submit_tool_outputs(
    *, principal: Principal, thread_id: str, run_id: str, tool_outputs: list[dict[str, Any]]
) -> Begun:
    """Give the outputs of all pending calls and queue the run again; its stream goes on from the cursor.

    A request for approval (:mod:`runs.services.approvals`) is such a call, and its answer the output.

    :param tool_outputs: ``tool_call_id`` and ``output``. The published schema lets the id be left out: the output is
        then that of the only call that waits.
    :raises ApiError: 400 where the run does not wait for outputs, or they are not exactly those it waits for, or one
        does not answer its request.
    """
    run = _lock(principal, thread_id, run_id)
    if run.status != Status.REQUIRES_ACTION:
        raise errors.ApiError(f'Runs in status "{run.status}" do not accept tool outputs.')
    step = RunStep.objects.of_run(run.id).filter(status=RunStep.StepStatus.IN_PROGRESS).latest("position")
    expected = [call["id"] for call in asked.waiting(step.tool_calls, step.asked)]
    if len(expected) == len(tool_outputs) == 1:
        tool_outputs = [{"tool_call_id": expected[0], **tool_outputs[0]}]
    given = [output.get("tool_call_id") for output in tool_outputs]
    if Counter(expected) != Counter(given):
        shown = [call_id and call_id[:SHOWN] for call_id in given[: asked.MOST_CALLS]]
        raise errors.ApiError(f"Expected tool outputs for call_ids {expected}, got {shown}")
    cursor = run.last_seq
    with EventLog() as log:
        recorder = Recorder(log, run)
        calls.take_outputs(recorder, step, {output["tool_call_id"]: output["output"] for output in tool_outputs})
        recorder.move(Status.QUEUED, required_action=None)
    _record_answers(principal, run, [step.asked[call_id] for call_id in expected if call_id in step.asked])
    transaction.on_commit(partial(bus.publish, bus.RUN_WAITING, {"run": run.id}))
    return Begun(run, cursor)


def _record_answers(principal: Principal, run: Run, entries: list[asked.Entry]) -> None:
    """Note who consented to what, and who did not."""
    for entry in entries:
        action = "run.call_approved" if entry["approval"] == asked.Approval.GIVEN else "run.call_refused"
        audit.record(principal, action, run, tool=entry["tool"])


def cancel_active(principal: Principal, thread_ids: Sequence[str]) -> None:
    """Have nobody work on threads any longer, as far as anybody does. Their runs are locked by their ids, as ever."""
    if not principal.allows(RUNS_WRITE):
        return
    active = Run.objects.filter(thread_id__in=thread_ids, status__in=CANCELLABLE).order_by("id")
    for run_id, thread_id in list(active.values_list("id", "thread_id")):
        with suppress(errors.ApiError):  # it ended just now
            cancel_run(principal=principal, thread_id=thread_id, run_id=run_id)


def lock_runs_of(thread_id: str) -> None:
    """Lock a thread's runs before it is deleted: an event that a worker is just writing would outlive its run."""
    list(Run.objects.filter(thread_id=thread_id).select_for_update().order_by("id").values_list("id", flat=True))


def _lock(principal: Principal, thread_id: str, run_id: str) -> Run:
    """The run, its thread and itself locked, in that order."""
    thread = threads.lock_thread(principal=principal, thread_id=thread_id)
    runs = Run.objects.select_related("configuration").select_for_update(no_key=True, of=("self",))
    run = only_row(runs.filter(pk=run_id, thread_id=thread_id))
    if run is None or not _knows(principal, run):
        raise errors.not_found("run", run_id)
    run.thread = thread
    return run
