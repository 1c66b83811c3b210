"""Tests of significance, held against values that are known: of tables, of R and of textbooks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.analytics.significance import _student, of_counts, of_means, of_ranks, of_shares, of_tails
from runs.analytics.sketches import Spread

# Sleep that two drugs gave to ten people each (Student 1908; R: t.test(extra ~ group, data = sleep))
FIRST_DRUG = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
SECOND_DRUG = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)


def spread(values: Sequence[float]) -> Spread:
    made = Spread()
    for value in values:
        made.add(value)
    return made


def test_welch() -> None:
    assert of_means(FIRST_DRUG, SECOND_DRUG) == pytest.approx(0.07939414, abs=1e-7)
    assert of_means((1, 2), (1, 2)) == pytest.approx(1)
    assert of_means((2, 2, 2), (2, 2, 2)) == 1.0
    assert of_means((2, 2, 2), (3, 3, 3)) is None
    assert of_means((1,), (2, 3)) is None


@pytest.mark.parametrize(("freedom", "t"), [(1, 12.7062), (4, 2.77645), (10, 2.22814), (30, 2.04227), (120, 1.97993)])
def test_the_table_of_student(freedom: int, t: float) -> None:
    assert _student(t, freedom) == pytest.approx(0.05, abs=2e-6)


def test_shares() -> None:
    assert of_shares((15, 100), (30, 100)) == pytest.approx(math.erfc(15 / math.sqrt(34.875) / math.sqrt(2)), abs=1e-9)
    assert of_shares((3, 4), (1, 4)) == pytest.approx(34 / 70)  # Fisher's lady with her tea
    assert of_shares((10, 13), (2, 17)) == pytest.approx(0.0005367, abs=1e-7)  # his convicted twins (R: fisher.test)
    assert of_shares((0, 10), (0, 5)) == of_shares((7, 7), (5, 5)) == 1.0
    assert of_shares((0, 0), (1, 2)) is None


def test_counts() -> None:
    assert of_counts(2, 8, 0.5) == pytest.approx(112 / 1024)  # 2 × (1 + 10 + 45) of 2 to the 10th
    assert of_counts(0, 10, 0.5) == pytest.approx(2 / 1024)
    assert of_counts(11, 1, 1 / 2) == pytest.approx(26 / 4096)
    assert of_counts(0, 5, 0.2) == pytest.approx(1 - 5 * 0.2 * 0.8**4)  # only one of five was likelier
    assert of_counts(1_050, 950, 0.5) == pytest.approx(math.erfc(49.5 / math.sqrt(500) / math.sqrt(2)))
    assert of_counts(0, 0, 0.5) is None


def test_ranks() -> None:
    one, other = (10, 20, 30, 40, 50, 60, 70, 80), (45, 90, 100, 110, 120, 130, 140, 150)
    # R: wilcox.test(one, other, exact = FALSE): 60 of 64 pairs, less 32 and a half, by the root of 8 * 8 * 17 / 12
    assert of_ranks(spread(one), spread(other)) == pytest.approx(
        math.erfc((60 - 32 - 0.5) / math.sqrt(8 * 8 * 17 / 12) / math.sqrt(2)), abs=1e-9
    )
    assert of_ranks(spread((5, 5, 5)), spread((5, 5))) == 1.0
    assert of_ranks(spread(()), spread((5, 5))) is None


def test_tails_differ_where_middles_do_not() -> None:
    calm = spread([100] * 96 + [200] * 4)
    wild = spread([100] * 80 + [9_000] * 20)
    assert calm.quantile(0.5) == wild.quantile(0.5)
    assert (of_tails(calm, wild, 0.9) or 1) < 0.001
    assert of_tails(calm, calm, 0.9) == pytest.approx(1)
    assert of_tails(Spread(), Spread(), 0.9) is None


numbers = st.integers(0, 2_000)


@given(numbers, numbers, numbers, numbers, st.floats(0.01, 0.99))
def test_every_answer_is_a_probability(a: int, b: int, c: int, d: int, share: float) -> None:
    answers = [
        of_shares((a, a + b), (c, c + d)),
        of_counts(a, c, share),
        of_means((a, b), (c, d)),
        of_ranks(spread((a, b, b)), spread((c, d))),
    ]
    assert all(answer is None or 0 <= answer <= 1 for answer in answers)
    assert answers[0] == of_shares((c, c + d), (a, a + b)) or answers[0] == pytest.approx(
        of_shares((c, c + d), (a, a + b))
    )
