"""What two versions of a prompt say differently: by lines, by words, and in their variables."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from assistants.prompts.models import PromptVersion

MAXIMUM_LINES = 4_000  # of either text: comparing takes time by their product
MAXIMUM_WORDS = 1_000  # of a changed passage; longer ones are told as a whole
MAXIMUM_COMPARED = 4_000_000  # pairs of words of all of them; those that come after are told as a whole
MAXIMUM_SHOWN = 5_000  # lines of a difference
WORD = re.compile(r"\s+|\w+|[^\w\s]")

Piece = tuple[str, str]  # "same", "removed" or "added", and the words


@dataclass(frozen=True, slots=True)
class Difference:
    """
    :ivar lines: a unified difference of the templates, without its heading; empty where they are the same.
    :ivar words: the same text with what was removed and added, from the beginning to the end.
    :ivar variables: ``{"name", "kind": "added" | "removed" | "changed", "before", "after"}``.
    """

    before: PromptVersion
    after: PromptVersion
    lines: list[str]
    words: list[Piece]
    variables: list[dict[str, Any]]


def difference(before: PromptVersion, after: PromptVersion) -> Difference:
    """What it takes from one version to the other, of the same prompt or of two."""
    old, new = _lines(before.template), _lines(after.template)
    return Difference(
        before=before,
        after=after,
        lines=_unified(old, new),
        words=_pieces(old, new),
        variables=_variables(before.variables, after.variables),
    )


def _lines(text: str) -> list[str]:
    """Its lines, ends included. What has more of them than can be compared is one block from there on."""
    lines = text.splitlines(keepends=True)
    head, rest = lines[:MAXIMUM_LINES], "".join(lines[MAXIMUM_LINES:])
    return [*head, rest] if rest else head


def _unified(old: list[str], new: list[str]) -> list[str]:
    told = difflib.unified_diff(old, new)
    return [line.rstrip("\r\n") for line in islice(told, 2, MAXIMUM_SHOWN + 2)]


def _pieces(old: list[str], new: list[str]) -> list[Piece]:
    pieces: list[Piece] = []
    compared = 0
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new).get_opcodes():
        before, after = "".join(old[a:b]), "".join(new[c:d])
        if kind == "equal":
            pieces.append(("same", before))
            continue
        words, others = WORD.findall(before), WORD.findall(after)
        compared += len(words) * len(others)
        is_too_much = max(len(words), len(others)) > MAXIMUM_WORDS or compared > MAXIMUM_COMPARED
        pieces += [("removed", before), ("added", after)] if is_too_much else _words(words, others)
    return _joined(pieces)


def _words(old: list[str], new: list[str]) -> list[Piece]:
    """A changed passage word by word."""
    pieces: list[Piece] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(("same", "".join(old[a:b])))
        else:
            pieces += [("removed", "".join(old[a:b])), ("added", "".join(new[c:d]))]
    return pieces


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Neighbours of one kind made one, and nothing empty among them."""
    joined: list[Piece] = []
    for kind, text in pieces:
        if text and joined and joined[-1][0] == kind:
            joined[-1] = (kind, joined[-1][1] + text)
        elif text:
            joined.append((kind, text))
    return joined


def _variables(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    old = {variable["name"]: variable for variable in before}
    new = {variable["name"]: variable for variable in after}
    changes = []
    for name in dict.fromkeys([*old, *new]):
        a, b = old.get(name), new.get(name)
        if a != b:
            kind = "added" if a is None else "removed" if b is None else "changed"
            changes.append({"name": name, "kind": kind, "before": a, "after": b})
    return changes
