# ruff: noqa: S311  (random numbers are reproducible, not secret)
"""Pairs from the thesaurus: words of everyday and office life that mean the same or go together."""

from __future__ import annotations

import random as std_random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_suffix(".txt")
ROUNDS = 12  # pairs that begin with a line, in each turn
MOST_LINES = 3  # of which a pair is put together


@cache
def topics() -> list[list[list[str]]]:
    """Topics of lines of terms."""
    found: list[list[list[str]]] = []
    for line in FILE.read_text().splitlines():
        if line.startswith("="):
            found.append([])
        elif line and not line.startswith("#"):
            found[-1].append([term.strip() for term in line.split(",")])
    return found


def pairs(turn: int) -> Iterator[tuple[str, str]]:
    """Two texts of different terms from the same one to three lines, as often of one topic as of any."""
    random = std_random.Random(f"thesaurus:{turn}")
    every = [line for topic in topics() for line in topic]
    for topic in topics():
        for line in topic * ROUNDS:
            others = random.sample(random.choice((topic, every)), min(MOST_LINES - 1, len(topic)))
            lines = [line, *others[: random.randrange(MOST_LINES)]]
            left, right = zip(*(halves(terms, random) for terms in lines), strict=True)
            yield " ".join(left), " ".join(random.sample(right, len(right)))


def halves(terms: list[str], random: std_random.Random) -> tuple[str, str]:
    """One or two terms of a line, and some of the others."""
    mixed = random.sample(terms, len(terms))
    cut = random.randint(1, min(2, len(mixed) - 1))
    return " ".join(mixed[:cut]), " ".join(mixed[cut : cut + random.randint(1, 4)])
