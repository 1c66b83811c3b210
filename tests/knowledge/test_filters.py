"""Filters over attributes, and the fusion of two lists."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistants.knowledge.retrieval.filters import Compare, Compound, Filter, Value, matches
from assistants.knowledge.retrieval.fusion import fuse, places

VALUES = st.one_of(st.booleans(), st.integers(-3, 3), st.floats(-3, 3), st.sampled_from(["", "a", "b", "1", "é"]))
KEYS = st.sampled_from(["year", "name"])
ATTRIBUTES = st.dictionaries(KEYS, VALUES)
COMPARES = st.one_of(
    st.builds(Compare, st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]), KEYS, VALUES),
    st.builds(Compare, st.sampled_from(["in", "nin"]), KEYS, st.lists(VALUES, max_size=3).map(tuple)),
)
FILTERS = st.recursive(
    COMPARES,
    lambda inner: st.builds(Compound, st.sampled_from(["and", "or"]), st.lists(inner, max_size=3).map(tuple)),
    max_leaves=6,
)
ATTRIBUTED: dict[str, Value] = {"year": 2024, "name": "Wren", "draft": False, "share": 0.5}


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (Compare("eq", "year", 2024), True),
        (Compare("eq", "year", 2024.0), True),
        (Compare("eq", "year", "2024"), False),
        (Compare("ne", "year", "2024"), True),
        (Compare("gt", "year", 2023.5), True),
        (Compare("gt", "year", 2024), False),
        (Compare("gte", "year", 2024), True),
        (Compare("lt", "share", 1), True),
        (Compare("lte", "share", 0.5), True),
        (Compare("gt", "year", "0"), False),
        (Compare("gt", "name", "Robin"), True),
        (Compare("lt", "name", "Robin"), False),
        (Compare("eq", "draft", False), True),
        (Compare("eq", "draft", 0), False),
        (Compare("gte", "draft", False), False),
        (Compare("in", "name", ("Robin", "Wren")), True),
        (Compare("in", "year", ("2024", True)), False),
        (Compare("nin", "name", ("Robin",)), True),
        (Compare("nin", "name", ("Wren",)), False),
        (Compare("in", "name", ()), False),
        (Compare("eq", "missing", 1), False),
        (Compare("ne", "missing", 1), True),
        (Compare("lt", "missing", 1), False),
        (Compare("in", "missing", (1,)), False),
        (Compare("nin", "missing", (1,)), True),
        (Compound("and", (Compare("eq", "year", 2024), Compare("eq", "name", "Wren"))), True),
        (Compound("and", (Compare("eq", "year", 2024), Compare("eq", "name", "Robin"))), False),
        (Compound("or", (Compare("eq", "year", 1), Compound("and", (Compare("eq", "name", "Wren"),)))), True),
        (Compound("and", ()), True),
        (Compound("or", ()), False),
    ],
)
def test_what_a_filter_lets_through(filter: Filter, expected: bool) -> None:
    assert matches(filter, ATTRIBUTED) is expected


def kind(value: Any) -> str:
    return "truth" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"


def meant(filter: Filter, attributes: dict[str, Any]) -> bool:
    """What a filter means, said once more and otherwise."""
    if isinstance(filter, Compound):
        parts = [meant(part, attributes) for part in filter.filters]
        return False not in parts if filter.type == "and" else True in parts
    value = attributes.get(filter.key)
    others = filter.value if isinstance(filter.value, tuple) else (filter.value,)
    alike = [other for other in others if value is not None and kind(other) == kind(value)]
    if filter.type in ("eq", "in"):
        return value in alike
    if filter.type in ("ne", "nin"):
        return value not in alike
    compare = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}[filter.type]
    return bool(alike) and kind(value) != "truth" and compare(value, alike[0])


@given(FILTERS, ATTRIBUTES)
def test_every_filter_is_understood_as_it_is_meant(filter: Filter, attributes: dict[str, Any]) -> None:
    assert matches(filter, attributes) is meant(filter, attributes)


@given(COMPARES, ATTRIBUTES)
def test_opposites_are_opposites(filter: Compare, attributes: dict[str, Any]) -> None:
    opposites: dict[str, Any] = {"eq": "ne", "ne": "eq", "in": "nin", "nin": "in"}
    if filter.type in opposites:
        other = Compare(opposites[filter.type], filter.key, filter.value)
        assert matches(filter, attributes) is not matches(other, attributes)


# ------------------------------------------------------------------------------------------- fusion

SCORES = st.dictionaries(st.integers(0, 20), st.floats(0.001, 1), max_size=12)
WEIGHTS = st.tuples(st.floats(0.01, 1), st.floats(0.01, 1))


@given(SCORES, SCORES, WEIGHTS)
def test_a_fused_score_is_between_nothing_and_everything(
    left: dict[int, float], right: dict[int, float], weights: tuple[float, float]
) -> None:
    fused = fuse([left, right], weights)
    assert set(fused) == {*left, *right}
    assert all(0 < score <= 1.000001 for score in fused.values())


@given(SCORES, SCORES, WEIGHTS)
def test_what_is_better_in_both_lists_is_better_in_the_end(
    left: dict[int, float], right: dict[int, float], weights: tuple[float, float]
) -> None:
    fused = fuse([left, right], weights)
    for one in {*left} & {*right}:
        for other in {*left} & {*right}:
            if left[one] > left[other] and right[one] > right[other]:
                assert fused[one] > fused[other]


@given(SCORES, st.permutations(range(21)))
def test_the_order_of_a_list_does_not_matter(scores: dict[int, float], order: list[int]) -> None:
    turned = {chunk: scores[chunk] for chunk in order if chunk in scores}
    assert fuse([turned, {}], (0.5, 0.5)) == fuse([scores, {}], (0.5, 0.5))


def test_equal_scores_have_equal_ranks() -> None:
    assert places({1: 0.5, 2: 0.9, 3: 0.5, 4: 0.1}) == {2: 1, 1: 2, 3: 2, 4: 4}


def test_a_perfect_match_that_is_first_in_both_lists_has_one() -> None:
    assert fuse([{1: 1.0}, {1: 1.0, 2: 0.5}], (0.7, 0.3))[1] == pytest.approx(1.0)
    assert fuse([{1: 1.0}, {2: 1.0}], (0.75, 0.25)) == {1: 0.75, 2: 0.25}
