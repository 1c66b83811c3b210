"""The event log: what may stand in it, and the one function that assigns ``seq``."""

from __future__ import annotations

import functools
from collections import Counter
from datetime import UTC
from typing import Any

from django.db import transaction

from runs.models import DayTokens, Run, RunEvent
from sovereign.core import bus
from sovereign.core.database import count_up, now

THREAD_CREATED = "thread.created"
RUN_PREFIX = "thread.run."
STEP_PREFIX = "thread.run.step."
RUN_CREATED = "thread.run.created"
STEP_CREATED = "thread.run.step.created"
STEP_IN_PROGRESS = "thread.run.step.in_progress"
STEP_DELTA = "thread.run.step.delta"
MESSAGE_CREATED = "thread.message.created"
MESSAGE_IN_PROGRESS = "thread.message.in_progress"
MESSAGE_DELTA = "thread.message.delta"
MESSAGE_COMPLETED = "thread.message.completed"
MESSAGE_INCOMPLETE = "thread.message.incomplete"
WAITED_FOR = "waited_for"  # what an event keeps of why its run was queued; no client sees it


class EventLog:
    """Collects the events of one transaction and writes them at its end.

    The runs it is given are locked by the caller: ``seq`` goes on from ``Run.last_seq``, which was read under that
    lock, so the API, a worker and the reaper may all append, and no process carries a number across transactions.
    Used as a context manager inside a transaction; nothing is written when the block raises.
    """

    def __init__(self) -> None:
        self._rows: list[RunEvent] = []
        self._appended: Counter[str] = Counter()
        self._tokens: Counter[tuple[str, str, str]] = Counter()

    def append(self, run: Run, type: str, data: dict[str, Any]) -> int:
        """Add an event and return its number."""
        run.last_seq += 1
        self._appended[run.pk] += 1
        self._rows.append(RunEvent(run_id=run.pk, seq=run.last_seq, type=type, data=data))
        return run.last_seq

    def count(self, run: Run, tokens: int) -> None:
        """Add to what the run's assistant has used of the day in its environment; outside of them nothing is counted.

        Written last: all that many runs write to is locked for a moment only, and in the order everybody locks it in.
        """
        if run.environment and run.assistant_id:
            self._tokens[run.assistant_id, run.environment, run.project_id] += tokens

    def pending(self, run: Run) -> list[RunEvent]:
        """The run's events of this transaction that are not in the table yet."""
        return [row for row in self._rows if row.run_id == run.pk]

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        if self._rows:
            self._write()
        if self._tokens:
            self._write_tokens()

    def _write(self) -> None:
        RunEvent.objects.bulk_create(self._rows)
        count_up(Run.objects.all(), "last_seq", self._appended)
        told = {"runs": list(self._appended)}
        transaction.on_commit(functools.partial(bus.publish, bus.RUN_EVENTS, told))

    def _write_tokens(self) -> None:
        day = now().astimezone(UTC).date()
        for (assistant_id, environment, project_id), tokens in sorted(self._tokens.items()):
            DayTokens.objects.add(
                tokens, day, assistant_id=assistant_id, environment=environment, project_id=project_id
            )
