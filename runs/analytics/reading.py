"""What roll-ups say of a window: the one door to their rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import FloatField, Q, Sum
from django.db.models.functions import Cast
from django.utils import timezone

from runs.analytics.measures import COUNTERS, SKETCHES, WORD_COUNTS, Measures
from runs.analytics.models import Rollup
from runs.analytics.querysets import RollupQuerySet
from runs.analytics.sketches import add_counts
from runs.analytics.windows import Period, Window, cover, readable, steps

Cell = tuple[Any, ...]  # the values of the columns that were asked for
MONEY = "cost"  # of billionths, which in a few rows may be more than SQLite adds up as integers
HEAVY = (*SKETCHES, *WORD_COUNTS)  # what the database cannot add up


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which runs are asked about; what is ``None`` does not matter.

    :ivar environment: without one all but those of trials, which nobody had deployed.
    """

    project_id: str
    assistant_ids: tuple[str, ...] | None = None
    version_id: str | None = None
    environment: str | None = None
    model: str | None = None
    key_id: str | None = None

    @property
    def rows(self) -> RollupQuerySet:
        rows = Rollup.objects.of_project(self.project_id)
        if self.assistant_ids is not None:
            rows = rows.filter(assistant_id__in=self.assistant_ids)
        names = ("version_id", "environment", "model", "key_id")
        rows = rows.filter(**{name: value for name in names if (value := getattr(self, name)) is not None})
        return rows if self.environment is not None else rows.exclude(environment=Rollup.TRIAL)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Of whatever projects and assistants: roll-ups that who asks has chosen."""

    rows: RollupQuerySet


def measured(question: Question | Chosen, window: Window) -> Measures:
    """What happened in a window, or as little more as is still kept of one that is long ago (see ``readable``)."""
    return measured_by(question, window, ()).get((), Measures())


def measured_by(
    question: Question | Chosen, window: Window, by: tuple[str, ...], of: Collection[str] = HEAVY
) -> dict[Cell, Measures]:
    """Likewise, by the values of columns of ``Rollup``: ``("assistant_id",)``, ``("version_id", "environment")``.

    :param of: what is read beside counters; the rest is empty.
    """
    spans = Q(pk__in=())
    for period, starts in cover(readable(window, timezone.now())).items():
        spans |= Q(period=period, start__in=starts)
    return _gathered(question.rows.filter(spans), by, of)


def series(
    question: Question | Chosen, window: Window, period: Period, of: Collection[str] = HEAVY
) -> list[tuple[datetime, Measures]]:
    """What happened in each period that a window touches, all of it, from the first to the last."""
    nothing = [(start, Measures()) for start in steps(window, period)]
    return series_by(question, window, period, (), of).get((), nothing)


def series_by(
    question: Question | Chosen, window: Window, period: Period, by: tuple[str, ...], of: Collection[str] = HEAVY
) -> dict[Cell, list[tuple[datetime, Measures]]]:
    """Likewise, by the values of columns."""
    starts = list(steps(window, period))
    found = _gathered(question.rows.filter(period=period, start__in=starts), (*by, "start"), of)
    cells = {cell[:-1] for cell in found}
    return {cell: [(start, found.get((*cell, start)) or Measures()) for start in starts] for cell in cells}


def _gathered(rows: RollupQuerySet, by: tuple[str, ...], of: Collection[str]) -> dict[Cell, Measures]:
    """The database adds up what are numbers; the rest is merged here."""
    found: dict[Cell, Measures] = {}
    for row in _sums(rows.order_by(), by):
        cell, counts = row[: len(by)], row[len(by) :]
        if counts[0] is not None:  # of no row at all there is one sum: nothing
            numbers: dict[str, Any] = {name: int(count) for name, count in zip(COUNTERS, counts, strict=True)}
            found[cell] = Measures(**numbers)
    columns = [name for name in HEAVY if name in of]
    kept: dict[Cell, list[tuple[Any, ...]]] = {}
    for row in rows.values_list(*by, *columns) if columns else ():
        kept.setdefault(row[: len(by)], []).append(row[len(by) :])
    for cell, every in kept.items():
        _take(found.setdefault(cell, Measures()), dict(zip(columns, zip(*every, strict=True), strict=True)))
    return found


def _sums(rows: RollupQuerySet, by: tuple[str, ...]) -> Iterable[tuple[Any, ...]]:
    sums = {f"sum_of_{name}": Sum(Cast(name, FloatField()) if name == MONEY else name) for name in COUNTERS}
    return rows.values_list(*by).annotate(**sums) if by else [tuple(rows.aggregate(**sums).values())]


def _take(measures: Measures, columns: dict[str, tuple[Any, ...]]) -> None:
    for name, values in columns.items():
        if name in WORD_COUNTS:
            for words in values:
                add_counts(getattr(measures, name), words)
        else:
            setattr(measures, name, type(getattr(measures, name)).load_all(values))
