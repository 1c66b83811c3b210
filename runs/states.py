"""The states of a run: one table. Everything that is not in it is illegal."""

from __future__ import annotations

from django.db import models


class Status(models.TextChoices):
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    REQUIRES_ACTION = "requires_action"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    EXPIRED = "expired"


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.IN_PROGRESS, Status.CANCELLING, Status.EXPIRED}),
    Status.IN_PROGRESS: frozenset(
        {
            Status.REQUIRES_ACTION,
            Status.COMPLETED,
            Status.INCOMPLETE,
            Status.FAILED,
            Status.CANCELLING,
            Status.EXPIRED,
        }
    ),
    Status.REQUIRES_ACTION: frozenset({Status.QUEUED, Status.CANCELLING, Status.EXPIRED}),
    # whoever ends a cancelling run ends it so, however far it had come and however late it is
    Status.CANCELLING: frozenset({Status.CANCELLED}),
    Status.CANCELLED: frozenset(),
    Status.FAILED: frozenset(),
    Status.COMPLETED: frozenset(),
    Status.INCOMPLETE: frozenset(),
    Status.EXPIRED: frozenset(),
}

TERMINAL = frozenset(status for status, successors in TRANSITIONS.items() if not successors)
ACTIVE = frozenset(TRANSITIONS) - TERMINAL
#: The states a stream of server-sent events ends in: the client has to act, or there is nothing more to come.
RESTING = TERMINAL | {Status.REQUIRES_ACTION}

#: The column that tells when a run came to its end, by the state it ended in.
ENDED_AT = {
    Status.CANCELLED: "cancelled_at",
    Status.FAILED: "failed_at",
    Status.COMPLETED: "completed_at",
    Status.INCOMPLETE: "completed_at",
}


class IllegalTransition(Exception):
    """A run was asked to take a step that its state does not allow, or somebody else changed it first."""
