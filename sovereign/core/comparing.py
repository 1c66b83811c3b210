"""What two sequences have in common, in bounded time: ``difflib`` takes the cube of the length where much is repeated.

Myers' greedy algorithm (1986): the shortest way from one to the other, found in steps by their length times how much is
different. Each step is counted, and who is out of them is told that everything between equal ends is different.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Literal

MOST_DIFFERENT = 1_000  # places that are found: what is remembered grows with their square
CONTEXT = 3  # lines around what changed

Kind = Literal["equal", "replace", "delete", "insert"]
Opcode = tuple[Kind, int, int, int, int]  # as difflib has it: old[a:b] becomes new[c:d]


class Effort:
    """How many steps may be taken in all: shared by comparisons that answer one question. 2 million take a second."""

    def __init__(self, steps: int = 1_000_000) -> None:
        self.left = steps


def opcodes(old: Sequence[Hashable], new: Sequence[Hashable], effort: Effort) -> list[Opcode]:
    """How ``old`` becomes ``new``, from the beginning to the end; empty for two empty ones."""
    start = _equal(old, new)
    end = _equal(old[start:][::-1], new[start:][::-1])
    was, is_now = old[start : len(old) - end], new[start : len(new) - end]
    blocks = [(0, 0, start)]
    blocks += [(start + a, start + c, size) for a, c, size in _common(was, is_now, effort)]
    blocks.append((len(old) - end, len(new) - end, end))
    return list(_opcodes(blocks))


def unified(old: Sequence[str], new: Sequence[str], codes: Sequence[Opcode]) -> Iterator[str]:
    """The lines of a unified diff, without the two about files."""
    for group in _hunks(codes):
        (_, old_from, _, new_from, _), (_, _, old_to, _, new_to) = group[0], group[-1]
        yield f"@@ -{_range(old_from, old_to)} +{_range(new_from, new_to)} @@"
        for kind, a, b, c, d in group:
            if kind == "equal":
                yield from (f" {line}" for line in old[a:b])
                continue
            yield from (f"-{line}" for line in old[a:b])
            yield from (f"+{line}" for line in new[c:d])


def _equal(old: Sequence[Hashable], new: Sequence[Hashable]) -> int:
    """How many are the same at the beginning."""
    places = range(min(len(old), len(new)))
    return next((place for place in places if old[place] != new[place]), len(places))


def _common(old: Sequence[Hashable], new: Sequence[Hashable], effort: Effort) -> list[tuple[int, int, int]]:
    """Where both are the same: places in either, and how many."""
    if not old or not new:
        return []
    furthest: dict[int, int] = {}  # by diagonal: how far in ``old`` one comes with so many differences
    trace: list[dict[int, int]] = []
    for different in range(min(len(old) + len(new), MOST_DIFFERENT) + 1):
        trace.append(dict(furthest))
        for diagonal in range(-different, different + 1, 2):
            begun = place = _begin(furthest, diagonal, different)
            while place < len(old) and place - diagonal < len(new) and old[place] == new[place - diagonal]:
                place += 1
            furthest[diagonal] = place
            effort.left -= 1 + place - begun
            if place >= len(old) and place - diagonal >= len(new):
                return _way_back(trace, len(old), len(new))
        effort.left -= len(furthest)
        if effort.left <= 0:
            break
    return []


def _before(furthest: dict[int, int], diagonal: int, different: int) -> int:
    """The diagonal one comes from: above, taking something of the new one; below, leaving something out of the old."""
    above, below = diagonal + 1, diagonal - 1
    if diagonal == -different or (diagonal != different and furthest[below] < furthest[above]):
        return above
    return below


def _begin(furthest: dict[int, int], diagonal: int, different: int) -> int:
    """Where on a diagonal one comes to with one more difference."""
    if not different:
        return 0
    before = _before(furthest, diagonal, different)
    return furthest[before] + (before < diagonal)


def _way_back(trace: Sequence[dict[int, int]], a: int, b: int) -> list[tuple[int, int, int]]:
    blocks: list[tuple[int, int, int]] = []
    for different in range(len(trace) - 1, -1, -1):
        furthest, diagonal = trace[different], a - b
        begun = _begin(furthest, diagonal, different)
        if a > begun:
            blocks.append((begun, begun - diagonal, a - begun))
        if different:
            before = _before(furthest, diagonal, different)
            a = furthest[before]
            b = a - before
    return blocks[::-1]


def _opcodes(blocks: Sequence[tuple[int, int, int]]) -> Iterator[Opcode]:
    a = c = 0
    for old, new, size in blocks:
        if old > a or new > c:
            yield "replace" if old > a and new > c else "delete" if old > a else "insert", a, old, c, new
        if size:
            yield "equal", old, old + size, new, new + size
        a, c = old + size, new + size


def _hunks(codes: Sequence[Opcode]) -> Iterator[list[Opcode]]:
    """Changes with some lines around them; those that are near each other in one."""
    hunk: list[Opcode] = []
    for number, (kind, a, b, c, d) in enumerate(codes):
        if kind != "equal":
            hunk.append((kind, a, b, c, d))
            continue
        if (hunk and b - a > 2 * CONTEXT) or (hunk and number == len(codes) - 1):
            yield [*hunk, (kind, a, min(b, a + CONTEXT), c, min(d, c + CONTEXT))]
            hunk = []
        elif hunk:
            hunk.append((kind, a, b, c, d))
        if not hunk and number < len(codes) - 1:
            hunk = [(kind, max(a, b - CONTEXT), b, max(c, d - CONTEXT), d)]
    if any(code[0] != "equal" for code in hunk):
        yield hunk


def _range(begin: int, end: int) -> str:
    return f"{begin + 1},{end - begin}" if end > begin else f"{begin},0"
