"""Changes as a page shows them: each line of a unified diff with its sign, and in a changed line the words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Any

from assistants.differences import Change
from sovereign.core.comparing import Effort, opcodes
from sovereign.core.visible import visible

LINES = 2_000  # that are shown of one change
SHORT = 40  # characters of a value that needs no lines of its own
MOST_STEPS = 500_000  # that go into comparing words
LIKE = 0.3  # of two lines: below it they have nothing in common that is worth marking
WORD = re.compile(r"\s+|\w+|[^\w\s]")
KINDS = {"-": "removed", "+": "added", "@": "place", " ": "same"}
SPOKEN = {"removed": "Removed: ", "added": "Added: ", "place": "", "same": ""}
LABELS = {"added": "success", "removed": "danger", "changed": "info"}
Piece = tuple[bool, str]  # whether it changed, and the words


@dataclass(frozen=True, slots=True)
class Line:
    """
    :ivar kind: ``removed``, ``added``, ``same`` or ``place`` (between two parts of a text).
    :ivar spoken: the same for who does not see colours.
    """

    kind: str
    spoken: str
    pieces: list[Piece]


def shown(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """For the template, which escapes it."""
    effort = Effort(MOST_STEPS)
    return [_shown(change, effort) for change in changes]


def _shown(change: Change, effort: Effort) -> dict[str, Any]:
    lines = [] if _is_short(change.before) and _is_short(change.after) else change.lines
    if lines and lines[0].startswith("@"):
        lines = lines[1:]  # nothing stands before it from which it has to be kept apart
    return {
        "title": visible(change.title),
        "kind": change.kind,
        "label": LABELS[change.kind],
        "before": _value(change.before),
        "after": _value(change.after),
        "lines": list(_lines(lines[:LINES], effort)),
        "left_out": max(len(lines) - LINES, 0),
    }


def _is_short(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= SHORT and len(value.splitlines()) < 2)


def _value(value: Any) -> str:
    """Of what has no lines."""
    if value is None or value in ("", [], {}):
        return "nothing"
    return visible(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _lines(lines: Sequence[str], effort: Effort) -> Iterator[Line]:
    runs = [(sign, [line[1:] for line in run]) for sign, run in groupby(lines, key=lambda line: line[:1])]
    place = 0
    while place < len(runs):
        sign, texts = runs[place]
        if sign == "-" and place + 1 < len(runs) and runs[place + 1][0] == "+":
            yield from _replaced(texts, runs[place + 1][1], effort)
            place += 1
        else:
            kind = KINDS[sign]
            yield from (_line(kind, [(False, "…" if kind == "place" else text)]) for text in texts)
        place += 1


def _replaced(old: Sequence[str], new: Sequence[str], effort: Effort) -> Iterator[Line]:
    """First all that went, then all that came; of lines that are alike, the words that differ are marked."""
    marked = [_words(a, b, effort) for a, b in zip(old, new, strict=False)]
    for kind, texts, side in (("removed", old, 0), ("added", new, 1)):
        for text, pair in zip_longest(texts, marked[: len(texts)]):
            yield _line(kind, [(False, text)] if pair is None else pair[side])


def _words(old: str, new: str, effort: Effort) -> tuple[list[Piece], list[Piece]] | None:
    a, b = WORD.findall(old), WORD.findall(new)
    codes = opcodes(a, b, effort)
    same = sum(a_to - a_from for what, a_from, a_to, _, _ in codes if what == "equal")
    if 2 * same < LIKE * (len(a) + len(b)):
        return None
    removed: list[Piece] = []
    added: list[Piece] = []
    for what, a_from, a_to, b_from, b_to in codes:
        removed.append((what != "equal", "".join(a[a_from:a_to])))
        added.append((what != "equal", "".join(b[b_from:b_to])))
    return removed, added


def _line(kind: str, pieces: Sequence[Piece]) -> Line:
    return Line(kind, SPOKEN[kind], [(is_changed, visible(text)) for is_changed, text in pieces if text])
