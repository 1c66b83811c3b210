"""What every worker does for analytics: one of them counts what happened, a little at a time; all of them grade."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

import structlog
from django.db import InterfaceError, OperationalError, connection

from runs.analytics import counting, grading
from runs.analytics.sources import is_anything_unmarked
from runs.worker.chores import to_its_end
from sovereign.core.database import Busy, in_database, now

log = structlog.get_logger(__name__)

LOOK = 5.0  # seconds until it is looked again whether there is anything to count
LEAST = 100  # rows of each table, however long they take; and as many as can be counted in …
TARGET = {"sqlite": 0.05, "postgresql": 2.0}  # … seconds, for which on SQLite all others who write wait
MOST = 20_000
REST = {"sqlite": 1.0, "postgresql": 0.2}  # after a batch, of the time that it took
PURGE = 3_600.0  # seconds
GRADE_LOOK = 60.0  # seconds until it is looked again whether a grade is to be made


@dataclass(slots=True)
class Counting:
    """How this worker counts.

    :ivar size: rows of a batch.
    :ivar began: when this pass did; ``None`` where nothing is left to do for this worker.
    :ivar took: seconds that the last batch did.
    """

    size: int = LEAST
    began: datetime | None = None
    took: float = 0.0
    purged_at: float = float("-inf")

    def look(self) -> None:
        self.began = now() if is_anything_unmarked() else None

    def count(self) -> None:
        """A batch."""
        begun, began, self.began = time.monotonic(), self.began, None
        try:
            is_more = counting.count_batch(self.size)
        except Busy:  # another worker does it
            return
        self.took = time.monotonic() - begun
        if is_more:
            self.began = began
            self.size = max(LEAST, min(MOST, 2 * self.size, round(self.size * TARGET[connection.vendor] / self.took)))
        elif began is not None:
            counting.note_counted(began)

    def purge(self) -> None:
        """A piece at a time, until there is nothing."""
        if time.monotonic() - self.purged_at > PURGE and not counting.purge():
            self.purged_at = time.monotonic()


_counting = Counting()


async def roll_up() -> None:
    """Count until everything is counted, resting after each batch."""
    await to_its_end(_counting.look)
    while _counting.began is not None:
        await to_its_end(_counting.count)
        await asyncio.sleep(_counting.took * REST[connection.vendor])
    await to_its_end(_counting.purge)
    await asyncio.sleep(LOOK)


async def keep_grades() -> None:
    """Make the grades that are due, one at a time."""
    for assistant_id, day in await in_database(lambda: grading.due(now())):
        await to_its_end(partial(_grade, assistant_id, day))
    await asyncio.sleep(GRADE_LOOK)


def _grade(assistant_id: str, day: date) -> None:
    try:
        grading.grade(assistant_id, day)
    except (OperationalError, InterfaceError):
        raise  # the database, not the assistant
    except Exception:  # one that cannot be graded must not keep the others
        log.exception("assistant_not_graded", assistant=assistant_id)
