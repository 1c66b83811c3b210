"""The chunks that have the words of a question: which words are looked up, and what a chunk gets for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from assistants.knowledge.models import StoreStatistics
from assistants.knowledge.retrieval import bm25
from assistants.knowledge.retrieval.postings import Postings
from assistants.knowledge.retrieval.terms import key_of, query_terms

if TYPE_CHECKING:
    import numpy as np

MOST_WORDS = 100  # of a question that are looked up, the rarest first
MOST_PLACES = 50_000  # chunks that are scored for one question: what is in the most of them says the least

_postings = Postings()


def found(
    stores: Sequence[StoreStatistics], question: str, count: int, members: Collection[int] | None = None
) -> dict[int, float]:
    """The scores of the ``count`` best chunks by number, and of those as good as the last of them.

    A score is the share of what the question's words tell that the chunk has: 1 where a chunk of mean length has
    every word once. It is BM25's, divided by the most of such a chunk.

    :param members: score the chunks of these files only; how rare a word is is said by all.
    """
    corpus = bm25.Corpus(sum(store.chunks for store in stores), sum(store.terms for store in stores))
    wanted = query_terms(question)
    if not wanted or not corpus.chunks:
        return {}
    versions = {term: {key_of(store.pk, term): store.version for store in stores} for term in wanted}
    held = _postings.frequencies({key: version for group in versions.values() for key, version in group.items()})
    holding = {term: sum(held[key] for key in group) for term, group in versions.items()}
    chosen = rarest(holding)
    places = _postings.read({key: version for term in chosen for key, version in versions[term].items()}, members)
    words = [bm25.joined([places[key] for key in versions[term] if key in places]) for term in chosen]
    chunks, scores = bm25.scores(words, [holding[term] for term in chosen], corpus)
    most = bm25.best_possible([holding[term] for term in wanted if term in chosen or not holding[term]], corpus)
    return best(chunks, scores / most, count)


def rarest(holding: dict[str, int]) -> list[str]:
    """The words to look up, the rarest first: at least one that some chunk has, if there is any."""
    chosen: list[str] = []
    places = 0
    for term in sorted((term for term in holding if holding[term]), key=lambda term: (holding[term], term)):
        places += holding[term]
        if chosen and (places > MOST_PLACES or len(chosen) == MOST_WORDS):
            break
        chosen.append(term)
    return chosen


def best(chunks: np.ndarray, scores: np.ndarray, count: int) -> dict[int, float]:
    """Of chunks [n] and their scores [n] the ``count`` highest, those equal to the last of them too, at most 1 each."""
    import numpy as np

    if len(scores) > count:
        chosen = scores >= np.partition(scores, -count)[-count]
        chunks, scores = chunks[chosen], scores[chosen]
    return dict(zip(chunks.tolist(), np.minimum(scores, 1.0).tolist(), strict=True))
