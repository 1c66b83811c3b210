"""The nearest chunks by their vectors: always exact, every vector of the store is compared.

Two ways lead there: the packed vectors of ``MemberVectors`` in this process's memory (here), and pgvector; ``nearest``
says which is taken when. Both choose some more chunks than are wanted by a product of float32, and then score those by
the same sum of float64: their order is the same on every database.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.functions import Length

from assistants.knowledge.models import MemberVectors
from assistants.knowledge.retrieval.packing import MEMBER_BITS

if TYPE_CHECKING:
    import numpy as np

MEMORY = 256 * 1024**2  # bytes of all stores' vectors that a process keeps
READ_AT_ONCE = 32 * 1024**2  # bytes of a store that has no room
READ_TOGETHER = 256  # files whose vectors one query reads
DATA = "SELECT id, data FROM knowledge_membervectors WHERE id IN ({keys})"
DIGITS = 6  # of a cosine: what float32 can tell apart
SLACK = 1e-4  # of a cosine in float32, by which it may be wrong
MARGIN = 64  # chunks more than are wanted that pgvector chooses


@dataclass(frozen=True, slots=True)
class Near:
    """A chunk by its number (``packing.MEMBER_BITS``) and the cosine between it and the question, above zero."""

    chunk: int
    cosine: float


class VectorIndex(Protocol):
    """What finds the nearest chunks of a store."""

    def nearest(self, scope: Scope, query: np.ndarray, count: int) -> Callable[[], list[Near]]:
        """At least the ``count`` nearest (where there are as many), and those as near as the last of them; unsorted.

        They are what the answer gives when it is called, in any thread: it asks no database.
        """
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """What is searched: a store in the version that was seen, the vectors of one space, perhaps some files only."""

    store_id: str
    version: int
    space: str
    members: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Matrix:
    """Vectors float32 [n][width] and the numbers of their chunks [n].

    :ivar rows: by the id of a row of the table the first of its vectors and the one behind the last.
    """

    chunks: np.ndarray
    vectors: np.ndarray
    rows: dict[int, tuple[int, int]]

    @property
    def size(self) -> int:
        return size_of(*self.vectors.shape)


def size_of(chunks: int, width: int) -> int:
    """Bytes that so many chunks and their vectors take in a ``Matrix``."""
    return chunks * (4 * width + 8)


class InMemory:
    """The packed vectors, kept in memory for the stores that were searched last."""

    def __init__(self, memory: int = MEMORY) -> None:
        self._kept = Kept(memory)
        self._memory = memory

    def has_room(self, size: int) -> bool:
        """Whether so many bytes can be kept: what has no room is read for each question."""
        return size <= self._memory

    def nearest(self, scope: Scope, query: np.ndarray, count: int) -> Callable[[], list[Near]]:
        matrix = self._kept.get(scope, lambda old: self._load(scope, old))
        if matrix is not None:
            return lambda: leading(best(matrix, query, count, scope.members), count)
        found: list[Near] = []
        for piece in _pieces(scope):
            found = leading([*found, *best(piece, query, count, scope.members)], count)
        return lambda: found

    def _load(self, scope: Scope, old: Matrix | None) -> Matrix | None:
        """The whole store; ``None`` where it is too large to be kept."""
        rows = list(_rows(scope).values_list("pk", "member_id", "width", "chunk_count"))
        if not self.has_room(sum(size_of(count, width) for _, _, width, count in rows)):
            return None
        return _matrix(scope, rows, old)


class Kept:
    """Matrices by store and space, those that were used last up to a sum of bytes; each with the version it is of."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._loading: dict[tuple[str, str], threading.Lock] = {}
        self._matrices: OrderedDict[tuple[str, str], tuple[int, Matrix]] = OrderedDict()

    def get(self, scope: Scope, load: Callable[[Matrix | None], Matrix | None]) -> Matrix | None:
        """The matrix of this version; one thread loads it, made of the old one as far as possible."""
        key = (scope.store_id, scope.space)
        with self._lock:
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:
            version, matrix = self._matrices.get(key, (-1, None))
            if matrix is None or version != scope.version:
                matrix = load(matrix)
            self._keep(key, scope.version, matrix)
            return matrix

    def _keep(self, key: tuple[str, str], version: int, matrix: Matrix | None) -> None:
        with self._lock:
            self._matrices.pop(key, None)
            if matrix is not None:
                self._matrices[key] = (version, matrix)
            while sum(kept.size for _, kept in self._matrices.values()) > self._memory:
                gone, _ = self._matrices.popitem(last=False)
                self._loading.pop(gone, None)


