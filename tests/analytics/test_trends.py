"""Which test decides of which metric, and what is said where there is too little; who is best, and in all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from runs.analytics.comparing import compare
from runs.analytics.measures import Measures
from runs.analytics.metrics import METRICS
from runs.analytics.trends import (
    NOTHING_BEFORE,
    SAME_DAYS,
    TOO_FEW_DAYS,
    TOO_FEW_VALUES,
    Direction,
    Reading,
    Trend,
    trend,
)
from tests.analytics.support import measures


def reading(*days: dict[str, Any]) -> Reading:
    """Of whole days alone."""
    every = [measures(**day) for day in days]
    return Reading(Measures.total(every), every, timedelta(days=len(days)))


def changed(name: str, now: Reading, before: Reading) -> Trend:
    return trend(METRICS[name], now, before)


def test_shares_of_few_say_nothing_and_of_many_much() -> None:
    few = changed("error_rate", reading({"failed": 4}), reading({"completed": 5}))
    assert (few.direction, few.finding.note) == (Direction.UP, TOO_FEW_VALUES)
    many = changed("error_rate", reading({"failed": 6, "completed": 94}), reading({"completed": 100}))
    assert (many.percent, many.finding.is_significant) == (None, False)  # p = 0.029: of thirty metrics one is like that
    more = changed("error_rate", reading({"failed": 12, "completed": 88}), reading({"completed": 100}))
    assert more.finding.is_significant is True


def test_a_slower_tail_is_seen_where_the_middle_is_as_before() -> None:
    before = reading({"seconds": (1.0,) * 95 + (2.0,) * 5})
    now = reading({"seconds": (1.0,) * 80 + (30.0,) * 20})
    middle, tail = changed("response_p50", now, before), changed("response_p95", now, before)
    assert (middle.direction, middle.finding.is_significant) == (Direction.FLAT, True)  # the ranks moved, if not it
    assert (tail.direction, tail.finding.is_significant) == (Direction.UP, True)
    assert tail.percent == pytest.approx(2_900, rel=0.03)
    same = changed("response_p95", before, before)
    assert (same.direction, same.percent, same.finding.is_significant) == (Direction.FLAT, 0, False)


def test_a_burst_on_one_day_is_no_trend() -> None:
    steady = [{"runs": 10, "cost": 10**9}] * 7
    burst = [*steady[:6], {"runs": 200, "cost": 20 * 10**9}]
    for name in ("runs", "cost"):
        told = changed(name, reading(*burst), reading(*steady))
        assert (told.direction, told.finding.is_significant) == (Direction.UP, False), name
    doubled = changed("runs", reading(*[{"runs": 20 + day} for day in range(7)]), reading(*steady))
    assert doubled.finding.is_significant is True


def test_days_that_are_all_the_same_make_nothing_sure() -> None:
    seven = [{"runs": 1, "cost": 10**9}] * 7
    few = changed("runs", reading(*seven), reading(*[{}] * 7))
    assert few.finding.note == TOO_FEW_VALUES
    assert changed("cost", reading(*seven), reading(*[{}] * 7)).finding.note == SAME_DAYS
    twice = changed("runs", reading(*[{"runs": 2}] * 7), reading(*seven))
    assert twice.finding.p_value == pytest.approx(0.189, abs=0.001)  # the binomial's, of 14 against 7
    many = changed("runs", reading(*[{"runs": 90}] * 7), reading(*[{"runs": 20}] * 7))
    assert many.finding.is_significant is True


def test_hours_have_events_alone() -> None:
    now = Reading(measures(runs=40, prompt_tokens=4_000), (), timedelta(hours=2))
    before = Reading(measures(runs=10, prompt_tokens=1_000), (), timedelta(hours=1))
    runs = changed("runs", now, before)
    assert (runs.before, runs.percent, runs.finding.is_significant) == (10, 100, False)  # twice as much in an hour
    assert changed("runs", Reading(measures(runs=80), (), timedelta(hours=2)), before).finding.is_significant is True
    assert changed("tokens", now, before).finding.note == TOO_FEW_DAYS
    assert changed("rating", reading({"rated": 1, "rating_sum": 5}), before).finding.note == NOTHING_BEFORE


def test_who_is_best_in_all() -> None:
    quick = reading(*[{"runs": 10, "completed": 9, "failed": 1, "seconds": (1.0,) * 10}] * 5)
    sure = reading(*[{"runs": 10, "completed": 10, "seconds": (9.0,) * 10}] * 5)
    nothing = reading({})
    names = ("error_rate", "response_p95", "satisfaction", "runs")
    told = compare([quick, nothing, sure, sure], [METRICS[name] for name in names])
    assert [one.ranks for one in told.metrics] == [
        [3, None, 1, 1],
        [1, None, 2, 2],
        [None] * 4,  # nobody knows: it decides nothing
        [None] * 4,  # neither more nor less is better
    ]
    assert told.mean_ranks == [2.0, 4.0, 1.5, 1.5]
    assert told.order == [2, 3, 0, 1]
    errors, slow, satisfaction, _ = told.metrics
    assert [one.finding and one.finding.is_significant for one in (errors, slow, satisfaction)] == [False, True, None]
