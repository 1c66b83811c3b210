"""A run's thread as it was when the run began: its messages stay where they are, so positions tell."""

from __future__ import annotations

from datetime import datetime

from runs.models import Run, RunEvent
from runs.states import ENDED_AT, Status
from threads.context import Past
from threads.models import Message


def past_of(run: Run, at: datetime | None = None) -> Past:
    """What the run's model could see of its thread.

    :param at: when it was asked, which decides which summary there was; else when the run came to its end.
    """
    moment = at or ended_at(run) or run.expires_at
    return Past(_position(run), moment)


def ended_at(run: Run) -> datetime | None:
    """When it was over; ``None`` while it is not."""
    if not run.is_over:
        return None
    if (column := ENDED_AT.get(Status(run.status))) is not None and (moment := getattr(run, column)) is not None:
        return moment
    moments = RunEvent.objects.filter(run_id=run.pk).order_by("-seq").values_list("created_at", flat=True)
    return moments.first() or run.expires_at


def deleted_before(run: Run) -> int:
    """How many of the messages that stood before the run's answer are gone by now, whenever that was."""
    position = _position(run)
    return position - Message.objects.of_thread(run.thread_id).filter(position__lte=position).count()


def redacted_since(run: Run) -> int:
    """How many of those messages said something when the run began, and say it no more."""
    messages = Message.objects.of_thread(run.thread_id).filter(position__lte=_position(run))
    return messages.filter(redacted_at__gt=run.created_at).count()


def _position(run: Run) -> int:
    """Of the last message before the run's own. Nobody adds any while a run is at work on a thread."""
    messages = Message.objects.of_thread(run.thread_id)
    positions = messages.order_by("position").values_list("position", flat=True)
    first = positions.filter(run_id=run.pk).first()
    if first is not None:
        return first - 1
    end = ended_at(run)
    there = positions if end is None else positions.filter(created_at__lte=end)
    return there.last() or 0
