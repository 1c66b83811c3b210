# ruff: noqa: S311  (random numbers are reproducible, not secret)
"""Pairs of texts that belong together, drawn from passages: what the embedder learns to tell from all others."""

from __future__ import annotations

import random as std_random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SEED = 20261121
NEIGHBOUR_SHARE = 0.1  # pairs of a passage and the next one of its group
TITLE_SHARE = 0.35  # pairs of a title and its passage, where there is one
DISJOINT_SHARE = 0.5  # queries that lose the words they share with their passage
LOST_SHARE = 0.8  # of those words
LONGEST = 160  # tokens of one side
THINNED = {"botocore": 0.5}  # what is read by this share in each round, because there is so much of it

Tokens = Sequence[int]


@dataclass(frozen=True)
class Learned:
    """A passage in tokens."""

    package: str
    group: str
    title: Tokens
    sentences: tuple[Tokens, ...]

    @property
    def tokens(self) -> list[int]:
        return [token for sentence in self.sentences for token in sentence]


def sides(passage: Learned, following: Learned | None, random: std_random.Random) -> tuple[Tokens, Tokens]:
    """A query and what it belongs to."""
    whole = passage.tokens
    if following and following.group == passage.group and random.random() < NEIGHBOUR_SHARE:
        return whole, following.tokens
    if len(passage.title) > 1 and (len(passage.sentences) < 2 or random.random() < TITLE_SHARE):
        return passage.title, whole
    if len(passage.sentences) > 1:
        number = random.choice((0, random.randrange(len(passage.sentences))))
        rest = [s for place, s in enumerate(passage.sentences) if place != number]
        return passage.sentences[number], [token for sentence in rest for token in sentence]
    middle = len(whole) // 2
    return whole[:middle], whole[middle:]


def apart(query: Tokens, passage: Tokens, random: std_random.Random) -> Tokens:
    """The query without most of the words that the passage has too, where two are left: those teach meaning."""
    shared = set(passage)
    rest = [token for token in query if token not in shared or random.random() > LOST_SHARE]
    return rest if len(rest) > 1 else query


def pairs(passages: list[Learned], round_number: int) -> Iterator[tuple[Tokens, Tokens]]:
    """One round through the passages in a random order of its own."""
    random = std_random.Random(f"{SEED}:{round_number}")
    order = list(range(len(passages)))
    random.shuffle(order)
    for number in order:
        passage = passages[number]
        if random.random() > THINNED.get(passage.package, 1.0):
            continue
        following = passages[number + 1] if number + 1 < len(passages) else None
        query, answer = sides(passage, following, random)
        if random.random() < DISJOINT_SHARE:
            query = apart(query, answer, random)
        if query and answer:
            yield query[:LONGEST], answer[:LONGEST]
