"""What two versions of a prompt say differently: by lines, by words, and in their variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from assistants.prompts.models import PromptVersion
from sovereign.core.comparing import Effort, Opcode, opcodes, unified

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
    old, new = before.template.splitlines(keepends=True), after.template.splitlines(keepends=True)
    effort = Effort()
    codes = opcodes(old, new, effort)
    told = islice(unified(old, new, codes), MAXIMUM_SHOWN) if before.template != after.template else ()
    return Difference(
        before=before,
        after=after,
        lines=[line.rstrip("\r\n") for line in told],
        words=_joined(list(_pieces(old, new, codes, effort))),
        variables=_variables(before.variables, after.variables),
    )


def _pieces(old: list[str], new: list[str], codes: Iterable[Opcode], effort: Effort) -> Iterator[Piece]:
    """Lines that are the same as they are, and changed passages word by word, as far as the effort goes."""
    for kind, a, b, c, d in codes:
        before, after = "".join(old[a:b]), "".join(new[c:d])
        if kind == "equal":
            yield "same", before
        elif effort.left > 0:
            yield from _words(WORD.findall(before), WORD.findall(after), effort)
        else:
            yield from (("removed", before), ("added", after))


def _words(old: list[str], new: list[str], effort: Effort) -> Iterator[Piece]:
    for kind, a, b, c, d in opcodes(old, new, effort):
        if kind == "equal":
            yield "same", "".join(old[a:b])
        else:
            yield from (("removed", "".join(old[a:b])), ("added", "".join(new[c:d])))


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
