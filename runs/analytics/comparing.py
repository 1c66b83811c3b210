"""Assistants, versions or environments side by side: who is best at what, whether that is chance, and in all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from runs.analytics.metrics import Better, Metric
from runs.analytics.trends import Finding, Reading, find


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A metric of all of them, in the order in which they were given.

    :ivar ranks: from 1, the same for the same value; ``None`` for whom nothing is known of, and for all where neither
        more nor less is better.
    :ivar finding: of the first against the second, where there are both.
    """

    metric: Metric
    values: list[float | None]
    ranks: list[int | None]
    finding: Finding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    :ivar mean_ranks: of all metrics that rank; who is unknown in one is behind the others there. ``None``: none does.
    :ivar order: the places of the readings, best first.
    """

    metrics: list[Compared]
    mean_ranks: list[float | None]
    order: list[int]


def compare(readings: Sequence[Reading], metrics: Sequence[Metric]) -> Comparison:
    compared = [_compared(metric, readings) for metric in metrics]
    counting = [one.ranks for one in compared if any(rank is not None for rank in one.ranks)]
    means = [_mean_rank([ranks[place] for ranks in counting], last=len(readings)) for place in range(len(readings))]
    order = sorted(range(len(readings)), key=lambda place: (means[place] or 0, place))
    return Comparison(metrics=compared, mean_ranks=means, order=order)


def _mean_rank(ranks: Sequence[int | None], last: int) -> float | None:
    return fmean(last if rank is None else rank for rank in ranks) if ranks else None


def _compared(metric: Metric, readings: Sequence[Reading]) -> Compared:
    values = [metric.value(reading.whole) for reading in readings]
    order = [] if metric.better == Better.NEITHER else _best_first(values, metric.better)
    ranks = [None if value is None or not order else 1 + _ahead(value, values, metric.better) for value in values]
    finding = find(metric, *(readings[place] for place in order[:2])) if len(order) > 1 else None
    return Compared(metric=metric, values=values, ranks=ranks, finding=finding)


def _best_first(values: Sequence[float | None], better: Better) -> list[int]:
    known = [(value, place) for place, value in enumerate(values) if value is not None]
    sign = -1 if better == Better.HIGHER else 1
    return [place for _, place in sorted(known, key=lambda pair: (sign * pair[0], pair[1]))]


def _ahead(value: float, values: Sequence[float | None], better: Better) -> int:
    return sum(other is not None and (other > value if better == Better.HIGHER else other < value) for other in values)
