"""What an assistant used, period by period, as a whole or in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from runs.analytics.measures import DISTINCTS, Measures
from runs.analytics.reading import Question, series, series_by
from runs.analytics.windows import Period, Window

#: What groups may be made by, with the column of roll-ups.
GROUPS = {"version": "version_id", "environment": "environment", "model": "model", "key": "key_id"}
MOST_GROUPS = 20  # that are told one by one

Points = Sequence[tuple[datetime, Measures]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """
    :ivar group: the version, environment, model or key, empty for what has none; ``None``: all that is not told apart.
    :ivar points: every period, with nothing where nothing was.
    """

    group: str | None
    points: Points


def usage(question: Question, window: Window, period: Period, group_by: str | None) -> list[Series]:
    """One series of all, or one for each group: those with the most runs, and one of the rest.

    :param group_by: of ``GROUPS``.
    """
    if group_by is None:
        return [Series(group=None, points=series(question, window, period, DISTINCTS))]
    found = series_by(question, window, period, (GROUPS[group_by],), DISTINCTS)
    every = sorted(found.items(), key=lambda pair: (-_runs(pair[1]), pair[0]))
    told = [Series(group=cell[0], points=points) for cell, points in every[:MOST_GROUPS]]
    rest = [points for _, points in every[MOST_GROUPS:]]
    return [*told, Series(group=None, points=_together(rest))] if rest else told


def _runs(points: Points) -> int:
    return sum(one.runs for _, one in points)


def _together(every: Sequence[Points]) -> Points:
    """Series of the same periods as one."""
    starts = [start for start, _ in every[0]]
    return [(start, Measures.total(points[place][1] for points in every)) for place, start in enumerate(starts)]
