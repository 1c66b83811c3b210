"""Whether a metric has changed, by how much, and whether that can be chance."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from django.utils import timezone

from runs.analytics.measures import Measures
from runs.analytics.metrics import Metric
from runs.analytics.reading import Question, measured_by, series_by
from runs.analytics.significance import Part, of_counts, of_means, of_ranks, of_shares, of_tails
from runs.analytics.sketches import Spread
from runs.analytics.windows import Period, Window, following, readable, steps

SIGNIFICANT = 0.01  # some thirty metrics are looked at together: of twenty, one would differ at 0.05 by chance
FLAT = 0.01  # a change that is none, of the value before
LEAST_VALUES = 10  # in each sample, of runs, calls, opinions; below there is nothing to say
LEAST_DAYS = 5  # whole ones, in each
MEDIAN = 0.5

NOTHING_BEFORE = "There is nothing to compare with."
NOTHING_NOW = "There is nothing in this time."
TOO_FEW_VALUES = f"Fewer than {LEAST_VALUES} values on one side."
SAME_DAYS = "On each side all days are the same: they do not say how much days differ."
TOO_FEW_DAYS = f"Fewer than {LEAST_DAYS} whole days with values on one side."


class Direction(StrEnum):
    UP = "up"
    DOWN = "down"
    FLAT = "flat"


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of a window: all of it, and each of its whole days.

    :ivar length: of what was read, as far as it is over.
    """

    whole: Measures = field(default_factory=Measures)
    days: Sequence[Measures] = ()
    length: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Whether two readings differ by more than chance.

    :ivar p_value: how likely they were to differ so much if they did not; ``None`` where ``note`` says why.
    """

    p_value: float | None = None
    note: str | None = None

    @property
    def is_significant(self) -> bool | None:
        return None if self.p_value is None else self.p_value < SIGNIFICANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """
    :ivar before: the metric's value in the time before.
    :ivar percent: the change, of that; of what grows with time, for as much time.
    """

    before: float | None
    direction: Direction | None
    percent: float | None
    finding: Finding


def read(question: Question, window: Window, metrics: Collection[Metric]) -> Reading:
    """As much of a window as the metrics need."""
    return read_by(question, window, metrics, ()).get((), _nothing_in(window))


def read_each(questions: Collection[Question], window: Window, metrics: Collection[Metric]) -> list[Reading]:
    """Likewise of several, each about one assistant: those that differ in nothing else are read together."""
    ids_of: dict[Question, list[str]] = {}
    for one in questions:
        ids_of.setdefault(replace(one, assistant_ids=None), []).extend(one.assistant_ids or ())
    found = {
        (rest, cell[0]): reading
        for rest, ids in ids_of.items()
        for cell, reading in read_by(
            replace(rest, assistant_ids=tuple(ids)), window, metrics, ("assistant_id",)
        ).items()
    }
    nothing = _nothing_in(window)
    return [
        found.get((replace(one, assistant_ids=None), assistant_id), nothing)
        for one in questions
        for assistant_id in one.assistant_ids or ()
    ]


def read_by(
    question: Question, window: Window, metrics: Collection[Metric], by: tuple[str, ...]
) -> dict[tuple[str, ...], Reading]:
    """Likewise, by columns of the roll-ups: of those that there are."""
    span = _readable(window)
    days, length = set(_whole_days(span)), _length(span)
    wholes = measured_by(question, span, by, _needed(metrics))
    every = series_by(question, span, Period.DAY, by, _needed(one for one in metrics if _is_by_days(one)))
    return {
        cell: Reading(whole, [one for start, one in every.get(cell, ()) if start in days], length)
        for cell, whole in wholes.items()
    }


def _nothing_in(window: Window) -> Reading:
    span = _readable(window)
    return Reading(days=[Measures() for _ in _whole_days(span)], length=_length(span))


def _readable(window: Window) -> Window:
    """What is read of a window: of one that is long ago a little more, which counts for as long as it is."""
    return readable(window, timezone.now())


def _length(span: Window) -> timedelta:
    """How long it is so far."""
    return min(span.end, timezone.now()) - span.start


def _whole_days(span: Window) -> list[datetime]:
    return [day for day in steps(span, Period.DAY) if span.start <= day and following(day, Period.DAY) <= span.end]


def trend(metric: Metric, now: Reading, before: Reading) -> Trend:
    """How a metric has changed from one window to the next."""
    value, was = metric.value(now.whole), metric.value(before.whole)
    if value is None or was is None:
        note = NOTHING_NOW if value is None else NOTHING_BEFORE
        return Trend(before=was, direction=None, percent=None, finding=Finding(note=note))
    expected = was * (now.length / before.length) if metric.is_sum else was
    change = value - expected
    direction = Direction.UP if change > 0 else Direction.DOWN
    return Trend(
        before=was,
        direction=Direction.FLAT if abs(change) <= FLAT * abs(expected) else direction,
        percent=100 * change / expected if expected else None,
        finding=find(metric, now, before),
    )


def find(metric: Metric, one: Reading, other: Reading) -> Finding:
    """Whether a metric differs between two readings, by the test that fits what it is."""
    if metric.part is not None:
        return _of_shares(metric.part(one.whole), metric.part(other.whole))
    if metric.spread is not None and metric.share is not None:
        return _of_spreads(getattr(one.whole, metric.spread), getattr(other.whole, metric.spread), metric.share)
    of_days = _of_days(_values(metric, one), _values(metric, other))
    return _of_events(metric, one, other, of_days) if metric.is_of_events else of_days


def _of_shares(one: Part, other: Part) -> Finding:
    if min(one[1], other[1]) < LEAST_VALUES:
        return Finding(note=TOO_FEW_VALUES)
    return Finding(p_value=of_shares(one, other))


def _of_spreads(one: Spread, other: Spread, share: float) -> Finding:
    """The ranks say whether the middle moved; what is at the ends they say little about."""
    if min(one.count, other.count) < LEAST_VALUES:
        return Finding(note=TOO_FEW_VALUES)
    return Finding(p_value=of_ranks(one, other) if share == MEDIAN else of_tails(one, other, share))


def _of_days(one: Sequence[float], other: Sequence[float]) -> Finding:
    if min(len(one), len(other)) < LEAST_DAYS:
        return Finding(note=TOO_FEW_DAYS)
    chance = of_means(one, other)
    return Finding(p_value=chance, note=SAME_DAYS if chance is None else None)


def _of_events(metric: Metric, one: Reading, other: Reading, of_days: Finding) -> Finding:
    """They differ by chance at least as much as single events do; by more, where the days do: they come in bursts."""
    mine, others = (int(metric.value(each.whole) or 0) for each in (one, other))
    if mine + others < LEAST_VALUES:
        return Finding(note=TOO_FEW_VALUES)
    chances = (of_counts(mine, others, one.length / (one.length + other.length)), of_days.p_value)
    return Finding(p_value=max(chance for chance in chances if chance is not None))


def _values(metric: Metric, reading: Reading) -> list[float]:
    values = (metric.value(day) for day in reading.days)
    return [value for value in values if value is not None]


def _is_by_days(metric: Metric) -> bool:
    return metric.part is None and metric.spread is None


def _needed(metrics: Iterable[Metric]) -> set[str]:
    return {name for metric in metrics for name in metric.needs}
