"""BM25 over what is stored of words: the same numbers on every database, to the last bit.

The sum for a chunk is made in the order of the words, each chunk's by itself, so that it does not depend on the order
in which a database gives its rows.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assistants.knowledge.retrieval.packing import MEMBER_BITS

if TYPE_CHECKING:
    import numpy as np

SATURATION = 1.2  # k1: how soon the tenth occurrence of a word says nothing more
LENGTH_SHARE = 0.75  # b: how much a long chunk has to have more of a word


@dataclass(frozen=True, slots=True)
class Corpus:
    """How many chunks are searched, and how many words they have together."""

    chunks: int
    terms: int

    @property
    def mean_length(self) -> float:
        return self.terms / self.chunks if self.chunks and self.terms else 1.0


@dataclass(frozen=True, slots=True)
class Word:
    """Where a word is: for each chunk [n] its number, how often it has the word, and how many words it has."""

    chunks: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self.chunks.nbytes + self.counts.nbytes + self.lengths.nbytes)

    def within(self, members: Collection[int]) -> Word:
        """Where it is in these files."""
        import numpy as np

        here = np.isin(self.chunks >> MEMBER_BITS, np.fromiter(members, np.int64, len(members)))
        return Word(self.chunks[here], self.counts[here], self.lengths[here])


def joined(words: Sequence[Word]) -> Word:
    """One word, which has another number in each store."""
    import numpy as np

    if len(words) == 1:
        return words[0]
    return Word(
        chunks=np.concatenate([word.chunks for word in words]),
        counts=np.concatenate([word.counts for word in words]),
        lengths=np.concatenate([word.lengths for word in words]),
    )


def rarity(holding: int, chunks: int) -> float:
    """What a word tells that ``holding`` of ``chunks`` have: never negative."""
    return math.log(1 + (chunks - holding + 0.5) / (holding + 0.5))


def weights(word: Word, holding: int, corpus: Corpus) -> np.ndarray:
    """What the word adds to the score of each of its chunks [n]; ``rarity`` for one occurrence at mean length."""
    norm = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * word.lengths / corpus.mean_length)
    return rarity(holding, corpus.chunks) * (word.counts * (SATURATION + 1) / (word.counts + norm))


def scores(words: Sequence[Word], holding: Sequence[int], corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    """The chunks that have one of the words, by number [n], and their scores [n]."""
    import numpy as np

    if not words:
        return np.empty(0, np.int64), np.empty(0)
    added = [weights(word, count, corpus) for word, count in zip(words, holding, strict=True)]
    chunks, places = np.unique(np.concatenate([word.chunks for word in words]), return_inverse=True)
    return chunks, np.bincount(places, weights=np.concatenate(added), minlength=len(chunks))


def best_possible(holding: Sequence[int], corpus: Corpus) -> float:
    """The score of a chunk of mean length that has every word once."""
    return sum(rarity(count, corpus.chunks) for count in holding)
