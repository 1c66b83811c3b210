"""What is common to two sequences is found, whatever they are, in steps that are counted."""

from __future__ import annotations

import difflib

from hypothesis import given
from hypothesis import strategies as st

from sovereign.core.comparing import Effort, Opcode, opcodes, unified

texts = st.lists(st.sampled_from("abc"), max_size=12)


def applied(old: list[str], new: list[str], codes: list[Opcode]) -> list[str]:
    """``new`` made of ``old`` and of what came."""
    made: list[str] = []
    for kind, a, b, c, d in codes:
        made += old[a:b] if kind == "equal" else new[c:d]
    return made


@given(texts, texts)
def test_one_becomes_the_other_by_as_little_as_possible(old: list[str], new: list[str]) -> None:
    codes = opcodes(old, new, Effort())
    assert applied(old, new, codes) == new
    assert [code[1:3] for code in codes] == sorted(code[1:3] for code in codes)
    same = sum(b - a for kind, a, b, _, _ in codes if kind == "equal")
    assert all(old[a:b] == new[c:d] for kind, a, b, c, d in codes if kind == "equal")
    assert all(old[a:b] != new[c:d] for kind, a, b, c, d in codes if kind != "equal")
    assert same == longest_common(old, new)


def longest_common(old: list[str], new: list[str]) -> int:
    row = [0] * (len(new) + 1)
    for one in old:
        before = row
        row = [0]
        for place, other in enumerate(new):
            row.append(before[place] + 1 if one == other else max(before[place + 1], row[-1]))
    return row[-1]


@given(texts, texts)
def test_without_steps_all_between_equal_ends_is_different(old: list[str], new: list[str]) -> None:
    codes = opcodes(old, new, Effort(0))
    assert applied(old, new, codes) == new
    assert sum(code[0] != "equal" for code in codes) <= 1


def test_hunks_have_three_lines_around_them() -> None:
    old = [str(number) for number in range(20)]
    new = [*old[:5], "new", *old[6:15], *old[16:]]
    assert list(unified(old, new, opcodes(old, new, Effort()))) == list(difflib.unified_diff(old, new, lineterm=""))[2:]


def test_what_is_repeated_takes_no_more_steps_than_there_are() -> None:
    effort = Effort(50_000)
    old = ["a", " "] * 2_000
    new = ["a", "-", " "] * 2_000
    assert applied(old, new, opcodes(old, new, effort)) == new
    assert effort.left > -10_000
