"""The chunks that are nearest to a question, and where its vectors are compared: in memory, or by pgvector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from assistants.knowledge.models import StoreStatistics
from assistants.knowledge.retrieval import pgvector
from assistants.knowledge.retrieval.vectors import InMemory, Near, Scope, VectorIndex, leading, size_of

if TYPE_CHECKING:
    import numpy as np

COMPARING = 4  # questions at once: more would wait for memory
_in_memory = InMemory()
_beside = ThreadPoolExecutor(max_workers=COMPARING, thread_name_prefix="vectors")


def found(
    stores: Sequence[StoreStatistics], vectors: Mapping[str, np.ndarray], count: int, members: frozenset[int] | None
) -> Future[list[dict[int, float]]]:
    """For each space the cosines of the ``count`` nearest chunks by number, and of those as near as the last of them.

    Those of two spaces cannot be compared, only ranked; a space in which nothing is near has no list. What is in memory
    is compared in a thread beside this one, which reads words meanwhile: numpy lets it.

    :param vectors: the question's, float32 [width], by the name of the space.
    :param members: compare the chunks of these files only.
    """
    index = index_for(stores, vectors)
    searches = [
        [index.nearest(Scope(store.pk, store.version, space, members), vector, count) for store in stores]
        for space, vector in vectors.items()
    ]
    return _beside.submit(_compared, searches, count)


def _compared(searches: Iterable[Sequence[Callable[[], list[Near]]]], count: int) -> list[dict[int, float]]:
    lists = []
    for of_stores in searches:
        near = leading([one for search in of_stores for one in search()], count)
        lists.append({one.chunk: one.cosine for one in near})
    return [found for found in lists if found]


def index_for(stores: Sequence[StoreStatistics], vectors: Mapping[str, np.ndarray]) -> VectorIndex:
    """Memory, as long as all that is searched has room there: nothing is quicker. Beyond that pgvector, where it is.

    Where it is not, the memory's index reads what has no room for each question.
    """
    chunks = sum(store.chunks for store in stores)
    if _in_memory.has_room(sum(size_of(chunks, len(vector)) for vector in vectors.values())) or not pgvector.is_on():
        return _in_memory
    return pgvector.PgVector()
