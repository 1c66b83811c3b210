"""What roll-ups say as the API's objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from runs.analytics.comparing import Compared, Comparison
from runs.analytics.exporting import used
from runs.analytics.measures import WORD_COUNTS, Measures
from runs.analytics.metrics import Metric
from runs.analytics.models import Grade
from runs.analytics.summary import Line, Summary
from runs.analytics.trends import Finding, Trend
from runs.analytics.usage import Series
from runs.analytics.windows import Window
from threads.rendering import unix


def render_window(window: Window, as_of: datetime | None) -> dict[str, Any]:
    return {"start": unix(window.start), "end": unix(window.end), "as_of": unix(as_of)}


def render_metric(metric: Metric, measures: Measures, trend: Trend) -> dict[str, Any]:
    change = {"direction": trend.direction, "percent": trend.percent, "before": trend.before}
    return {
        **_described(metric),
        "value": metric.value(measures),
        "trend": {**change, **_found(trend.finding)},
    }


def render_words(measures: Measures) -> dict[str, dict[str, int]]:
    """What went wrong and which tools were called, the most frequent first."""
    counts = {name: Counter(getattr(measures, name)) for name in WORD_COUNTS}
    return {name: dict(one.most_common()) for name, one in counts.items()}


def render_series(one: Series) -> dict[str, Any]:
    return {"group": one.group, "points": [{"start": unix(start), **used(each)} for start, each in one.points]}


def render_comparison(comparison: Comparison, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """:param items: what was compared, as it is told."""
    order = [{**items[place], "item": place, "mean_rank": comparison.mean_ranks[place]} for place in comparison.order]
    return {
        "object": "assistant.comparison",
        "items": list(items),
        "metrics": [_compared(one) for one in comparison.metrics],
        "order": order,
    }


def _compared(one: Compared) -> dict[str, Any]:
    finding = None if one.finding is None else _found(one.finding)
    return {**_described(one.metric), "values": one.values, "ranks": one.ranks, "first_against_second": finding}


def render_summary(summary: Summary) -> dict[str, Any]:
    return {
        "object": "assistant.summary",
        "assistants": summary.assistants,
        "total": _values(summary.metrics, summary.total),
        "data": [_line(line, summary.metrics) for line in summary.lines],
        "has_more": len(summary.lines) < summary.assistants,
    }


def _line(line: Line, metrics: Iterable[Metric]) -> dict[str, Any]:
    told = {"assistant_id": line.assistant_id, "name": line.name, "health": _graded(line.grade)}
    return {**told, "metrics": _values(metrics, line.measures)}


def _graded(grade: Grade | None) -> dict[str, Any] | None:
    return None if grade is None else {"day": grade.day.isoformat(), "grade": grade.letter, "score": grade.score}


def _values(metrics: Iterable[Metric], measures: Measures) -> dict[str, float | None]:
    return {metric.name: metric.value(measures) for metric in metrics}


def _described(metric: Metric) -> dict[str, str]:
    return {"name": metric.name, "title": metric.title, "unit": metric.unit.value, "better": metric.better.value}


def _found(finding: Finding) -> dict[str, Any]:
    return {"is_significant": finding.is_significant, "p_value": finding.p_value, "note": finding.note}
