"""One list of two: weighted reciprocal rank fusion, in which a vote counts for what its own score is.

A list's vote for a chunk is ``weight × score × (K + 1) / (K + rank)``, with scores of 0 to 1 and weights that add up
to 1. So the sum is one of 0 to 1 as well, and tells something by itself: 1 is first in both lists and a perfect match
in both, and a chunk that neither finds near is near 0, however good its ranks are. Plain reciprocal ranks cannot tell
that: the first of ten irrelevant chunks has the rank 1 too, and questions that share no words with their answer drown
in the words they share with others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

OFFSET = 60  # K: the larger, the less the first places differ


def places(scores: Mapping[int, float]) -> dict[int, int]:
    """The ranks from 1, by score; equal scores share the first of their ranks, so that nothing else decides here."""
    found: dict[int, int] = {}
    previous: tuple[float, int] | None = None
    for rank, chunk in enumerate(sorted(scores, key=lambda chunk: -scores[chunk]), 1):
        if previous is None or scores[chunk] != previous[0]:
            previous = (scores[chunk], rank)
        found[chunk] = previous[1]
    return found


def fuse(
    lists: Sequence[Mapping[int, float]], weights: Sequence[float], total: float | None = None
) -> dict[int, float]:
    """Scores of 0 to 1 for every chunk that one of the lists has.

    :param lists: scores of 0 to 1 by chunk.
    :param weights: of the lists, not negative and not all zero.
    :param total: the weights of all lists that one chunk can be in; of all lists, where nothing is said.
    """
    total = sum(weights) if total is None else total
    fused: dict[int, float] = {}
    for scores, weight in zip(lists, weights, strict=True):
        for chunk, rank in places(scores).items():
            vote = weight / total * scores[chunk] * (OFFSET + 1) / (OFFSET + rank)
            fused[chunk] = fused.get(chunk, 0.0) + vote
    return fused
