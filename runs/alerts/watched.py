"""What rules may watch: every metric, and health as one number."""

from __future__ import annotations

from dataclasses import dataclass

from runs.analytics.metrics import METRICS, Metric, Unit

HEALTH = "health"
MOST = 1e12  # of what has no end of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """
    :ivar highest: that a threshold may be.
    :ivar known_without_runs: no run is a number, too: nought.
    """

    name: str
    title: str
    unit: Unit
    highest: float
    known_without_runs: bool

    def shown(self, value: float) -> str:
        """A value as people read it.

        >>> WATCHED["error_rate"].shown(0.125), WATCHED["response_p95"].shown(3.21), WATCHED["runs"].shown(1200)
        ('12.5 %', '3.21 s', '1,200')
        """
        if self.unit == Unit.SHARE:
            return f"{_plain(value * 100)} %"
        return f"{_plain(value)} s" if self.unit == Unit.SECONDS else _plain(value)


def _plain(value: float) -> str:
    """
    >>> _plain(0.000123456), _plain(15.0), _plain(1234.56)
    ('0.000123', '15', '1,235')
    """
    if value == round(value) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _watched(metric: Metric) -> Watched:
    return Watched(
        name=metric.name,
        title=metric.title,
        unit=metric.unit,
        highest=1.0 if metric.unit == Unit.SHARE else MOST,
        known_without_runs=metric.spread is None and metric.name != "cost_per_run"
        and metric.unit in (Unit.COUNT, Unit.MONEY),
    )  # fmt: skip


WATCHED: dict[str, Watched] = {
    **{metric.name: _watched(metric) for metric in METRICS.values()},
    HEALTH: Watched(name=HEALTH, title="Health", unit=Unit.MEAN, highest=100.0, known_without_runs=False),
}
