"""One transaction for everything a worker has to write, about all of its runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import InterfaceError, OperationalError

from runs.events import EventLog
from runs.models import Run
from runs.services.leases import Lease
from runs.services.recorder import Recorder
from runs.states import ACTIVE, Status
from sovereign.core.database import count_up, service
from threads import services as threads


@dataclass(slots=True)
class Operation:
    """Something to record about a run. ``locks_thread`` where a message begins or ends, or the run does."""

    apply: Callable[[Recorder], None]
    locks_thread: bool = False
    ends_run: bool = False


@dataclass(slots=True)
class Text:
    """A piece of a message; neighbouring pieces are joined before they are written, but a citation stands alone.

    :ivar index: the text's place among the message's parts.
    :ivar produced: of how many pieces of the engine's it was made.
    """

    message_id: str
    pieces: list[str]
    first: bool
    index: int = 0
    annotation: dict[str, Any] | None = None
    produced: int = 1

    @property
    def size(self) -> int:
        """Characters of its newest piece."""
        return len(self.pieces[-1])

    def absorb(self, other: Delta) -> bool:
        """Take in the delta that comes next, where it goes on with the same text."""
        if not isinstance(other, Text) or other.message_id != self.message_id or self.annotation or other.annotation:
            return False
        self.pieces += other.pieces
        self.produced += other.produced
        return True

    def apply(self, recorder: Recorder) -> None:
        recorder.append_text(
            self.message_id,
            "".join(self.pieces),
            first=self.first,
            index=self.index,
            annotations=[self.annotation] if self.annotation else [],
            pieces=self.produced,
        )


@dataclass(slots=True)
class CallText:
    """A piece of what a model writes of a tool call, joined like a message's text.

    :ivar type: of the call.
    :ivar field: of the call, that it is a piece of.
    """

    step_id: str
    index: int
    type: str
    field: str
    pieces: list[str]

    @property
    def size(self) -> int:
        """Characters of its newest piece."""
        return len(self.pieces[-1])

    def absorb(self, other: Delta) -> bool:
        """Take in the delta that comes next, where it goes on with the same call."""
        if not isinstance(other, CallText) or (other.step_id, other.index) != (self.step_id, self.index):
            return False
        self.pieces += other.pieces
        return True

    def apply(self, recorder: Recorder) -> None:
        delta = {"type": self.type, self.type: {self.field: "".join(self.pieces)}}
        recorder.append_to_call(self.step_id, self.index, delta, pieces=len(self.pieces))


@dataclass(slots=True)
class CallOutput:
    """What a tool that is carried out here lets clients see of its call. Logs that go on are joined like text."""

    step_id: str
    index: int
    delta: dict[str, Any]
    size: int  # characters

    def absorb(self, other: Delta) -> bool:
        """Take in the delta that comes next, where both are of the same logs."""
        if not isinstance(other, CallOutput) or (other.step_id, other.index) != (self.step_id, self.index):
            return False
        mine, its = _logs_of(self.delta), _logs_of(other.delta)
        if mine is None or its is None or mine["index"] != its["index"]:
            return False
        mine["logs"] += its["logs"]
        return True

    def apply(self, recorder: Recorder) -> None:
        recorder.append_to_call(self.step_id, self.index, self.delta)


def _logs_of(delta: dict[str, Any]) -> dict[str, Any] | None:
    """The one output of a delta, where it is logs."""
    outputs = delta[delta["type"]].get("outputs") or []
    return outputs[0] if len(outputs) == 1 and outputs[0]["type"] == "logs" else None


Delta = Text | CallText | CallOutput


@dataclass(slots=True)
class Batch:
    """What is to be written about one run, in order. ``number`` counts a lease's batches from 1."""

    lease: Lease
    number: int = 1
    items: list[Operation | Delta] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch: the run's status after it, or the error that only its own data caused."""

    status: str | None = None
    error: Exception | None = None


def flush(batches: Sequence[Batch]) -> dict[str, Outcome]:
    """Write all batches; a run that is missing from the answer was fenced, and nothing was written about it.

    When the shared transaction fails on somebody's data, each run is written in one of its own.
    """
    try:
        return _flush(batches)
    except (OperationalError, InterfaceError):
        raise  # the database, not the data: the worker keeps its batches and tries again
    except Exception as error:  # a row that is gone, data the database refuses: nothing of it may stop the others
        if len(batches) == 1:
            return {batches[0].lease.run_id: Outcome(error=error)}
    outcomes: dict[str, Outcome] = {}
    for batch in batches:
        outcomes.update(flush([batch]))
    return outcomes


@service
def _flush(batches: Sequence[Batch]) -> dict[str, Outcome]:
    locked = threads.lock_threads(batch.lease.thread_id for batch in batches if _locks_thread(batch))
    runs = _lock_held_runs(batches)
    applied: list[Batch] = []
    with EventLog() as log:
        for batch in batches:
            run = runs.get(batch.lease.run_id)
            if run is not None and run.lease_flushes < batch.number:
                _apply(batch, Recorder(log, run, locked.get(run.thread_id)))
                applied.append(batch)
        _note_numbers(applied, runs)
    return {run.id: Outcome(status=run.status) for run in runs.values()}


def _note_numbers(applied: Sequence[Batch], runs: Mapping[str, Run]) -> None:
    """A commit whose answer was lost is sent again with the same number, and found out by it."""
    steps = {batch.lease.run_id: batch.number - runs[batch.lease.run_id].lease_flushes for batch in applied}
    count_up(Run.objects.all(), "lease_flushes", steps)


def _apply(batch: Batch, recorder: Recorder) -> None:
    for item in batch.items:
        stopping = recorder.run.status == Status.CANCELLING
        if not stopping or (isinstance(item, Operation) and item.ends_run):
            item.apply(recorder)


def _locks_thread(batch: Batch) -> bool:
    return any(isinstance(item, Operation) and item.locks_thread for item in batch.items)


def _lock_held_runs(batches: Sequence[Batch]) -> dict[str, Run]:
    """The runs that are still this worker's, locked in the order of their ids."""
    leases = {batch.lease.run_id: batch.lease for batch in batches}
    rows = (
        Run.objects.filter(pk__in=list(leases), status__in=ACTIVE)
        .select_for_update(no_key=True, of=("self",))
        .order_by("id")
    )
    return {
        run.id: run
        for run in rows
        if run.lease_owner == leases[run.id].worker_id and run.lease_epoch == leases[run.id].epoch
    }
