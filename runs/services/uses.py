"""The rows that say which tools were used, and for how long."""

from __future__ import annotations

from runs.asked import Entry, State
from runs.models import Run, RunStep, ToolUse
from runs.outcomes import Outcome
from sovereign.core.database import now

LONGEST = 600.0  # seconds that a call counts whose end nobody saw


def note(run: Run, step: RunStep, call_id: str, outcome: Outcome, seconds: float) -> None:
    """Write down that a call of ``step.asked`` was made, or was not."""
    entry = step.asked[call_id]
    ToolUse.objects.create(
        call_id=call_id,
        project_id=run.project_id,
        key_id=run.created_by_key,
        user_id=run.created_by_user,
        assistant_id=run.assistant_id,
        thread_id=run.thread_id,
        run_id=run.id,
        step_id=step.id,
        kind=entry.get("kind", ""),
        tool=entry["tool"],
        outcome=outcome,
        milliseconds=round(seconds * 1000),
    )


def note_cut(run: Run, step: RunStep) -> None:
    """The same of the calls that had begun when their step ended."""
    for call_id, entry in step.asked.items():
        if entry["state"] == State.STARTED:
            note(run, step, call_id, Outcome.CANCELLED, seconds_since_start(entry))


def seconds_since_start(entry: Entry) -> float:
    """How long ago a call was begun of which nobody noted the end."""
    begun = entry.get("started_at")
    return 0.0 if begun is None else min(LONGEST, max(0.0, now().timestamp() - begun))
