"""What is found in vector stores for a question: by words and by vectors, fused into one list.

The order is the same whenever, and on whichever database, the same is asked of the same: equal scores are put in the
order of their files' age, id, and the chunk's position. A score is one of 0 to 1; see ``fusion`` for what it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import structlog
from django.db import connection

from assistants.knowledge import embedding
from assistants.knowledge.models import MemberVectors, StoreFile, StoreStatistics
from assistants.knowledge.retrieval import keywords, nearest
from assistants.knowledge.retrieval.filters import Filter, Value, matches
from assistants.knowledge.retrieval.fusion import fuse
from assistants.knowledge.retrieval.packing import MEMBER_BITS
from inference.chat import Attribution, InferenceError
from sovereign.core.database import in_database

if TYPE_CHECKING:
    import numpy as np

log = structlog.get_logger(__name__)

Ranker = Literal["auto", "default-2024-11-15", "default_2024_08_21", "none"]
Mode = Literal["hybrid", "vectors", "keywords"]

# Chosen on the sets of inference/embedder/evaluation, not on that of tests/knowledge: the documentation's questions
# have most among the first five (77 %; vectors alone 76 %, words alone 66 %), and everyday ones, which share hardly a
# word with their answers, lose little.
EMBEDDING_WEIGHT, TEXT_WEIGHT = 0.7, 0.3
DEPTH = 100  # chunks of each list that are fused
POSITION = 2**MEMBER_BITS - 1
TEXTS = """
SELECT id, member_id, position, tokens, text FROM knowledge_chunk WHERE {places}
"""
AWAY = "The embedding model of some files is not available: they are searched by keywords alone."


@dataclass(frozen=True, slots=True)
class Ranking:
    """How results are ranked: ``ranking_options``.

    ``none`` leaves out the fusion: the vectors' order alone, where there are vectors. The named rankers are one.

    :ivar score_threshold: results with less are left out.
    :ivar embedding_weight: of the vectors' list, and ``text_weight`` of the keywords': not both zero.
    """

    ranker: Ranker = "auto"
    score_threshold: float = 0.0
    embedding_weight: float = EMBEDDING_WEIGHT
    text_weight: float = TEXT_WEIGHT

    @property
    def weights(self) -> tuple[float, float]:
        """Of vectors and of keywords."""
        return (1.0, 0.0) if self.ranker == "none" else (self.embedding_weight, self.text_weight)


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found, with its score of 0 to 1."""

    file_id: str
    filename: str
    attributes: Mapping[str, Value]
    store_id: str
    chunk_id: int
    position: int
    text: str
    tokens: int
    score: float


