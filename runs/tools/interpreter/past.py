"""What the earlier code of a thread has left: its session, and its files. Functions of the ORM."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from runs.asked import KEPT
from runs.models import Run, RunStep, ToolUse
from runs.outcomes import Outcome
from runs.querysets import ToolUseQuerySet
from runs.tools.interpreter.outputs import TYPE

NOT_MADE = (Outcome.REPEATED, Outcome.SPENT, Outcome.REFUSED)
STEPS = 100  # with code, of a thread: the newest are looked at


def has_run_code(thread_id: str) -> bool:
    """Whether a call of the code interpreter was carried out in the thread before."""
    return _uses(thread_id).exclude(outcome__in=NOT_MADE).exists()


def last_session(thread_id: str) -> str:
    """The id of the session that the thread's last code ran in; "" if there is none."""
    return next((kept["session"] for kept in _kept(thread_id) if kept.get("session")), "")


def made_files(thread_id: str) -> dict[str, str]:
    """The ids of the files that the thread's code has made, by their paths; of several at one path the newest."""
    newest_last = reversed(list(_kept(thread_id)))
    return dict(chain.from_iterable(kept.get("files", {}).items() for kept in newest_last))


def _kept(thread_id: str) -> Iterator[dict[str, Any]]:
    """What was kept of each call that ran code, the newest first."""
    steps = RunStep.objects.filter(pk__in=_uses(thread_id).values("step_id")).order_by("-run__created_at", "-position")
    for asked in steps.values_list("asked", flat=True)[:STEPS]:
        yield from (entry[KEPT] for entry in reversed(asked.values()) if KEPT in entry)


def _uses(thread_id: str) -> ToolUseQuerySet:
    runs = Run.objects.filter(thread_id=thread_id).values("pk")
    return ToolUse.objects.filter(run_id__in=runs, kind=TYPE)
