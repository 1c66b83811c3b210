"""How sizes, ages and states are said to people."""

from __future__ import annotations

from datetime import datetime, timedelta

from assistants.knowledge.models import IngestionStatus, StoreFile, VectorStore
from assistants.knowledge.querysets import Tally

UNITS = ("bytes", "KB", "MB", "GB", "TB")
#: The colours of labels, as the theme names them.
LABELS = {
    IngestionStatus.IN_PROGRESS: "info",
    IngestionStatus.COMPLETED: "success",
    IngestionStatus.FAILED: "danger",
    IngestionStatus.CANCELLED: "default",
}
#: What a state is called, alone and with a number before it.
STATES = {
    IngestionStatus.IN_PROGRESS: "being read",
    IngestionStatus.COMPLETED: "ready",
    IngestionStatus.FAILED: "failed",
    IngestionStatus.CANCELLED: "cancelled",
}
NO_FILES = "No file is in it yet."
EMPTY, BEING_READ, READY, SOME_FAILED, EXPIRED = "empty", "being read", "ready", "some files failed", "expired"
STORE_LABELS = {EMPTY: "default", BEING_READ: "info", READY: "success", SOME_FAILED: "warning", EXPIRED: "danger"}


def size(number: int) -> str:
    """
    >>> size(0), size(1_023), size(1_024), size(1_500_000)
    ('0 bytes', '1,023 bytes', '1.0 KB', '1.4 MB')
    """
    if number < 1_024:
        return f"{number:,} bytes"
    amount, unit = float(number), 0
    while amount >= 1_024 and unit < len(UNITS) - 1:
        amount, unit = amount / 1_024, unit + 1
    return f"{amount:.1f} {UNITS[unit]}"


def age(moment: datetime, instant: datetime) -> str:
    """
    >>> noon = datetime(2026, 1, 1, 12)
    >>> [age(noon - timedelta(seconds=seconds), noon) for seconds in (5, 60, 7_200, 90_000)]
    ['just now', '1 minute', '2 hours', '1 day']
    """
    seconds = (instant - moment).total_seconds()
    for length, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {name}{'' if number == 1 else 's'}"
    return "just now"


def files(number: int) -> str:
    """
    >>> files(1), files(1_200)
    ('1 file', '1,200 files')
    """
    return f"{number:,} file{'' if number == 1 else 's'}"


def pieces(number: int) -> str:
    """
    >>> pieces(0), pieces(1), pieces(7)
    ('Nothing', '1 piece', '7 pieces')
    """
    return "Nothing" if number == 0 else f"{number} piece{'' if number == 1 else 's'}"


def state_of(member: StoreFile) -> str:
    """What a file's state in a store is called: a file that is not begun waits."""
    if member.status == IngestionStatus.IN_PROGRESS and not member.lease_owner and not member.progress:
        return "waiting"
    return STATES[IngestionStatus(member.status)]


def summary(tally: Tally) -> str:
    """
    >>> summary(Tally(completed=2, failed=1)), summary(Tally())
    ('3 files: 2 ready, 1 failed', 'No file is in it yet.')
    """
    parts = [f"{number:,} {STATES[status]}" for status in STATES if (number := getattr(tally, status.value))]
    return f"{files(tally.total)}: {', '.join(parts)}" if parts else NO_FILES


def state_of_store(tally: Tally) -> str:
    """What its files' states come to; one of those with a label."""
    if tally.in_progress:
        return BEING_READ
    if tally.failed:
        return SOME_FAILED
    return READY if tally.completed else EMPTY


def is_expired(store: VectorStore, instant: datetime) -> bool:
    return store.expires_at is not None and store.expires_at <= instant


def expiry(store: VectorStore, instant: datetime) -> str:
    """When a store will not be searched any more, where nobody uses it."""
    if store.expires_at is None:
        return "never"
    if is_expired(store, instant):
        return EXPIRED
    left = store.expires_at - instant
    return "in less than a day" if left < timedelta(days=1) else f"in {left.days} day{'' if left.days == 1 else 's'}"
