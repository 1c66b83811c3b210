"""Metrics and how they change, as people read them."""

from __future__ import annotations

from typing import Any

from runs.analytics.metrics import Better, Metric, Unit
from runs.analytics.trends import Direction, Finding, Trend

NOTHING = "–"
ARROWS = {Direction.UP: "▲", Direction.DOWN: "▼", Direction.FLAT: "="}
JUDGED = {None: ("", ""), True: ("sv-success", ", better"), False: ("sv-danger", ", worse")}
LABELS = {"A": "success", "B": "success", "C": "warning", "D": "warning", "F": "danger"}


def shown(metric: Metric, value: float | None) -> str:
    """
    >>> from runs.analytics.metrics import METRICS
    >>> shown(METRICS["error_rate"], 0.0583), shown(METRICS["runs"], 1200), shown(METRICS["rating"], None)
    ('5.8 %', '1,200', '–')
    """
    if value is None:
        return NOTHING
    if metric.unit == Unit.SHARE:
        return f"{100 * value:.1f} %"
    if metric.unit == Unit.COUNT:
        return f"{value:,.0f}"
    if metric.unit == Unit.MEAN:
        return f"{value:.2f}"
    digits = f"{value:.3g}" if value < 1_000 else f"{value:,.0f}"
    return f"{digits} s" if metric.unit == Unit.SECONDS else digits


def changed(metric: Metric, trend: Trend) -> dict[str, Any]:
    """A change with its colour and what that means, which it has only where it is no chance."""
    if trend.direction is None:
        return {"words": NOTHING, "why": trend.finding.note or "", "colour": ""}
    is_told = trend.percent is not None and trend.direction != Direction.FLAT
    percent = f" {trend.percent:+,.0f} %" if is_told else ""
    is_up = trend.direction == Direction.UP
    is_better = None if metric.better == Better.NEITHER else is_up == (metric.better == Better.HIGHER)
    colour, judgement = JUDGED[
        is_better if trend.finding.is_significant and trend.direction != Direction.FLAT else None
    ]
    return {
        "words": f"{ARROWS[trend.direction]}{percent}{judgement}",
        "why": certainty(trend.finding),
        "colour": colour,
    }


def certainty(finding: Finding) -> str:
    if finding.p_value is None:
        return finding.note or ""
    return "sure" if finding.is_significant else "may be chance"
