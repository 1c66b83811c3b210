"""What is good enough, how much each part of a grade weighs, and what a number is worth beside what is wanted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db import models

SURE = 1.2816  # standard deviations: what is called certain is so in nine of ten cases
BEST = 100.0
LEAST = 1.0  # of any part, so that what the others are worth is still seen
WORST_SHARE = 1.0
WORST_TIMES = 10.0  # so many times what is wanted are worth nothing
BEST_RATING, WORST_RATING = 5, 1
MOST_WEIGHT = 100.0


class Part(models.TextChoices):
    """What a grade is made of."""

    RELIABILITY = "reliability", "Reliability"
    SPEED = "speed", "Speed"
    SATISFACTION = "satisfaction", "Satisfaction"
    TOOLS = "tools", "Tools"
    COMPLETION = "completion", "Completion"
    COST = "cost", "Cost"


WEIGHTS: dict[str, float] = {
    Part.RELIABILITY.value: 30,
    Part.SPEED.value: 20,
    Part.SATISFACTION.value: 20,
    Part.TOOLS.value: 10,
    Part.COMPLETION.value: 10,
    Part.COST.value: 10,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    :ivar default: ``None`` for what counts only where a project has set it.
    :ivar lowest: of what may be wanted; ``highest`` likewise.
    """

    title: str
    default: float | None
    lowest: float
    highest: float


def _at_most(title: str, default: float) -> Target:
    return Target(title=title, default=default, lowest=0.0001, highest=0.99)


def _seconds(title: str, default: float) -> Target:
    return Target(title=title, default=default, lowest=0.01, highest=86_400)


TARGETS: dict[str, Target] = {
    "error_rate": _at_most("Share of runs that may fail", 0.01),
    "response_p95": _seconds("Seconds that 95 % of the answers may take", 30),
    "first_token_p95": _seconds("Seconds that 95 % of the first words may take", 5),
    "satisfaction": Target(title="Share of thumbs that should point up", default=0.9, lowest=0.01, highest=0.9999),
    "rating": Target(title="Score that conversations should be given", default=4.5, lowest=1.01, highest=4.99),
    "tool_error_rate": _at_most("Share of tool calls that may fail", 0.02),
    "unfinished_rate": _at_most("Share of runs that may be cancelled or expire", 0.05),
    "cost_per_run": Target(title="What a run may cost", default=None, lowest=1e-9, highest=1e9),
}


@dataclass(frozen=True, slots=True)
class Standards:
    """What a project wants, the defaults where it said nothing."""

    weights: Mapping[str, float] = field(default_factory=WEIGHTS.copy)
    targets: Mapping[str, float | None] = field(
        default_factory=lambda: {name: target.default for name, target in TARGETS.items()}
    )

    @classmethod
    def over_defaults(cls, weights: Mapping[str, float], targets: Mapping[str, float]) -> Standards:
        standards = cls()
        return cls({**standards.weights, **weights}, {**standards.targets, **targets})


def certain_share(some: int | float, every: int) -> float:
    """The least share that such numbers speak for: the lower end of Wilson's interval. Few numbers speak for little.

    >>> [round(certain_share(some, every), 2) for some, every in ((1, 2), (1, 10), (100, 1000), (0, 5))]
    [0.16, 0.03, 0.09, 0.0]
    """
    if not some:
        return 0.0
    share, square = some / every, SURE**2
    middle = share + square / (2 * every)
    width = SURE * math.sqrt(share * (1 - share) / every + square / (4 * every**2))
    return max(0.0, (middle - width) / (1 + square / every))


def score_of(value: float, wanted: float, worst: float) -> float:
    """100 up to what is wanted, then less with each time that it is doubled, down to 0 at the worst.

    >>> [round(score_of(value, 0.01, WORST_SHARE)) for value in (0, 0.01, 0.02, 0.1, 1)]
    [100, 100, 85, 50, 0]
    """
    if value <= wanted:
        return BEST
    return max(0.0, BEST * (1 - math.log(value / wanted) / math.log(worst / wanted)))
