"""When a canary is taken back: by numbers alone, and never for what happens to the version beside it too."""

from __future__ import annotations

from typing import Any

import pytest

from runs.lifecycle.judging import Judgement, judge, percentile
from runs.lifecycle.signals import Signals

THRESHOLDS: dict[str, Any] = {
    "error_rate": 0.1,
    "latency_ratio": 2.0,
    "thumbs_down_rate": 0.3,
    "minimum_runs": 10,
}
USUAL = [1.0] * 20
WELL = Signals(ended=100)  # beside it nothing fails


def judged(canary: Signals, beside: Signals | None = None, usual: Any = USUAL, **thresholds: Any) -> Judgement | None:
    return judge(canary, beside or WELL, usual, {**THRESHOLDS, **thresholds})


def causes(*judgements: Judgement | None) -> list[str | None]:
    return [judgement and judgement.cause for judgement in judgements]


def test_nothing_speaks_against_a_canary_that_does_well() -> None:
    assert judged(Signals(ended=10, failed=1, seconds=[1.5] * 9, rated=10, disliked=3)) is None


@pytest.mark.parametrize(("ended", "failed", "cause"), [(9, 9, None), (10, 1, None), (10, 2, "errors")])
def test_more_errors_than_the_threshold(ended: int, failed: int, cause: str | None) -> None:
    assert causes(judged(Signals(ended=ended, failed=failed))) == [cause]


def test_the_reason_tells_the_numbers() -> None:
    judgement = judged(Signals(ended=20, failed=7), Signals(ended=100, failed=1))
    assert judgement is not None
    assert judgement.reason == ("7 of 20 runs failed (35 %), and 1 % of the version beside it; at most 10 % may.")


def test_errors_that_the_version_beside_has_too_are_not_the_canarys() -> None:
    canary = Signals(ended=10, failed=5)
    assert judged(canary, Signals(ended=40, failed=20)) is None
    assert causes(judged(canary, Signals(ended=40, failed=19))) == ["errors"]


@pytest.mark.parametrize("beside", [Signals(), Signals(ended=9), Signals(ended=9, failed=9)])
def test_without_traffic_beside_it_an_engine_that_is_away_is_not_its_fault(beside: Signals) -> None:
    assert judged(Signals(ended=10, failed=10), beside) is None
    assert causes(judged(Signals(ended=10, failed=10), Signals(ended=10))) == ["errors"]


def test_without_traffic_beside_it_what_no_engine_takes_is_its_fault() -> None:
    assert judged(Signals(ended=10, failed=9, refused=1), Signals()) is None
    judgement = judged(Signals(ended=10, failed=9, refused=2), Signals())
    assert judgement is not None
    assert judgement.reason == (
        "2 of 10 runs failed because of what they asked of the model (20 %); at most 10 % may. "
        "The version beside it had no runs to compare with."
    )


@pytest.mark.parametrize("beside", [Signals(ended=20), Signals(ended=20, rated=4, disliked=4)])
def test_where_nobody_rates_the_other_one_the_threshold_decides_and_says_so(beside: Signals) -> None:
    judgement = judged(Signals(ended=10, rated=10, disliked=5), beside)
    assert judgement is not None
    assert judgement.reason == (
        "5 of 10 ratings were thumbs down (50 %); at most 30 % may be. "
        f"The version beside it had {beside.rated or 'no'} ratings to compare with."
    )
    assert judged(Signals(ended=10, rated=10, disliked=3), beside) is None


@pytest.mark.parametrize(
    ("ended", "rated", "disliked", "cause"),
    [(9, 9, 9, None), (10, 4, 4, None), (10, 10, 3, None), (10, 10, 4, "thumbs"), (10, 5, 2, "thumbs")],
)
def test_more_thumbs_down_than_the_threshold(ended: int, rated: int, disliked: int, cause: str | None) -> None:
    assert causes(judged(Signals(ended=ended, rated=rated, disliked=disliked))) == [cause]


def test_an_answer_that_is_liked_as_little_beside_it_is_not_the_canarys_fault() -> None:
    assert judged(Signals(ended=10, rated=10, disliked=5), Signals(rated=10, disliked=5)) is None


def test_few_runs_need_few_ratings() -> None:
    assert causes(judged(Signals(ended=2, rated=2, disliked=1), minimum_runs=2)) == ["thumbs"]


@pytest.mark.parametrize(
    ("taken", "cause"),
    [
        ([2.0] * 10, None),
        ([1.0] * 9, None),
        ([1.0] * 9 + [2.1], "latency"),
        ([1.0] * 19 + [9.0], None),  # one of twenty is no 95th percentile
        ([1.0] * 18 + [9.0, 9.0], "latency"),
    ],
)
def test_answers_that_take_longer(taken: list[float], cause: str | None) -> None:
    assert causes(judged(Signals(ended=len(taken), seconds=taken))) == [cause]


def test_what_nobody_notices_is_not_slow() -> None:
    quick = [0.02] * 20
    assert judged(Signals(ended=10, seconds=[0.4] * 10), usual=quick) is None
    assert causes(judged(Signals(ended=10, seconds=[0.6] * 10), usual=quick)) == ["latency"]


def test_an_answer_that_hangs_is_slow_before_it_ends() -> None:
    assert causes(judged(Signals(ended=5, seconds=[1.0] * 5, running=[30.0] * 5))) == ["latency"]
    assert judged(Signals(ended=5, seconds=[1.0] * 5, running=[1.5] * 5)) is None, "it may still be quick"
    assert judged(Signals(ended=5, seconds=[1.0] * 5, running=[30.0] * 4)) is None, "too few to tell"


def test_without_enough_to_compare_with_nothing_is_slow() -> None:
    assert judged(Signals(ended=10, seconds=[60.0] * 10), usual=[1.0] * 9) is None


@pytest.mark.parametrize(
    ("name", "canary"),
    [
        ("error_rate", Signals(ended=10, failed=10)),
        ("thumbs_down_rate", Signals(ended=10, rated=10, disliked=10)),
        ("latency_ratio", Signals(ended=10, seconds=[60.0] * 10)),
    ],
)
def test_a_threshold_that_is_null_is_not_looked_at(name: str, canary: Signals) -> None:
    assert judged(canary) is not None
    assert judged(canary, **{name: None}) is None


def test_nearest_rank() -> None:
    assert [percentile([1.0]), percentile([1.0, 2.0]), percentile(range(1, 101))] == [1.0, 2.0, 95]
