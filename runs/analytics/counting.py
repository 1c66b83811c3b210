"""What happened goes into the roll-ups: every row once, however often this is interrupted.

A batch is one transaction, and only one runs at a time. It marks the rows and adds them to the roll-ups of all their
periods; after a crash both are done or neither. A late row is found like any other, and belongs to the period of its
own time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import structlog

from runs.analytics.cells import COLUMNS, unpack
from runs.analytics.measures import Measures
from runs.analytics.models import Counted, Rollup
from runs.analytics.sources import SOURCES, Dimensions, Source, Tally, runs_of
from runs.analytics.windows import KEPT, Period, floor, oldest_kept
from runs.analytics.writing import Written, write
from sovereign.core import errors
from sovereign.core.database import Busy, now, transact_alone

log = structlog.get_logger(__name__)

LOCK = 0x526F6C6C757073  # "Rollups"
PATIENCE = 0.2  # seconds that a batch waits for others' transactions; it is tried again anyway
DELETION_PATIENCE = 10.0  # seconds that who deletes a thread waits for a batch
BATCH = 1_000  # rows of each table, where somebody waits
PURGED = 500  # rows at once

#: what the sums of a period are made of; those of five minutes are made of what is counted
MADE_OF = {
    Period.HOUR: Period.MOMENT,
    Period.DAY: Period.HOUR,
    Period.WEEK: Period.DAY,
    Period.MONTH: Period.DAY,
}


class Cell(NamedTuple):
    """What a roll-up is known by, among those of its period."""

    start: datetime
    whose: Dimensions


Cells = dict[Cell, Measures]


def count_batch(limit: int) -> bool:
    """Count at most ``limit`` rows of each table, and of some a multiple of it; whether there may be more.

    :raises Busy: somebody else counts.
    """
    return transact_alone(partial(_count, limit), name=LOCK, patience=PATIENCE)


def count_thread(thread_id: str) -> None:
    """Count what a thread that is about to be deleted takes with it, in the caller's transaction.

    :raises ApiError: 503, others were counting for too long.
    """
    if not any(source.unmarked().filter(source.of_thread(thread_id)).exists() for source in SOURCES):
        return
    try:
        transact_alone(partial(_count_all, thread_id), name=LOCK, patience=DELETION_PATIENCE)
    except Busy:
        raise errors.unavailable("What the thread used is still being counted. Please retry.") from None


def _count_all(thread_id: str) -> None:
    while _count(BATCH, thread_id):
        pass


def _count(limit: int, thread_id: str | None = None) -> bool:
    taken = [(source, source.take(limit * source.weight, thread_id)) for source in SOURCES]
    runs = runs_of(chain.from_iterable(rows for _, rows in taken))
    tally = Tally()
    for source, rows in taken:
        if rows:
            _add(source, rows, tally, runs)
            source.mark(rows)
    _merge(tally)
    return any(len(rows) == limit * source.weight for source, rows in taken)


def _add(source: Source, rows: list[Any], tally: Tally, runs: Any) -> None:
    prepared = source.prepare(rows)
    for row in source.summed(rows):
        try:
            source.count(row, tally, runs, prepared)
        except Exception:  # one that nobody understands must not keep all others from being counted
            log.exception("row_not_counted", table=source.model._meta.db_table, id=getattr(row, "id", None))


# ------------------------------------------------------------------------------------------------ the roll-ups


def _merge(tally: Tally) -> None:
    """Add to the roll-ups; nobody else writes them meanwhile."""
    instant = now()
    for period, every in _by_period(tally).items():
        oldest = oldest_kept(period, instant)
        cells = {cell: measures for cell, measures in every.items() if cell.start >= oldest}
        for cell, row in _stored(period, cells):
            if cell in cells:
                cells[cell].add(unpack(row))
        write(Written(period.value, *cell, measures) for cell, measures in cells.items())


def _by_period(tally: Tally) -> dict[Period, Cells]:
    """A longer period is the sum of shorter ones, which are fewer than what was counted."""
    found: dict[Period, Cells] = {}
    for period in Period:
        cells: Cells = defaultdict(Measures)
        for (moment, whose), measures in (found[MADE_OF[period]] if period in MADE_OF else tally).items():
            cells[Cell(floor(moment, period), whose)].add(measures)
        found[period] = cells
    return found


def _stored(period: Period, wanted: Collection[Cell]) -> Iterable[tuple[Cell, dict[str, Any]]]:
    """The rows of a period that may be those, and a few more."""
    rows = Rollup.objects.filter(
        period=period,
        start__in={cell.start for cell in wanted},
        project_id__in={cell.whose.project_id for cell in wanted},
        assistant_id__in={cell.whose.assistant_id for cell in wanted},
        key_id__in={cell.whose.key_id for cell in wanted},
    )
    for row in rows.values("start", *Dimensions._fields, *COLUMNS):
        yield Cell(row["start"], Dimensions(*(row[name] for name in Dimensions._fields))), row


# ------------------------------------------------------------------------------------------------ how far it is


def note_counted(at: datetime) -> None:
    """Everything that was there at an instant is in the roll-ups."""
    if not Counted.objects.filter(at__lt=at).update(at=at):
        Counted.objects.bulk_create([Counted(at=at)], ignore_conflicts=True)


def purge() -> bool:
    """Delete some of the short periods that nobody can ask for any more; whether there may be more."""
    for period in KEPT:
        rows = (
            Rollup.objects.filter(period=period, start__lt=oldest_kept(period, now()))
            .order_by("start")
            .values_list("pk", flat=True)
        )
        if found := list(rows[:PURGED]):
            Rollup.objects.filter(pk__in=found).delete()
            return True
    return False
