"""When a canary is taken back: how much worse than the version beside it its runs may be.

Kept at a deployment, all of them: ``{"error_rate", "latency_ratio", "thumbs_down_rate", "minimum_runs"}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sovereign.core.errors import ApiError

LEAST_PERCENT = Decimal("0.01")  # a canary's share is told in hundredths of a per cent
MOST_PERCENT = Decimal("99.99")
LARGEST_RATIO = 100.0
MOST_RUNS = 1_000_000

#: ``None`` instead of a number: it is not looked at. None is before ``minimum_runs`` of the canary's have ended.
DEFAULTS: dict[str, float | int | None] = {
    "error_rate": 0.1,  # of its runs, the failed ones
    "latency_ratio": 2.0,  # 95th percentile of its runs' time, as a multiple of the other one's
    "thumbs_down_rate": 0.3,  # of its answers that people rated
    "minimum_runs": 20,
}
LIMITS: dict[str, tuple[float, float]] = {
    "error_rate": (0.0, 1.0),
    "latency_ratio": (1.0, LARGEST_RATIO),
    "thumbs_down_rate": (0.0, 1.0),
    "minimum_runs": (1, MOST_RUNS),
}


def checked(thresholds: Mapping[str, Any] | None) -> dict[str, Any]:
    """All thresholds, with the defaults of those that are not given.

    :raises ApiError: 400, one is not known, or no number within its limits.
    """
    given = dict(thresholds or {})
    for name, value in given.items():
        if name not in DEFAULTS:
            raise ApiError(
                f"Unknown parameter: 'thresholds.{name[:64]}'.", param="thresholds", code="unknown_parameter"
            )
        _check(name, value)
    return {**DEFAULTS, **given}


def _check(name: str, value: Any) -> None:
    least, most = LIMITS[name]
    whole = isinstance(DEFAULTS[name], int)
    if value is None and not whole:
        return
    is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        kind = "an integer" if whole else "null, or a number"
        raise ApiError(
            f"Invalid 'thresholds.{name}': expected {kind} from {least} to {most}.",
            param=f"thresholds.{name}",
            code="invalid_value",
        )


def checked_percent(percent: Any) -> Decimal:
    """:raises ApiError: 400, no share of the threads."""
    share = Decimal(str(percent)).quantize(LEAST_PERCENT)
    if not LEAST_PERCENT <= share <= MOST_PERCENT:
        raise ApiError(
            f"Invalid 'percent': expected a number from {LEAST_PERCENT} to {MOST_PERCENT}; leave it out to put the "
            "version in service for all threads.",
            param="percent",
            code="invalid_value",
        )
    return share
