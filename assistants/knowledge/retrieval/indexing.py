"""What makes a file of a store searchable, and what makes it forgotten. Always inside the caller's transaction.

Both lock the store's row (the caller of ``add`` has it already): what is stored about a whole store stays exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from django.db.models import Count, F, QuerySet, Sum

from assistants.knowledge.models import Chunk, MemberVectors, Posting, StoreFile, StoreStatistics, VectorStore
from assistants.knowledge.retrieval import pgvector
from assistants.knowledge.retrieval.packing import Packed, pack
from assistants.knowledge.retrieval.writing import write_rows

if TYPE_CHECKING:
    import numpy as np

BYTES_OF_NUMBER = 4  # of a vector


class Piece(Protocol):
    """A chunk as ``chunking`` makes it."""

    @property
    def text(self) -> str: ...

    @property
    def tokens(self) -> int: ...

    @property
    def start(self) -> int: ...


def add(
    member: StoreFile,
    chunks: Sequence[Piece],
    vectors: np.ndarray | None,
    space: str,
    packed: Packed | None = None,
) -> int:
    """Make a file searchable that is not yet.

    :param vectors: float32 [chunks][width], each of length one or zero; ``None`` for keywords alone.
    :param space: the name of the vectors' space.
    :param packed: what :func:`packing.pack` makes of the texts, where that was done before the transaction: of many
        megabytes it takes seconds, in which others could not write.
    :returns: the bytes that are stored for it.
    """
    texts = [chunk.text for chunk in chunks]
    words, lengths = packed or pack(member.store_id, texts)
    write_rows(
        Chunk,
        ("member_id", "position", "tokens", "terms", "repeated", "text"),
        (
            (member.pk, position, chunk.tokens, length, repeated, chunk.text)
            for position, (chunk, length, repeated) in enumerate(zip(chunks, lengths, _repeated(chunks), strict=True))
        ),
    )
    write_rows(Posting, ("term", "member_id", "data"), ((term, member.pk, data) for term, data in words))
    _count(member.store_id, len(texts), sum(lengths))
    stored = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) + sum(len(data) for _, data in words)
    return stored + (_write_vectors(member, vectors, space) if vectors is not None and len(texts) else 0)


def _repeated(chunks: Sequence[Piece]) -> Iterator[int]:
    """How many characters each has of the one before it."""
    ended = 0
    for chunk in chunks:
        yield max(0, ended - chunk.start)
        ended = chunk.start + len(chunk.text)


def replace_vectors(member: StoreFile, vectors: np.ndarray, space: str) -> None:
    """Other vectors, of another model, for a file that is searchable: the old ones serve until this is committed."""
    VectorStore.objects.select_for_update(no_key=True).get(pk=member.store_id)
    MemberVectors.objects.filter(member=member).delete()
    _write_vectors(member, vectors, space)
    _count(member.store_id, 0, 0)


def forget(members: QuerySet[StoreFile]) -> None:
    """Take files out of the search, before their rows are deleted."""
    stores = sorted(set(members.order_by().values_list("store_id", flat=True)))
    list(VectorStore.objects.select_for_update(no_key=True).filter(pk__in=stores).order_by("pk").values_list("pk"))
    gone = list(members.order_by().values_list("pk", flat=True))
    held = Chunk.objects.filter(member__in=gone).order_by()
    totals = held.values_list("member__store_id").annotate(Count("id"), Sum("terms"))
    for store_id, chunks, terms in sorted(totals):
        _count(store_id, -chunks, -terms)
    held.delete()
    Posting.objects.filter(member__in=gone).delete()
    MemberVectors.objects.filter(member__in=gone).delete()


def _count(store_id: str, chunks: int, terms: int) -> None:
    """Change what is stored about a store; whoever holds its vectors in memory sees that they changed."""
    StoreStatistics.objects.get_or_create(store_id=store_id)
    StoreStatistics.objects.filter(store_id=store_id).update(
        chunks=F("chunks") + chunks, terms=F("terms") + terms, version=F("version") + 1
    )


def _write_vectors(member: StoreFile, vectors: np.ndarray, space: str) -> int:
    """:returns: bytes."""
    packed = MemberVectors.objects.create(
        member=member, space=space, width=vectors.shape[1], data=vectors.astype("<f4", copy=False).tobytes()
    )
    pgvector.write(packed.pk, vectors)
    return vectors.size * BYTES_OF_NUMBER
