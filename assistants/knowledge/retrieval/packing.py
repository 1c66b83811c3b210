"""The words of a file, as they are stored: one row for each word, with its places in the file's chunks.

What is done for each single word is done by numpy or by C: there are two hundred thousand in a megabyte. Chunks repeat
each other, about half of each: what they share is taken apart once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from assistants.knowledge.retrieval.terms import keys_of, raw_words, terms_of

if TYPE_CHECKING:
    import numpy as np

PLACE = [("position", "<u4"), ("count", "<u2"), ("length", "<u2")]  # length: of the chunk, in words
BYTES_OF_PLACE = 8
AT_ONCE = 2_000  # chunks whose words are sorted together: bounds the memory of a large file
MOST = 2**16 - 1  # of a count or a length: beyond it nothing changes any more
MOST_DIFFERENT = 250_000  # words of one file, a row each: written in a second, in which SQLite has others wait
MEMBER_BITS = 32  # a chunk is known by one number: its file's row above these bits, its position below

#: number and data of each word, by number, and how many words each chunk has
Packed = tuple[list[tuple[int, bytes]], list[int]]


class TooManyWords(Exception):
    """A file has more different words than are kept of one; the message may be shown."""

    def __init__(self) -> None:
        super().__init__(f"The file has too many different words: more than {MOST_DIFFERENT}.")


class _Numbers(dict[str, int]):
    """Numbers from 0 in the order in which they are asked for, not without end."""

    def __missing__(self, key: str) -> int:
        if len(self) >= MOST_DIFFERENT:
            raise TooManyWords
        self[key] = number = len(self)
        return number


def pack(store_id: str, texts: Sequence[str], starts: Sequence[int] | None = None) -> Packed:
    """The words of a file's chunks. The parameters are those of :class:`Packing`.

    :raises TooManyWords: a list of random words, say.
    """
    packing = Packing(store_id)
    packing.add(texts, starts)
    return packing.packed()


class Packing:
    """The words of a file's chunks, which come some at a time."""

    def __init__(self, store_id: str) -> None:
        self._store_id = store_id
        self._numbers = _Numbers()
        self._words: list[np.ndarray] = []
        self._places: list[np.ndarray] = []
        self._lengths: list[int] = []

    def add(self, texts: Sequence[str], starts: Sequence[int] | None = None) -> None:
        """The next chunks.

        :param starts: where each text begins in the one that they were cut of, none before the one before it; they have
            in common what overlaps. Without them nothing does.
        :raises TooManyWords: seen early, before it takes much time or memory.
        """
        for begin in range(0, len(texts), AT_ONCE):
            group = slice(begin, begin + AT_ONCE)
            word, place, length = _pack(texts[group], starts and starts[group], self._numbers)
            place["position"] += len(self._lengths)
            self._words.append(word)
            self._places.append(place)
            self._lengths += length.tolist()

    def packed(self) -> Packed:
        """Number and data of each word, by number, and how many words each chunk has."""
        import numpy as np

        if not self._numbers:
            return [], self._lengths
        keys = keys_of(self._store_id, self._numbers)
        return list(_rows(keys, np.concatenate(self._words), np.concatenate(self._places))), self._lengths


def _rows(keys: list[int], words: np.ndarray, places: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """For words [n] and their places [n], in the order of the chunks: number and data of each word, by number."""
    import numpy as np

    data = places[np.argsort(words, kind="stable")].tobytes()
    ends = [0, *(np.cumsum(np.bincount(words)) * BYTES_OF_PLACE).tolist()]
    for word in np.argsort(np.asarray(keys)).tolist():
        yield keys[word], data[ends[word] : ends[word + 1]]


def _pack(
    texts: Sequence[str], starts: Sequence[int] | None, numbers: _Numbers
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """:returns: the numbers of words [n], by number, the places of each [n], and how many words each text has."""
    import numpy as np

    parts, first, last = _parts(texts, starts)
    word_of, ends = _words(parts, numbers)
    begins, lengths = ends[first], ends[last] - ends[first]
    word_of = word_of[_ranges(begins, lengths)]
    text_of: np.ndarray = np.repeat(np.arange(len(texts)), lengths)
    both, counts = np.unique((word_of << MEMBER_BITS) | text_of, return_counts=True)
    positions = both & (2**MEMBER_BITS - 1)
    places: np.ndarray = np.empty(len(both), PLACE)
    places["position"] = positions
    places["count"] = np.minimum(counts, MOST)
    places["length"] = np.minimum(lengths[positions], MOST)
    return (both >> MEMBER_BITS).astype(np.int32), places, lengths


def _words(parts: Sequence[str], numbers: _Numbers) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the words of all parts, one after another [n], and where those of each part end, after a 0."""
    import numpy as np

    raws, found = _Numbers(), []
    for part in parts:
        raw = raw_words(part)
        found.append(np.fromiter(map(raws.__getitem__, raw), np.int64, len(raw)))
    meant = [terms_of(raw) for raw in raws]
    sizes = np.fromiter(map(len, meant), np.int64, len(meant))
    flat = np.fromiter(map(numbers.__getitem__, itertools.chain.from_iterable(meant)), np.int64, int(sizes.sum()))
    raw_of = np.concatenate(found)
    word_of = flat[_ranges((np.cumsum(sizes) - sizes)[raw_of], sizes[raw_of])]
    ends = np.cumsum([0, *map(len, found)])
    return word_of, np.concatenate(([0], np.cumsum(sizes[raw_of])))[ends]


def _ranges(begins: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """``begin, begin + 1, …`` for each of the sizes [n], one after another [sum of the sizes]."""
    import numpy as np

    before = np.cumsum(sizes) - sizes
    found: np.ndarray = np.repeat(begins - before, sizes)
    found += np.arange(len(found))
    return found


def _parts(texts: Sequence[str], starts: Sequence[int] | None) -> tuple[list[str], np.ndarray, np.ndarray]:
    """What texts that overlap are made of: the stretches between the places where one begins or ends.

    A text in which such a place is inside a word is taken by itself.

    :returns: the parts, and of each text the first of its parts and the one behind the last.
    """
    import numpy as np

    if starts is None:
        return list(texts), np.arange(len(texts)), np.arange(1, len(texts) + 1)
    begins = np.asarray(starts, np.int64)
    ends = begins + np.fromiter(map(len, texts), np.int64, len(texts))
    bounds, places = np.unique(np.concatenate((begins, ends)), return_inverse=True)
    first, last = places[: len(texts)], places[len(texts) :]
    parts, done = [""] * (len(bounds) - 1), 0
    for number, (text, begin) in enumerate(zip(texts, starts, strict=True)):
        low, high = int(first[number]), int(last[number])
        cuts = (bounds[low : high + 1] - begin).tolist()
        if any(_is_torn(text, cut) for cut in cuts[1:-1]):
            first[number], last[number] = len(parts), len(parts) + 1
            parts.append(text)
        else:
            for part in range(max(low, done), high):
                parts[part] = text[cuts[part - low] : cuts[part - low + 1]]
            done = max(done, high)
    return parts, first, last


def _is_torn(text: str, cut: int) -> bool:
    return not (text[cut - 1].isspace() or text[cut].isspace())
