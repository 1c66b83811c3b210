"""Grades: what they are made of, the reasons in the very numbers, and few numbers, which say little."""

from __future__ import annotations

from typing import Any

import pytest

from runs.analytics.health import Health, Judged, judge, letter_of
from runs.analytics.standards import WORST_SHARE, Standards, certain_share, score_of
from tests.analytics.support import measures

WELL: dict[str, Any] = {"runs": 120, "completed": 120, "seconds": (2.0,) * 120, "first_token": (0.5,) * 120}


def part(health: Health, name: str) -> Judged:
    return next(each for each in health.parts if each.name == name)


def failing(failed: int, runs: int, **more: Any) -> Health:
    return judge(measures(runs=runs, completed=runs - failed, failed=failed, seconds=(2.0,) * (runs - failed), **more))


def test_an_assistant_that_does_as_wanted_has_an_a_and_nothing_to_do() -> None:
    health = judge(measures(**WELL))
    assert (health.score, health.grade) == (100, "A")
    assert part(health, "reliability").reason == "0 of 120 runs failed."
    counting = [each for each in health.parts if each.score is not None]
    assert [each.name for each in counting] == ["reliability", "speed", "completion"]
    assert {each.recommendation for each in counting} == {""}


def test_reasons_say_the_numbers_and_what_to_do() -> None:
    health = failing(7, 120, errors={"rate_limit_exceeded": 5, "server_error": 2})
    reliability = part(health, "reliability")
    assert reliability.reason == (
        "7 of 120 runs failed (5.8 %; at least 3.6 % with 90 % confidence; goal: up to 1 %), most often with "
        "rate_limit_exceeded."
    )
    assert reliability.recommendation.startswith("Raise the limits")
    assert health.reason == f"Most is lost by reliability. {reliability.reason}"


@pytest.mark.parametrize(
    ("more", "name", "reason", "recommendation"),
    [
        ({"seconds": (90.0,) * 120}, "speed", "95 % of 120 answers took up to 90", "Shorten the answers"),
        ({"first_token": (60.0,) * 120}, "speed", "95 % of 120 first words took up to 6", "what the model has to read"),
        ({"thumbs_up": 4, "thumbs_down": 16}, "satisfaction", "16 of 20 thumbs point down (80 %", "in an evaluation"),
        ({"rated": 20, "rating_sum": 44}, "satisfaction", "20 conversations got 2.2 of 5", "the lowest scores"),
        (
            {"tool_calls": 50, "tool_failures": 20, "tool_errors": {"search": 3, "fetch{": 17}},
            "tools",
            "20 of 50 tool calls failed (40 %; at least 31.6 % with 90 % confidence; goal: up to 2 %), "
            "most often those of fetch{.",
            "failed calls of fetch{",
        ),
        (
            {"cancelled": 40, "expired": 2},
            "completion",
            "Of 120 runs 40 were cancelled, 2 expired (35 %",
            "People stop",
        ),
        (
            {"cancelled": 2, "expired": 40},
            "completion",
            "Of 120 runs 2 were cancelled, 40 expired",
            "Runs expire where",
        ),
    ],
)
def test_each_part_is_judged_by_its_own_numbers(more: Any, name: str, reason: str, recommendation: str) -> None:
    well, worse = judge(measures(**WELL)), judge(measures(**{**WELL, **more}))
    judged = part(worse, name)
    assert (judged.score or 100) < 80
    assert reason in judged.reason
    assert recommendation in judged.recommendation
    assert worse.score is not None
    assert well.score is not None
    assert worse.score < well.score
    assert worse.reason == f"Most is lost by {name}. {judged.reason}"


def test_one_failure_of_a_few_runs_is_no_catastrophe_and_the_same_share_of_many_is() -> None:
    few, many = failing(1, 10), failing(100, 1_000)
    assert (few.grade, many.grade) == ("B", "C")
    assert failing(600, 1_000).grade == "F"  # whatever else is well
    assert certain_share(1, 10) < certain_share(10, 100) < certain_share(1_000, 10_000) < 0.1


def test_a_grade_falls_as_more_goes_wrong() -> None:
    scores = [failing(failed, 1_000).score or 0 for failed in (0, 10, 20, 50, 100, 300, 600, 1_000)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) > 5
    assert score_of(0.01, 0.01, WORST_SHARE) == 100
    assert score_of(1.0, 0.01, WORST_SHARE) == 0


def test_too_few_runs_have_no_grade_and_too_few_numbers_do_not_count() -> None:
    health = failing(4, 9)
    assert (health.score, health.grade) == (None, None)
    assert health.reason == "Runs that ended: 9. A grade needs 10."
    assert part(health, "reliability").score is not None  # what is known is said all the same
    assert part(judge(measures(**WELL, thumbs_down=4)), "satisfaction").score is None
    assert judge(measures(**WELL, thumbs_down=4)).score == 100
    nothing = judge(measures())
    assert {each.score for each in nothing.parts} == {None}


def test_weights_and_targets_are_the_projects() -> None:
    dear = measures(**WELL, cost=120 * 2 * 10**9, prompt_tokens=120_000)
    assert part(judge(dear), "cost").score is None
    wanted = Standards.over_defaults({"cost": 100, "speed": 0}, {"cost_per_run": 1.0, "response_p95": 0.5})
    health = judge(dear, wanted)
    assert part(health, "cost").reason == "A run cost 2 on average (goal: up to 1)."
    assert "1,000 tokens" in part(health, "cost").recommendation
    assert health.score == 78  # 70 with a weight of 100 beside 40 of what is well; speed does not count
    assert (part(health, "speed").weight, part(health, "cost").score) == (0, 70)
    nothing = judge(dear, Standards.over_defaults(dict.fromkeys(Standards().weights, 0), {}))
    assert nothing.reason == "Of no part that counts there is enough."


def test_letters() -> None:
    assert [letter_of(score) for score in (100, 90, 89, 80, 79, 70, 69, 60, 59, 0)] == list("AABBCCDDFF")
