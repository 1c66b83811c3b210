"""The charts of an assistant's page, and the table that says the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from runs.analytics.admin.charts import Chart, Point, bars, line
from runs.analytics.admin.words import shown
from runs.analytics.measures import Measures
from runs.analytics.metrics import METRICS, Metric
from runs.analytics.models import Grade
from runs.analytics.windows import Period
from sovereign.core import times

#: the columns of the table
LISTED = [METRICS[name] for name in ("runs", "failed", "users", "response_p95", "tokens", "cost", "satisfaction")]
NEEDED = {column for metric in LISTED for column in metric.needs}
NAMES = {Period.HOUR: "hour", Period.DAY: "day", Period.WEEK: "week"}

Series = Sequence[tuple[datetime, Measures]]


def charts_of(series: Series, period: Period) -> list[Chart]:
    each = NAMES[period]
    drawn = [
        bars_of(series, period, METRICS["runs"], f"Runs a {each}, those that failed in red", bad=METRICS["failed"]),
        _line(series, period, METRICS["response_p95"], "Seconds that 95 % of the answers took"),
        bars_of(series, period, METRICS["tokens"], f"Tokens a {each}"),
    ]
    if any(measures.cost for _, measures in series):
        drawn.append(bars_of(series, period, METRICS["cost"], f"Cost a {each}"))
    return drawn


def chart_of_grades(history: Sequence[Grade]) -> Chart | None:
    """One grade is no line."""
    if len(history) < 2:
        return None
    points = [Point(f"{one.day:%Y-%m-%d}", one.score, f"{one.day:%Y-%m-%d}: {one}") for one in history]
    summary = f"From {history[0]} on {points[0].label} to {history[-1]} on {points[-1].label}."
    return line("grades", "Grades by day", points, summary, top=100)


def table_of(series: Series, period: Period) -> list[dict[str, Any]]:
    """The newest first."""
    return [
        {"start": _label(start, period), "values": [shown(metric, metric.value(measures)) for metric in LISTED]}
        for start, measures in reversed(series)
        if measures.runs or measures.calls
    ]


def bars_of(
    series: Series, period: Period, metric: Metric, title: str, bad: Metric | None = None, name: str = ""
) -> Chart:
    """
    :param bad: what of it went wrong.
    :param name: where a page has more than one chart of a metric.
    """
    points = [
        Point(
            label := _label(start, period),
            metric.value(measures),
            f"{label}: {shown(metric, metric.value(measures))}{_bad_words(bad, measures)}",
            bad=(bad.value(measures) or 0) if bad is not None else 0,
        )
        for start, measures in series
    ]
    return bars(name or metric.name, title, points, _summary(metric, points))


def _line(series: Series, period: Period, metric: Metric, title: str) -> Chart:
    points = [
        Point(label := _label(start, period), value := metric.value(measures), f"{label}: {shown(metric, value)}")
        for start, measures in series
    ]
    return line(metric.name, title, points, _summary(metric, points))


def _bad_words(bad: Metric | None, measures: Measures) -> str:
    return "" if bad is None else f", {shown(bad, bad.value(measures))} failed"


def _summary(metric: Metric, points: Sequence[Point]) -> str:
    known = [(point.value, point.label) for point in points if point.value]
    if not known:
        return "There is nothing in this time."
    value, label = max(known)
    return f"The most is {shown(metric, value)}, on {label}. The table below has every figure."


def _label(start: datetime, period: Period) -> str:
    if period == Period.HOUR:
        return times.clock(start, zone=False)
    return f"{start:%Y-%m-%d}"
