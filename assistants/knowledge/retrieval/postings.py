"""Where words stand: written when a file is indexed, read for a question.

A row of ``Posting`` is one word in one file; its data are places of ``PLACE``, one for each chunk with the word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from django.db.models import Sum
from django.db.models.functions import Length

from assistants.knowledge.models import Posting
from assistants.knowledge.retrieval.bm25 import Word
from assistants.knowledge.retrieval.terms import key_of, terms

if TYPE_CHECKING:
    import numpy as np

PLACE = [("position", "<u4"), ("count", "<u2"), ("length", "<u2")]  # length: of the chunk, in words
BYTES_OF_PLACE = 8
MOST = 2**16 - 1  # of a count or a length: beyond it nothing changes any more
MEMBER_BITS = 32  # a chunk is known by one number: its file's row above these bits, its position below


def pack(store_id: str, texts: Sequence[str]) -> tuple[list[tuple[int, bytes]], list[int]]:
    """The words of a file's chunks.

    :returns: number and data of each word, by number, and how many words each chunk has.
    """
    import numpy as np

    numbers: dict[str, int] = {}  # of each word, in the order in which they came
    word_of: list[int] = []
    counts: list[int] = []
    sizes, lengths = [], []
    for text in texts:
        found = terms(text)
        word_of += [numbers.setdefault(term, len(numbers)) for term in found]
        counts += found.values()
        sizes.append(len(found))
        lengths.append(found.total())
    places: np.ndarray = np.empty(len(counts), PLACE)
    places["position"] = np.repeat(np.arange(len(texts)), sizes)
    places["count"] = np.minimum(counts, MOST)
    places["length"] = np.repeat(np.minimum(lengths, MOST), sizes)
    order = np.argsort(np.asarray(word_of, np.int64), kind="stable")
    data = places[order].tobytes()
    ends = (np.cumsum(np.bincount(word_of, minlength=len(numbers))) * BYTES_OF_PLACE).tolist() if counts else []
    begins = [0, *ends[:-1]]
    rows = [(key_of(store_id, term), data[begin:end]) for term, begin, end in zip(numbers, begins, ends, strict=True)]
    return sorted(rows), lengths


def frequencies(keys: Collection[int]) -> dict[int, int]:
    """How many chunks have each word; those that none has are missing."""
    found = Posting.objects.filter(term__in=keys).order_by().values_list("term").annotate(size=Sum(Length("data")))
    return {term: size // BYTES_OF_PLACE for term, size in found}


def read(groups: Sequence[Collection[int]], members: Collection[int] | None = None) -> list[Word]:
    """Where the words are.

    :param groups: for each word its numbers, one for each store.
    :param members: look in these files only.
    """
    word_of = {key: index for index, keys in enumerate(groups) for key in keys}
    found: list[list[tuple[int, bytes]]] = [[] for _ in groups]
    for term, member_id, data in _rows(word_of, members):
        found[word_of[term]].append((member_id, data))
    return [_word(rows) for rows in found]


def _rows(keys: Collection[int], members: Collection[int] | None) -> Iterator[tuple[int, int, bytes]]:
    rows = Posting.objects.filter(term__in=keys).order_by().values_list("term", "member_id", "data")
    wanted = None if members is None else frozenset(members)
    return (row for row in rows.iterator() if wanted is None or row[1] in wanted)


def _word(rows: list[tuple[int, bytes]]) -> Word:
    import numpy as np

    places = np.frombuffer(b"".join(data for _, data in rows), PLACE)
    sizes = [len(data) // BYTES_OF_PLACE for _, data in rows]
    owners = np.repeat(np.asarray([member_id for member_id, _ in rows], np.int64), sizes)
    return Word(
        chunks=(owners << MEMBER_BITS) | places["position"].astype(np.int64),
        counts=places["count"].astype(np.float64),
        lengths=places["length"].astype(np.float64),
    )
