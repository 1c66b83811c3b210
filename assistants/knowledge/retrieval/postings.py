"""Where words stand: written when a file is indexed, read for a question.

A row of ``Posting`` is one word in one file; its data are places of ``PLACE``, one for each chunk with the word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from django.db.models import Sum
from django.db.models.functions import Length

from assistants.knowledge.models import Posting
from assistants.knowledge.retrieval.bm25 import Word
from assistants.knowledge.retrieval.terms import key_of, raw_words, terms_of

if TYPE_CHECKING:
    import numpy as np

PLACE = [("position", "<u4"), ("count", "<u2"), ("length", "<u2")]  # length: of the chunk, in words
BYTES_OF_PLACE = 8
AT_ONCE = 2_000  # chunks whose words are sorted together: bounds the memory of a large file
MOST = 2**16 - 1  # of a count or a length: beyond it nothing changes any more
MOST_DIFFERENT = (
    250_000  # words of one file, a row each: written in about five seconds, in which SQLite has others wait
)
MOST_READ = 500_000  # places of one word: one with more says next to nothing, and the first of them serve
MEMBER_BITS = 32  # a chunk is known by one number: its file's row above these bits, its position below

#: number and data of each word, by number, and how many words each chunk has
Packed = tuple[list[tuple[int, bytes]], list[int]]


class TooManyWords(Exception):
    """A file has more different words than are kept of one; the message may be shown."""

    def __init__(self) -> None:
        super().__init__(f"The file has too many different words: more than {MOST_DIFFERENT}.")


def pack(store_id: str, texts: Sequence[str]) -> Packed:
    """The words of a file's chunks.

    :returns: number and data of each word, by number, and how many words each chunk has.
    :raises TooManyWords: a list of random words, say; seen early, before it takes much time or memory.
    """
    words: defaultdict[str, list[bytes]] = defaultdict(list)
    lengths: list[int] = []
    for begin in range(0, len(texts), AT_ONCE):
        lengths += _pack(texts[begin : begin + AT_ONCE], begin, words)
        if len(words) > MOST_DIFFERENT:
            raise TooManyWords
    return sorted((key_of(store_id, term), b"".join(data)) for term, data in words.items()), lengths


class _Numbers(dict[str, int]):
    """Numbers from 0 in the order in which they are asked for, not without end."""

    def __missing__(self, key: str) -> int:
        if len(self) >= MOST_DIFFERENT:
            raise TooManyWords
        self[key] = number = len(self)
        return number


def _pack(texts: Sequence[str], begin: int, words: defaultdict[str, list[bytes]]) -> list[int]:
    """Add the places of the words of some chunks, of which ``begin`` is the first.

    What is done for each single word is done by numpy or by C: there are a hundred thousand in a megabyte.

    :returns: how many words each chunk has.
    """
    import numpy as np

    raws, terms = _Numbers(), _Numbers()
    found = [np.fromiter(map(raws.__getitem__, raw_words(text)), np.int64) for text in texts]
    meanings = [[terms[term] for term in terms_of(raw)] for raw in raws]
    chunks: np.ndarray = np.repeat(np.arange(len(texts)), [len(numbers) for numbers in found])
    word_of, chunk_of = _meant(np.concatenate(found), chunks, meanings)
    lengths = np.bincount(chunk_of, minlength=len(texts))
    both, counts = np.unique((word_of << MEMBER_BITS) | chunk_of, return_counts=True)
    positions = both & (2**MEMBER_BITS - 1)
    places: np.ndarray = np.empty(len(both), PLACE)
    places["position"] = positions + begin
    places["count"] = np.minimum(counts, MOST)
    places["length"] = np.minimum(lengths[positions], MOST)
    data = places.tobytes()
    ends = (np.cumsum(np.bincount(both >> MEMBER_BITS, minlength=len(terms))) * BYTES_OF_PLACE).tolist()
    for term, first, end in zip(terms, [0, *ends][:-1], ends, strict=True):
        words[term].append(data[first:end])
    return lengths.tolist()


def _meant(raws: np.ndarray, chunks: np.ndarray, meanings: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """For words as they are written and their chunks, both [n]: the numbers of what they mean, and their chunks [m]."""
    import numpy as np

    sizes = np.asarray([len(terms) for terms in meanings], np.int64)
    begins = np.cumsum(sizes) - sizes
    flat = np.asarray([term for terms in meanings for term in terms], np.int64)
    times = sizes[raws]
    before = np.cumsum(times) - times
    within = np.arange(times.sum()) - np.repeat(before, times)
    return flat[np.repeat(begins[raws], times) + within], np.repeat(chunks, times)


def frequencies(keys: Collection[int]) -> dict[int, int]:
    """How many chunks have each word; those that none has are missing."""
    found = Posting.objects.filter(term__in=keys).order_by().values_list("term").annotate(size=Sum(Length("data")))
    return {term: size // BYTES_OF_PLACE for term, size in found}


def read(groups: Sequence[Collection[int]], members: Collection[int] | None = None) -> list[Word]:
    """Where the words are; of one with more than ``MOST_READ`` places those of the first files.

    :param groups: for each word its numbers, one for each store.
    :param members: look in these files only.
    """
    word_of = {key: index for index, keys in enumerate(groups) for key in keys}
    found: list[list[tuple[int, bytes]]] = [[] for _ in groups]
    room = [MOST_READ] * len(groups)
    for term, member_id, data in _rows(word_of, members):
        index = word_of[term]
        if room[index] > 0:
            found[index].append((member_id, data))
            room[index] -= len(data) // BYTES_OF_PLACE
    return [_word(rows) for rows in found]


def _rows(keys: Collection[int], members: Collection[int] | None) -> Iterator[tuple[int, int, bytes]]:
    rows = Posting.objects.filter(term__in=keys).order_by("term", "member_id").values_list("term", "member_id", "data")
    wanted = None if members is None else frozenset(members)
    return (
        (term, member_id, bytes(data))
        for term, member_id, data in rows.iterator()
        if wanted is None or member_id in wanted
    )


def _word(rows: list[tuple[int, bytes]]) -> Word:
    import numpy as np

    places = np.frombuffer(b"".join(data for _, data in rows), PLACE)
    sizes = [len(data) // BYTES_OF_PLACE for _, data in rows]
    owners: np.ndarray = np.repeat(np.asarray([member_id for member_id, _ in rows], np.int64), sizes)
    return Word(
        chunks=(owners << MEMBER_BITS) | places["position"].astype(np.int64),
        counts=places["count"].astype(np.float64),
        lengths=places["length"].astype(np.float64),
    )