class _Text(NamedTuple):
    """A row of ``Chunk``."""

    id: int
    member_id: int
    position: int
    tokens: int
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """The results, best first. ``mode`` says by what they were found, and ``note`` why not by vectors (or is empty)."""

    hits: list[Hit]
    mode: Mode
    note: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question: its words, and its vectors float32 [width] by the name of the space."""

    text: str
    vectors: Mapping[str, np.ndarray]


@dataclass(slots=True)
class Vectors:
    """What was made of the questions, in their order, by the name of the space; and what stood in the way."""

    by_space: dict[str, np.ndarray] = field(default_factory=dict)
    note: str = ""


async def search(
    *,
    project_id: str,
    store_ids: Sequence[str],
    queries: Sequence[str],
    limit: int,
    filters: Filter | None = None,
    ranking: Ranking = Ranking(),
    attribution: Attribution | None = None,
) -> Found:
    """The best chunks of these stores for any of the questions; stores of others, and unknown ones, are empty.

    A chunk that several questions find has the best of its scores. That no model makes vectors is no error: the words
    are searched alone, and ``Found`` says so.
    """
    spaces = await in_database(_spaces, project_id, store_ids) if ranking.weights[0] else []
    whose = attribution or Attribution(project=project_id, purpose=embedding.PURPOSE)
    vectors = await _vectors(queries, spaces, project_id, whose) if ranking.weights[0] else Vectors()
    questions = [
        Question(text, {space: found[index] for space, found in vectors.by_space.items()})
        for index, text in enumerate(queries)
    ]
    mode = _mode(ranking, bool(vectors.by_space))
    hits = await in_database(find, project_id, store_ids, questions, limit, filters, ranking)
    return Found(hits, mode, vectors.note)


def _mode(ranking: Ranking, has_vectors: bool) -> Mode:
    if not has_vectors:
        return "keywords"
    return "hybrid" if ranking.weights[1] else "vectors"


def _spaces(project_id: str, store_ids: Sequence[str]) -> list[str]:
    """The spaces of the vectors in these stores."""
    rows = MemberVectors.objects.filter(member__store__in=store_ids, member__store__project=project_id)
    return sorted(rows.order_by().values_list("space", flat=True).distinct())


async def _vectors(queries: Sequence[str], spaces: Sequence[str], project_id: str, whose: Attribution) -> Vectors:
    found = Vectors()
    for name in spaces:
        space = embedding.space_named(name)
        try:
            if space is not None and await embedding.is_available(space, project_id):
                found.by_space[name] = await embedding.embed(queries, space, whose)
            else:
                found.note = AWAY
        except InferenceError as error:
            log.warning("question_not_embedded", space=name, error=error.message)
            found.note = AWAY
    if not spaces and await _is_without(project_id):
        found.note = embedding.why_not()
    return found


async def _is_without(project_id: str) -> bool:
    """Whether nothing makes embeddings for the project."""
    try:
        return await embedding.current_space(project_id) is None
    except InferenceError:
        return False


def find(
    project_id: str,
    store_ids: Sequence[str],
    questions: Sequence[Question],
    limit: int,
    filters: Filter | None,
    ranking: Ranking,
) -> list[Hit]:
    """What ``search`` does when the questions have their vectors; asks the database."""
    stores = list(
        StoreStatistics.objects.filter(store__in=store_ids, store__project=project_id, chunks__gt=0).order_by("store")
    )
    members = _members(stores, filters) if filters is not None else None
    if not stores or members == frozenset():
        return []
    scores: dict[int, float] = {}
    for question in questions:
        for chunk, score in _scores(stores, question, members, ranking).items():
            scores[chunk] = max(score, scores.get(chunk, 0.0))
    return _told({chunk: score for chunk, score in scores.items() if score >= ranking.score_threshold}, limit)


def _members(stores: Sequence[StoreStatistics], filters: Filter) -> frozenset[int]:
    """The files that the filter lets through."""
    rows = StoreFile.objects.filter(store__in=[store.pk for store in stores]).order_by()
    return frozenset(pk for pk, attributes in rows.values_list("pk", "attributes") if matches(filters, attributes))


def _scores(
    stores: Sequence[StoreStatistics], question: Question, members: frozenset[int] | None, ranking: Ranking
) -> dict[int, float]:
    """The scores of the chunks that one question finds."""
    comparing = nearest.found(stores, question.vectors, DEPTH, members)
    by_vectors, by_words = ranking.weights
    words = keywords.found(stores, question.text, DEPTH, members) if by_words else None
    near = comparing.result()
    if not near:  # nothing to compare with: the words are all there is
        return fuse([keywords.found(stores, question.text, DEPTH, members) if words is None else words], [1.0])
    if words is None:
        return fuse(near, [1.0] * len(near), 1.0)
    # A chunk has vectors of one space alone: a second space takes nothing from it.
    return fuse([*near, words], [*([by_vectors] * len(near)), by_words], by_vectors + by_words)


def _told(scores: Mapping[int, float], limit: int) -> list[Hit]:
    """The best with all that is known of them."""
    least = sorted(scores.values(), reverse=True)[:limit][-1:] or [0.0]
    scores = {chunk: score for chunk, score in scores.items() if score >= least[0]}
    files = _files({chunk >> MEMBER_BITS for chunk in scores})
    known = [chunk for chunk in scores if chunk >> MEMBER_BITS in files]

    def place(chunk: int) -> tuple[Any, ...]:
        file = files[chunk >> MEMBER_BITS]
        return (-scores[chunk], file["file__created_at"], file["file_id"], chunk & POSITION, file["store_id"])

    chosen = sorted(known, key=place)[:limit]
    texts = _texts(chosen)
    return [_hit(texts[chunk], files[chunk >> MEMBER_BITS], scores[chunk]) for chunk in chosen if chunk in texts]


def _files(members: set[int]) -> dict[int, dict[str, Any]]:
    columns = ("pk", "store_id", "file_id", "attributes", "file__filename", "file__created_at")
    return {row["pk"]: row for row in StoreFile.objects.filter(pk__in=members).order_by().values(*columns)}


def _texts(chunks: Sequence[int]) -> dict[int, _Text]:
    """One that was forgotten meanwhile is missing. Asked for in SQL: the ORM takes a millisecond to say it."""
    if not chunks:
        return {}
    each = " OR ".join(["member_id = %s AND position = %s"] * len(chunks))
    places = [number for chunk in chunks for number in (chunk >> MEMBER_BITS, chunk & POSITION)]
    with connection.cursor() as cursor:
        cursor.execute(TEXTS.format(places=each), places)
        rows = map(_Text._make, cursor.fetchall())
        return {(row.member_id << MEMBER_BITS) + row.position: row for row in rows}


def _hit(chunk: _Text, file: Mapping[str, Any], score: float) -> Hit:
    return Hit(
        file_id=file["file_id"],
        filename=file["file__filename"],
        attributes=file["attributes"],
        store_id=file["store_id"],
        chunk_id=chunk.id,
        position=chunk.position,
        text=chunk.text,
        tokens=chunk.tokens,
        score=score,
    )
