"""Vectors in Postgres itself, where its extension pgvector is: a table beside ``MemberVectors``, made of it.

The table is made by a migration where the extension can be had, else later by ``manage.py enable_pgvector``. It is
exact: there is no index that would guess. Where it is not, the packed vectors serve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connection, transaction

from assistants.knowledge.models import MemberVectors
from assistants.knowledge.retrieval.packing import MEMBER_BITS
from assistants.knowledge.retrieval.vectors import MARGIN, Near, Scope, exact

if TYPE_CHECKING:
    import numpy as np

TABLE = "knowledge_vector"
CREATE = f"""
CREATE TABLE {TABLE} (
    vectors_id bigint NOT NULL REFERENCES knowledge_membervectors (id) ON DELETE CASCADE,
    position integer NOT NULL,
    embedding vector NOT NULL,
    PRIMARY KEY (vectors_id, position)
)
"""
# The margin is chosen by products of float32 alone; the vectors that are scored are the packed ones.
NEAREST = f"""
WITH near AS (
    SELECT v.vectors_id, v.position
    FROM {TABLE} v
    JOIN knowledge_membervectors m ON m.id = v.vectors_id
    JOIN knowledge_storefile f ON f.id = m.member_id
    WHERE f.store_id = %(store)s AND m.space = %(space)s
        AND (%(members)s::bigint[] IS NULL OR m.member_id = ANY (%(members)s::bigint[]))
    ORDER BY v.embedding <#> %(query)s::vector, v.vectors_id, v.position
    LIMIT %(count)s
)
SELECT m.member_id, near.position, substring(m.data FROM near.position * m.width * 4 + 1 FOR m.width * 4)
FROM near JOIN knowledge_membervectors m ON m.id = near.vectors_id
"""  # noqa: S608
COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = b"\xff\xff"


class PgVector:
    """See :class:`assistants.knowledge.retrieval.vectors.VectorIndex`."""

    def nearest(self, scope: Scope, query: np.ndarray, count: int) -> Callable[[], list[Near]]:
        found = self._nearest(scope, query, count)
        return lambda: found

    def _nearest(self, scope: Scope, query: np.ndarray, count: int) -> list[Near]:
        import numpy as np

        members = None if scope.members is None else sorted(scope.members)
        values = {"store": scope.store_id, "space": scope.space, "members": members, "count": count + MARGIN}
        with connection.cursor() as cursor:
            cursor.execute(NEAREST, {**values, "query": str(query.tolist())})
            rows = cursor.fetchall()
        vectors = np.frombuffer(b"".join(bytes(data) for *_, data in rows), "<f4").reshape(len(rows), len(query))
        return exact([(member_id << MEMBER_BITS) + position for member_id, position, _ in rows], vectors, query)


def is_on() -> bool:
    """Whether the table is there; then it has every vector."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [TABLE])
        return bool(cursor.fetchone()[0])


def write(vectors_id: int, vectors: np.ndarray) -> None:
    """Add a file's vectors [n][width]; those of zeros have no direction and stay away."""
    import numpy as np

    if not is_on():
        return
    positions = np.flatnonzero(vectors.any(axis=1))
    width = vectors.shape[1]
    row = [("fields", ">i2"), ("l1", ">i4"), ("id", ">i8"), ("l2", ">i4"), ("position", ">i4"), ("l3", ">i4")]
    rows: np.ndarray = np.zeros(len(positions), [*row, ("width", ">u2"), ("zero", ">u2"), ("vector", ">f4", width)])
    rows["fields"], rows["l1"], rows["l2"], rows["l3"] = 3, 8, 4, 4 + 4 * width
    rows["id"], rows["position"], rows["width"], rows["vector"] = vectors_id, positions, width, vectors[positions]
    with connection.cursor() as cursor:
        command = f"COPY {TABLE} (vectors_id, position, embedding) FROM STDIN (FORMAT BINARY)"
        with cursor.copy(command) as copy:
            copy.write(COPY_HEAD + rows.tobytes() + COPY_END)


def enable(model: Any = MemberVectors) -> bool:
    """Make the table and fill it, if the extension can be had; whoever writes vectors meanwhile waits.

    :param model: the packed vectors' as a migration knows it.
    :returns: whether it is there now.
    """
    import numpy as np

    if connection.vendor != "postgresql" or not _has_extension():
        return False
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE knowledge_membervectors IN EXCLUSIVE MODE")
        if not is_on():
            cursor.execute(CREATE)
            rows = model.objects.order_by("pk").values_list("pk", "width", "data")
            for pk, width, data in rows.iterator(chunk_size=16):
                write(pk, np.frombuffer(data, "<f4").reshape(-1, width))
    return True


def disable() -> None:
    """Drop the table: the packed vectors serve again."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {TABLE}")


def _has_extension() -> bool:
    """Whether it is there, or could be made: only an administrator of the database may, or where it is trusted."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except DatabaseError:
        return False
    return True
