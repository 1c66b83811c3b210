"""Where words stand: read for a question.

A row of ``Posting`` is one word in one file; its data are places of ``packing.PLACE``, one for each chunk with the
word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connection
from django.db.backends.utils import CursorWrapper

from assistants.knowledge.retrieval.bm25 import Word
from assistants.knowledge.retrieval.packing import BYTES_OF_PLACE, MEMBER_BITS, PLACE
from assistants.knowledge.retrieval.recent import Recent

if TYPE_CHECKING:
    import numpy as np

MOST_READ = 500_000  # places of one word: one with more says next to nothing, and the first of them serve
MEMORY = 32 * 1024**2  # bytes of the places that a process keeps
COUNTS = 50_000  # words of which a process keeps how many chunks have them
ROWS_AT_ONCE = 1_000
FREQUENCIES = "SELECT term, SUM(LENGTH(data)) FROM knowledge_posting WHERE term IN ({keys}) GROUP BY term"
PLACES = "SELECT term, member_id, data FROM knowledge_posting WHERE term IN ({keys}) ORDER BY term, member_id"

#: by the number of a word the version of its store that is asked for: what is kept of another is not the same any more
Versions = Mapping[int, int]


class Postings:
    """The postings of all stores, of which those that were asked for last are kept: questions have words in common."""

    def __init__(self, memory: int = MEMORY) -> None:
        self._counts: Recent[tuple[int, int], int] = Recent(COUNTS)
        self._words: Recent[tuple[int, int], Word] = Recent(memory)

    def frequencies(self, versions: Versions) -> dict[int, int]:
        """How many chunks have each word."""
        kept = {item: self._counts.get(item) for item in versions.items()}
        missing = [item for item, count in kept.items() if count is None]
        read = _frequencies([key for key, _ in missing])
        for item in missing:
            self._counts.keep(item, read.get(item[0], 0))
        return {item[0]: read.get(item[0], 0) if count is None else count for item, count in kept.items()}

    def read(self, versions: Versions, members: Collection[int] | None = None) -> dict[int, Word]:
        """Where each word is; of one with more than ``MOST_READ`` places those of the first files.

        :param members: look in these files only.
        """
        counts = self.frequencies(versions)
        long = [key for key in versions if counts[key] > MOST_READ]
        kept = {item: self._words.get(item) for item in versions.items() if item[0] not in long}
        read = _read([key for (key, _), word in kept.items() if word is None])
        for item in kept:
            if (word := kept[item] or read.get(item[0])) is not None:
                read[item[0]] = word
                self._words.keep(item, word, word.size)
        found = read if members is None else {key: word.within(members) for key, word in read.items()}
        return {**found, **_read(long, members)}


def _frequencies(keys: Collection[int]) -> dict[int, int]:
    """Those that none has are missing."""
    if not keys:
        return {}
    with _asked(FREQUENCIES, keys) as cursor:
        return {term: size // BYTES_OF_PLACE for term, size in cursor.fetchall()}


def _read(keys: Collection[int], members: Collection[int] | None = None) -> dict[int, Word]:
    found: defaultdict[int, list[tuple[int, bytes]]] = defaultdict(list)
    room = dict.fromkeys(keys, MOST_READ * BYTES_OF_PLACE)
    for term, member_id, data in _rows(keys, members):
        if room[term] > 0:
            found[term].append((member_id, data))
            room[term] -= len(data)
    return {term: _word(rows) for term, rows in found.items()}


def _rows(keys: Collection[int], members: Collection[int] | None) -> Iterator[tuple[int, int, bytes]]:
    if not keys:
        return
    wanted = None if members is None else frozenset(members)
    with _asked(PLACES, keys) as cursor:
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            for term, member_id, data in rows:
                if wanted is None or member_id in wanted:
                    yield term, member_id, bytes(data)


@contextmanager
def _asked(query: str, keys: Collection[int]) -> Iterator[CursorWrapper]:
    """A cursor that has executed the query. The ORM takes as long to say it as the database to answer."""
    with connection.cursor() as cursor:
        cursor.execute(query.format(keys=", ".join(["%s"] * len(keys))), list(keys))
        yield cursor


def _word(rows: Sequence[tuple[int, bytes]]) -> Word:
    import numpy as np

    places = np.frombuffer(b"".join(data for _, data in rows), PLACE)
    sizes = [len(data) // BYTES_OF_PLACE for _, data in rows]
    owners: np.ndarray = np.repeat(np.asarray([member_id for member_id, _ in rows], np.int64), sizes)
    return Word(
        chunks=(owners << MEMBER_BITS) | places["position"],
        counts=places["count"].copy(),
        lengths=places["length"].copy(),
    )
