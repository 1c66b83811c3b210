"""Whose turn it is to be summed up: taken under a lease, for a model may take long and a worker may die."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, F, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Least, Now

from runs.conversations.models import REASON_LENGTH, Compression, Conversation
from sovereign.core.database import now, service
from sovereign.core.visible import storable
from threads.models import Thread

LEASE = timedelta(seconds=20)
PATIENCE = timedelta(minutes=1)  # for the end of a run: whoever says something at once is not waited for any longer
PAUSE = timedelta(seconds=10)  # after the first failure, and twice as long after each further one
MOST_ATTEMPTS = 8  # in a row; then it is left alone until somebody says something again
MOST_OF_PROJECT = 2  # conversations of one project that are summed up at the same time: fewer than one worker can
LOOKED_AT = 8  # of those whose turn it is: another worker may take the first ones meanwhile
DIED = "The workers that made it ended meanwhile."
#: One that somebody works at is marked anew, so that whoever works at it sees that there was more.
MARKED = Case(When(summary_lease_owner__isnull=False, then=Now()), default=Coalesce("summary_due_at", Now()))


@dataclass(frozen=True, slots=True)
class Claimed:
    """A conversation that this worker sums up, by ``token``.

    :ivar due: the mark that it was taken for.
    :ivar attempt: how many there were in a row, with this one; what is above :data:`MOST_ATTEMPTS` is not counted.
    """

    conversation_id: str
    token: str
    due: datetime
    attempt: int


def mark_of(conversation: Conversation) -> dict[str, Any]:
    """What makes one be looked at, in whoever changes its row: it stays as it is where that is to come already."""
    return {"summary_due_at": MARKED} if conversation.compression == Compression.SUMMARY else {}


def mark_thread(thread_id: str) -> None:
    """Something has changed of how its conversation, if there is one, is cut."""
    summed_up = Conversation.objects.filter(thread_id=thread_id, compression=Compression.SUMMARY, ended_at=None)
    summed_up.update(summary_due_at=MARKED)


def claim() -> Claimed | None:
    """Take one that no other worker has. Where there is none, this is one small query.

    Of one project only some are taken at the same time: an engine that hangs must not hold up everybody's.
    """
    waiting = _due().exclude(project_id__in=_full()).order_by("summary_due_at")
    rows: Any = waiting.values_list("pk", "summary_due_at", "summary_attempts", "summary_lease_owner")
    for pk, due, attempts, owner in list(rows[:LOOKED_AT]):
        if owner is not None and attempts >= MOST_ATTEMPTS:
            _give_up(pk)
        elif token := _take(pk):
            return Claimed(pk, token, due, min(attempts + 1, MOST_ATTEMPTS))
    return None


def _due() -> QuerySet[Conversation]:
    """While a run is at work there may be more to come: only who never is between two runs is looked at meanwhile."""
    rests = Q(thread__active_run_id=None) | Q(summary_due_at__lte=Now() - PATIENCE)
    return _free().filter(rests)


def _free() -> QuerySet[Conversation]:
    nobodys = Q(summary_lease_expires_at=None) | Q(summary_lease_expires_at__lte=Now())
    return Conversation.objects.filter(nobodys, summary_due_at__lte=Now())


def _full() -> QuerySet[Any]:
    """Projects of which no more are taken now."""
    held = Conversation.objects.filter(summary_due_at__isnull=False, summary_lease_expires_at__gt=Now())
    counts = held.order_by().values("project_id").annotate(number=Count("id"))
    return counts.filter(number__gte=MOST_OF_PROJECT).values("project_id")


@service
def _give_up(pk: str) -> None:
    """Its last attempt came to no end of its own: it may be what ends the workers."""
    taken = _free().filter(pk=pk, summary_lease_owner__isnull=False)
    taken.update(summary_due_at=None, summary_lease_owner=None, summary_lease_expires_at=None, summary_error=DIED)


@service
def _take(pk: str) -> str | None:
    token = secrets.token_hex(16)
    taken = (
        _free()
        .filter(pk=pk)
        .update(
            summary_lease_owner=token,
            summary_lease_expires_at=now() + LEASE,
            summary_attempts=Least(F("summary_attempts") + 1, Value(MOST_ATTEMPTS)),
        )
    )
    return token if taken else None


def held(claimed: Claimed) -> Any:
    """The conversation, as long as it is this worker's."""
    return Conversation.objects.filter(pk=claimed.conversation_id, summary_lease_owner=claimed.token)


@service
def renew(claimed: Claimed) -> None:
    """Say that the worker lives."""
    held(claimed).update(summary_lease_expires_at=now() + LEASE)


@service
def give_back(claimed: Claimed) -> None:
    """Leave it to another worker at once, as if it had not been taken."""
    _let_go(claimed, summary_attempts=F("summary_attempts") - 1)


@service
def line_up(claimed: Claimed) -> None:
    """Some of it is summed up; the rest is, when others had their turn."""
    _let_go(claimed, summary_due_at=now(), summary_attempts=0, summary_error="")


@service
def rest(claimed: Claimed) -> None:
    """There is no more to be summed up now; a run that is at work may bring more."""
    busy = held(claimed).filter(thread_id__in=Thread.objects.filter(active_run_id__isnull=False))
    due = now() if busy.exists() else _unless_marked(claimed)
    _let_go(claimed, summary_due_at=due, summary_attempts=0, summary_error="")


@service
def postpone(claimed: Claimed, reason: str) -> None:
    """It could not be summed up; the reason is told to those who talk."""
    is_last = claimed.attempt >= MOST_ATTEMPTS
    due = _unless_marked(claimed) if is_last else now() + PAUSE * 2 ** (claimed.attempt - 1)
    _let_go(claimed, summary_due_at=due, summary_error=storable(reason, REASON_LENGTH))


def _unless_marked(claimed: Claimed) -> Case:
    """Not due any more; where something has changed since it was taken, it is looked at once more."""
    return Case(When(summary_due_at__lte=claimed.due, then=None), default=F("summary_due_at"))


def _let_go(claimed: Claimed, **fields: Any) -> None:
    held(claimed).update(summary_lease_owner=None, summary_lease_expires_at=None, **fields)