def best(matrix: Matrix, query: np.ndarray, count: int, members: Collection[int] | None) -> list[Near]:
    """The nearest of a matrix, as ``VectorIndex.nearest``."""
    import numpy as np

    if not len(matrix.chunks):
        return []
    near = matrix.vectors @ query
    if members is not None:
        owners = matrix.chunks >> MEMBER_BITS
        near[~np.isin(owners, np.fromiter(members, np.int64, len(members)))] = -1
    least = np.partition(near, -count)[-count] - SLACK if len(near) > count else -1.0
    chosen = np.flatnonzero(near >= max(float(least), -SLACK))
    return exact(matrix.chunks[chosen].tolist(), matrix.vectors[chosen], query, members)


def exact(
    chunks: Iterable[int], vectors: np.ndarray, query: np.ndarray, members: Collection[int] | None = None
) -> list[Near]:
    """Chunks with their cosines [n][width], without those of no direction or of the opposite one."""
    import numpy as np

    cosines = np.round((vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1), DIGITS).tolist()
    found = (Near(chunk, cosine) for chunk, cosine in zip(chunks, cosines, strict=True) if cosine > 0)
    return [near for near in found if members is None or near.chunk >> MEMBER_BITS in members]


def leading(found: list[Near], count: int) -> list[Near]:
    """The ``count`` nearest and those as near as the last of them."""
    if len(found) <= count:
        return found
    least = sorted((near.cosine for near in found), reverse=True)[count - 1]
    return [near for near in found if near.cosine >= least]


def _rows(scope: Scope) -> QuerySet[Any]:
    """The packed vectors of a store in one space, each with how many there are (``chunk_count``)."""
    rows = MemberVectors.objects.filter(member__store_id=scope.store_id, space=scope.space).order_by("pk")
    return rows.annotate(chunk_count=Length("data") / (4 * F("width")))


def _pieces(scope: Scope) -> Iterator[Matrix]:
    """A store that is too large to be kept, some files at a time."""
    group: list[tuple[int, int, int, int]] = []
    size = 0
    rows = _rows(scope)
    if scope.members is not None:
        rows = rows.filter(member__in=scope.members)
    for row in rows.values_list("pk", "member_id", "width", "chunk_count"):
        group.append(row)
        size += row[2] * 4 * row[3]
        if size >= READ_AT_ONCE:
            yield _matrix(scope, group, None)
            group, size = [], 0
    if group:
        yield _matrix(scope, group, None)


def _matrix(scope: Scope, rows: list[tuple[int, int, int, int]], old: Matrix | None) -> Matrix:
    """The vectors of these rows (id, file, width, vectors); what the old matrix has is copied from it.

    Those of a row that went since it was listed are zeros: nothing is near them.
    """
    import numpy as np

    width = rows[0][2] if rows else 1
    total = sum(count for *_, count in rows)
    matrix = Matrix(np.empty(total, np.int64), np.zeros((total, width), np.float32), {})
    missing: dict[int, slice] = {}
    end = 0
    for pk, member_id, _, count in rows:
        place = slice(end, end + count)
        end += count
        matrix.rows[pk] = (place.start, place.stop)
        matrix.chunks[place] = (member_id << MEMBER_BITS) + np.arange(count)
        if old is not None and pk in old.rows:
            matrix.vectors[place] = old.vectors[slice(*old.rows[pk])]
        else:
            missing[pk] = place
    for pk, data in _data(list(missing)):
        matrix.vectors[missing[pk]] = np.frombuffer(data, "<f4").reshape(-1, width)
    return matrix


def _data(keys: list[int]) -> Iterator[tuple[int, bytes]]:
    """What rows hold; one that went has nothing. Postgres sends it as it is: as text it takes several times as long."""
    for begin in range(0, len(keys), READ_TOGETHER):
        some = keys[begin : begin + READ_TOGETHER]
        query = DATA.format(keys=", ".join(["%s"] * len(some)))
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)", some) as copy:
                    copy.set_types(["int8", "bytea"])
                    yield from copy.rows()
            else:
                cursor.execute(query, some)
                yield from cursor
