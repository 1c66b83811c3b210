"""What is read of roll-ups: each span once, of what was asked for, and nothing of other projects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.analytics.measures import Measures
from runs.analytics.models import Rollup
from runs.analytics.reading import Question, measured, measured_by, series, series_by
from runs.analytics.sketches import Distinct, Spread
from runs.analytics.windows import Period, Window, cover, floor, following, oldest_kept, readable
from tests.analytics.support import happened, measures

NOW = datetime(2026, 11, 22, 13, 35, tzinfo=UTC)
PROJECT = "proj_a"
EVERYTHING = Question(project_id=PROJECT)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def test_what_lies_in_a_window_is_there_once() -> None:
    moments = (1, 9, 59, 60, 61, 60 * 23, 60 * 25, 60 * 24 * 3, 60 * 24 * 35, 60 * 24 * 70)  # minutes ago
    for minutes in moments:
        happened(
            PROJECT, ago(minutes=minutes), measures(runs=1, completed=1, seconds=(minutes,), users=(f"{minutes}",))
        )
    for minutes in (10, 60, 60 * 24, 60 * 24 * 40):
        window = Window(ago(minutes=minutes), NOW)
        whole = readable(window, NOW)
        expected = sum(whole.start <= ago(minutes=each) < whole.end for each in moments)
        read = measured(EVERYTHING, window)
        assert (read.runs, read.completed, read.response.count, read.users.count) == (expected,) * 4


def test_a_question_leaves_out_what_it_does_not_ask_for() -> None:
    known = {"assistant_id": "asst_a", "version_id": "v1", "environment": "production", "model": "m", "key_id": "k"}
    other = {"assistant_id": "asst_b", "version_id": "v2", "environment": "staging", "model": "n", "key_id": "l"}
    happened(PROJECT, ago(minutes=5), measures(runs=1), **known)
    happened("proj_b", ago(minutes=5), measures(runs=100), **known)
    for name, value in other.items():
        happened(PROJECT, ago(minutes=5), measures(runs=10), **known | {name: value})
    day = Window(ago(days=1), NOW)
    for name, value in known.items():
        asked = {"assistant_ids": (value,)} if name == "assistant_id" else {name: value}
        assert measured(Question(project_id=PROJECT, **asked), day).runs == 41, name
    assert measured(Question(project_id=PROJECT, assistant_ids=()), day) == Measures()
    assert {key: one.runs for key, one in measured_by(EVERYTHING, day, ("assistant_id", "model")).items()} == {
        ("asst_a", "m"): 31,
        ("asst_b", "m"): 10,
        ("asst_a", "n"): 10,
    }


def test_trials_are_read_only_where_they_are_asked_for() -> None:
    happened(PROJECT, ago(minutes=5), measures(runs=1), environment="")
    happened(PROJECT, ago(minutes=5), measures(runs=2), environment=Rollup.TRIAL)
    day = Window(ago(days=1), NOW)
    assert measured(EVERYTHING, day).runs == 1
    assert measured(Question(project_id=PROJECT, environment=Rollup.TRIAL), day).runs == 2


def test_a_series_has_every_period() -> None:
    happened(PROJECT, ago(days=3), measures(runs=1, errors={"a": 1}), version_id="v1")
    happened(PROJECT, ago(days=1), measures(runs=2, errors={"a": 1, "b": 2}), version_id="v2")
    window = Window(ago(days=4), NOW)
    days = [(start.day, one.runs) for start, one in series(EVERYTHING, window, Period.DAY)]
    assert days == [(18, 0), (19, 1), (20, 0), (21, 2), (22, 0)]
    split = series_by(EVERYTHING, window, Period.DAY, ("version_id",))
    assert {key: [one.runs for _, one in points] for key, points in split.items()} == {
        ("v1",): [0, 1, 0, 0, 0],
        ("v2",): [0, 0, 0, 2, 0],
    }
    [(_, week), (_, last)] = series(
        EVERYTHING, Window(floor(ago(days=4), Period.WEEK) - timedelta(1), NOW), Period.WEEK
    )
    assert (week.runs, last.runs, last.errors) == (0, 3, {"a": 2, "b": 2})


@given(age=st.integers(0, 400 * 24 * 12), length=st.integers(1, 400 * 24 * 12))
def test_a_readable_window_needs_nothing_that_is_gone(age: int, length: int) -> None:
    end = floor(NOW, Period.MOMENT) - age * timedelta(minutes=5)
    asked = Window(end - length * timedelta(minutes=5), end)
    window = readable(asked, NOW)
    assert window.start <= asked.start < asked.end <= window.end
    at = window.start
    for start, period in sorted((start, period) for period, starts in cover(window).items() for start in starts):
        assert start == at  # no gap, nothing twice
        assert start >= oldest_kept(period, NOW)
        at = following(start, period)
    assert at == window.end


members = st.lists(st.integers(0, 4_000).map(str), max_size=900)


@given(parts=st.lists(st.tuples(members, st.lists(st.integers(0, 10**9), max_size=50)), max_size=5))
def test_many_sketches_are_merged_at_once_as_one_by_one(parts: list[tuple[list[str], list[int]]]) -> None:
    whole, distincts, spreads = Measures(), [], []
    for people, values in parts:
        one = measures(users=tuple(people), seconds=tuple(values))
        distincts.append(one.users.dump())
        spreads.append(one.response.dump())
        whole.add(one)
    assert Distinct.load_all(distincts) == whole.users
    assert Spread.load_all(spreads) == whole.response
