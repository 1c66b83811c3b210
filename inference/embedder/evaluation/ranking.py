"""Four ways to rank passages for a question: by keywords, by a hashing trick, by the embedder, and by two together."""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inference.embedder.local import LocalEmbedder

from .questions import Question

WORD = re.compile(r"\w+")
SATURATION, LENGTH_SHARE = 1.2, 0.75  # BM25's k1 and b
RANK_OFFSET = 60  # of reciprocal rank fusion

Scores = list[list[float]]  # [questions][passages], the higher the nearer
Scorer = Callable[[Sequence[str], Sequence[str]], Scores]


@dataclass(frozen=True)
class Figure:
    """How many of ``total`` questions have their passage first, or among five; and the mean of 1 / rank."""

    first: int
    five: int
    mrr: float
    total: int


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def keywords(texts: Sequence[str], passages: Sequence[str]) -> Scores:
    """BM25 over the words as they are written."""
    counts = [Counter(words(passage)) for passage in passages]
    lengths = [count.total() for count in counts]
    mean = sum(lengths) / len(lengths)
    spread = Counter(word for count in counts for word in count)
    rare = {word: math.log(1 + (len(passages) - n + 0.5) / (n + 0.5)) for word, n in spread.items()}

    def score(text: str, count: Counter[str], length: int) -> float:
        norm = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * length / mean)
        found = (word for word in set(words(text)) if word in count)
        return sum(rare[word] * count[word] * (SATURATION + 1) / (count[word] + norm) for word in found)

    return [[score(text, *row) for row in zip(counts, lengths, strict=True)] for text in texts]


def hashed(dimensions: int) -> Scorer:
    """Words thrown into so many places by a hash, with its sign: no learning at all."""

    def vector(text: str) -> list[float]:
        found = [0.0] * dimensions
        for word, count in Counter(words(text)).items():
            number = zlib.crc32(word.encode())
            found[number % dimensions] += (1 + math.log(count)) * (1 if number >> 31 else -1)
        return unit(found)

    return lambda texts, passages: cosines([vector(t) for t in texts], [vector(p) for p in passages])


def embedded(embedder: LocalEmbedder, dimensions: int | None = None) -> Scorer:
    """By the embedder's vectors."""
    return lambda texts, passages: cosines(embedder.embed(texts, dimensions), embedder.embed(passages, dimensions))


def together(*scorers: Scorer) -> Scorer:
    """Reciprocal rank fusion: what several find near comes first; equal scores share their mean rank."""

    def score(texts: Sequence[str], passages: Sequence[str]) -> Scores:
        tables = [scorer(texts, passages) for scorer in scorers]
        fused = []
        for rows in zip(*tables, strict=True):
            places = [ranks(row) for row in rows]
            fused.append([sum(1 / (RANK_OFFSET + place) for place in column) for column in zip(*places, strict=True)])
        return fused

    return score


def unit(vector: list[float]) -> list[float]:
    length = math.sqrt(math.fsum(value * value for value in vector))
    return [value / length for value in vector] if length else vector


def cosines(left: list[list[float]], right: list[list[float]]) -> Scores:
    import numpy as np

    scores: Scores = (np.asarray(left) @ np.asarray(right).T).tolist()
    return scores


def ranks(scores: list[float]) -> list[float]:
    """1 for the highest; equal scores share the mean of their places, so that nobody gains by the order of a file."""
    order = sorted(scores, reverse=True)
    first = {score: place for place, score in reversed(list(enumerate(order, 1)))}
    equal = Counter(scores)
    return [first[score] + (equal[score] - 1) / 2 for score in scores]


def figure(questions: list[Question], scorer: Scorer) -> Figure:
    """Rank all passages for every question."""
    scores = scorer([question.text for question in questions], [question.passage for question in questions])
    places = [ranks(row)[number] for number, row in enumerate(scores)]
    return Figure(
        first=sum(place <= 1 for place in places),
        five=sum(place <= 5 for place in places),
        mrr=round(sum(1 / place for place in places) / len(places), 3),
        total=len(places),
    )
