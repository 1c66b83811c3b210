"""Sketches are merged without loss, say what they say within their bounds, and come back from a row as they were."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from runs.analytics.cells import COLUMNS, pack, unpack
from runs.analytics.measures import Measures
from runs.analytics.sketches import ACCURACY, EXACT, Distinct, Spread

VALUES = st.lists(st.floats(min_value=1.0, max_value=1e9), max_size=60)
WORDS = st.dictionaries(st.text(max_size=8), st.integers(min_value=1, max_value=9), max_size=3)
MEMBERS = st.lists(st.text(max_size=8), max_size=30)


def spread_of(values: list[float]) -> Spread:
    spread = Spread()
    for value in values:
        spread.add(value)
    return spread


def distinct_of(members: list[str]) -> Distinct:
    distinct = Distinct()
    for member in members:
        distinct.add(member)
    return distinct


@st.composite
def measures(draw: st.DrawFn) -> Measures:
    numbers = st.integers(min_value=0, max_value=2**40)
    return Measures(
        runs=draw(numbers),
        cost=draw(numbers),
        thumbs_down=draw(st.integers(min_value=-3, max_value=3)),
        response=spread_of(draw(VALUES)),
        users=distinct_of(draw(MEMBERS)),
        errors=draw(WORDS),
    )


@given(measures())
def test_a_row_holds_all_of_them(one: Measures) -> None:
    columns = pack(one)
    assert set(columns) == set(COLUMNS)
    assert unpack(columns) == one


def test_what_is_not_in_a_row_is_nothing() -> None:
    assert unpack({}) == Measures()
    assert unpack({"runs": 2, "response": memoryview(spread_of([5.0]).dump())}) == Measures(
        runs=2, response=spread_of([5.0])
    )


@given(st.lists(measures(), max_size=4), st.randoms())
def test_in_whatever_order_they_are_added_up(some: list[Measures], order: object) -> None:
    shuffled = sorted(some, key=lambda _: order.random())  # type: ignore[attr-defined]
    assert Measures.total(some) == Measures.total(shuffled)


@given(st.lists(st.floats(min_value=1.0, max_value=1e9), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_quantiles_are_as_near_as_they_are_said_to_be(values: list[float], share: float) -> None:
    right = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    said = spread_of(values).quantile(share)
    assert said is not None
    assert abs(said - right) <= ACCURACY * right * (1 + 1e-9)


def test_nothing_has_no_quantile() -> None:
    assert Spread().quantile(0.5) is None


def test_few_are_counted_and_many_are_estimated() -> None:
    few = distinct_of([str(number) for number in range(EXACT)] * 2)
    assert few.count == EXACT
    many = distinct_of([str(number) for number in range(50_000)])
    assert abs(many.count - 50_000) <= 50_000 * 0.05
    assert Distinct.load(many.dump()) == many


@given(st.integers(0, 1500), st.integers(0, 1500), st.integers(0, 1500))
def test_members_are_counted_once_however_they_are_split(first: int, second: int, shared: int) -> None:
    one = distinct_of([f"a{number}" for number in range(first)] + [f"s{number}" for number in range(shared)])
    other = distinct_of([f"b{number}" for number in range(second)] + [f"s{number}" for number in range(shared)])
    together = distinct_of(
        [f"{name}{number}" for name, every in (("a", first), ("b", second), ("s", shared)) for number in range(every)]
    )
    one.merge(other)
    assert one == together
