"""A tiny phrase grammar: ``{a|b|{c|d} e}`` chooses among alternatives, ``@name`` inserts a shared fragment."""

from __future__ import annotations

import re
from functools import cache
from random import Random

from .fragments import FRAGMENTS

Node = str | list["list[Node]"]
FRAGMENT = re.compile(r"@(\w+)")


def _parse(text: str, start: int) -> tuple[list[list[Node]], int]:
    """Parse alternatives until the closing brace; returns them and the place after it."""
    alternatives: list[list[Node]] = [[]]
    literal = ""
    place = start
    while place < len(text) and text[place] != "}":
        char = text[place]
        if char not in "{|":
            literal += char
            place += 1
            continue
        if literal:
            alternatives[-1].append(literal)
            literal = ""
        if char == "|":
            alternatives.append([])
            place += 1
        else:
            inner, place = _parse(text, place + 1)
            alternatives[-1].append(inner)
    if literal:
        alternatives[-1].append(literal)
    return alternatives, place + 1


def _insert(text: str) -> str:
    """Replace ``@name`` until none is left."""
    while FRAGMENT.search(text):
        text = FRAGMENT.sub(lambda match: "{" + FRAGMENTS[match[1]] + "}", text)
    return text


@cache
def compiled(text: str) -> tuple[list[list[Node]], int]:
    """The parsed form of a phrase, kept: phrases are expanded many thousand times."""
    whole = _insert(text)
    return _parse(whole, 0)


def _choose(alternatives: list[list[Node]], random: Random) -> str:
    chosen = alternatives[0] if len(alternatives) == 1 else random.choice(alternatives)
    return "".join(part if isinstance(part, str) else _choose(part, random) for part in chosen)


def expand(text: str, random: Random) -> str:
    """One random wording of ``text``, with runs of blanks reduced to one."""
    return re.sub(r" {2,}", " ", _choose(compiled(text)[0], random)).strip()


def count(text: str) -> int:
    """How many wordings ``text`` has (equal ones counted as often as they can be written)."""

    def of(alternatives: list[list[Node]]) -> int:
        total = 0
        for parts in alternatives:
            product = 1
            for part in parts:
                product *= 1 if isinstance(part, str) else of(part)
            total += product
        return total

    return of(compiled(text)[0])
