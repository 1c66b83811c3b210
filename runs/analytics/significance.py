"""How likely it is that two samples differ as they do, or more, by chance alone: two-sided p-values.

``None`` where that cannot be said. Every test is one from the textbooks; each is held against known values by tests.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, variance

from runs.analytics.sketches import Spread, value_of

EXPECTED = 10  # of each kind in each sample, from which on the normal approximation of shares is good
EXACT = 1_000  # events up to which their number is tested exactly
SLACK = 1 + 1e-7  # two probabilities that are the same may differ in their last digits
TINY = 1e-300
STEPS = 300  # of a continued fraction, which needs some ten
PRECISION = 1e-14

Part = tuple[int, int]  # how many, of how many


def of_shares(one: Part, other: Part) -> float | None:
    """Whether two shares differ: the z-test of two proportions, and Fisher's exact one where there is little."""
    some, every = one[0] + other[0], one[1] + other[1]
    if not one[1] or not other[1]:
        return None
    if some in (0, every):
        return 1.0
    least = min(one[1], other[1]) * min(some, every - some) / every
    if least < EXPECTED:
        return _fisher(one[0], one[1], some, every)
    pooled = some / every
    error = math.sqrt(pooled * (1 - pooled) * (1 / one[1] + 1 / other[1]))
    return _normal((one[0] / one[1] - other[0] / other[1]) / error)


def _fisher(here: int, drawn: int, some: int, every: int) -> float:
    possible = range(max(0, drawn + some - every), min(drawn, some) + 1)
    whole = _log_choices(every, drawn)
    chances = {
        each: math.exp(_log_choices(some, each) + _log_choices(every - some, drawn - each) - whole) for each in possible
    }
    return _no_likelier(chances.values(), chances[here])


def of_counts(one: int, other: int, share: float) -> float | None:
    """Whether events became more or fewer for their time.

    Of all of them, so many are in the first span as a binomial draw gives, if they come as often in both.

    :param share: the first span's, of the length of both.
    """
    every = one + other
    if not every:
        return None
    if every > EXACT:
        middle, spread = every * share, math.sqrt(every * share * (1 - share))
        return _normal(max(0.0, abs(one - middle) - 0.5) / spread)
    chances = [
        math.exp(_log_choices(every, each) + each * math.log(share) + (every - each) * math.log1p(-share))
        for each in range(every + 1)
    ]
    return _no_likelier(chances, chances[one])


def of_ranks(one: Spread, other: Spread) -> float | None:
    """Whether values of one are mostly above those of the other: Wilcoxon's rank-sum test, with its bins as ties."""
    mine, others = one.count, other.count
    every = mine + others
    if not mine or not others:
        return None
    ranks = ties = below = 0.0
    for index in sorted(one.bins.keys() | other.bins.keys()):
        here = one.bins.get(index, 0)
        tied = here + other.bins.get(index, 0)
        ranks += here * (below + (tied + 1) / 2)
        ties += tied**3 - tied
        below += tied
    error = math.sqrt(mine * others / 12 * (every + 1 - ties / (every * (every - 1))))
    if not error:
        return 1.0  # all are the same
    return _normal(max(0.0, abs(ranks - mine * (every + 1) / 2) - 0.5) / error)


def of_tails(one: Spread, other: Spread, share: float) -> float | None:
    """Whether a quantile differs: how many of each are above the one that both have together (Mood's test).

    Many values may be just that one: they are counted with those above and without them, and as two tests that is
    made up for (Bonferroni).
    """
    limit = Spread(dict(one.bins))
    limit.merge(other)
    border = limit.quantile(share)
    if border is None:
        return None
    found = [
        of_shares(*((_beyond(spread, border, is_beyond), spread.count) for spread in (one, other)))
        for is_beyond in (operator.gt, operator.ge)
    ]
    known = [chance for chance in found if chance is not None]
    return min(1.0, len(found) * min(known)) if known else None


def _beyond(spread: Spread, border: float, is_beyond: Callable[[float, float], bool]) -> int:
    return sum(times for index, times in spread.bins.items() if is_beyond(value_of(index), border))


def of_means(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Whether two means differ: Welch's t-test, which takes the samples to be of different variance.

    Where neither varies at all nobody knows how much they would.
    """
    if len(one) < 2 or len(other) < 2:
        return None
    parts = [variance(one) / len(one), variance(other) / len(other)]
    difference, error = fmean(one) - fmean(other), math.sqrt(sum(parts))
    if error <= abs(difference) * PRECISION:
        return 1.0 if not difference else None
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(one) - 1) + parts[1] ** 2 / (len(other) - 1))
    return _student(difference / error, freedom)


def _normal(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2))


def _student(t: float, freedom: float) -> float:
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def _log_choices(every: int, some: int) -> float:
    return math.lgamma(every + 1) - math.lgamma(some + 1) - math.lgamma(every - some + 1)


def _no_likelier(chances: Iterable[float], than: float) -> float:
    return min(1.0, math.fsum(chance for chance in chances if chance <= than * SLACK))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularized one, by its continued fraction (Numerical Recipes, 6.4)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):  # where the fraction converges fast
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """Lentz's way through it, two terms a step."""
    upper, lower = 1.0, 1 / _apart_from_zero(1 - (a + b) * x / (a + 1))
    found = lower
    for step in range(1, STEPS):
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        for term in (even, odd):
            lower = 1 / _apart_from_zero(1 + term * lower)
            upper = _apart_from_zero(1 + term / upper)
            change = upper * lower
            found *= change
        if abs(change - 1) < PRECISION:
            break
    return found


def _apart_from_zero(number: float) -> float:
    return number if abs(number) > TINY else TINY
