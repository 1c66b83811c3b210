"""The questions of ``retrieval_set.json``: written by hand, each with the one passage that answers it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistants.knowledge import embedding
from assistants.knowledge.models import VectorStore
from assistants.knowledge.retrieval import bm25, packing, postings
from assistants.knowledge.retrieval.fusion import fuse
from assistants.knowledge.retrieval.keywords import best, rarest
from assistants.knowledge.retrieval.search import DEPTH, Found, Ranking, search
from assistants.knowledge.retrieval.terms import key_of, query_terms
from sovereign.accounts.models import Project
from sovereign.core.database import in_database
from tests.knowledge.searching import add_file, make_store

SET = json.loads((Path(__file__).parent / "retrieval_set.json").read_text())
DOCUMENTS: list[dict[str, Any]] = SET["documents"]
QUESTIONS: list[dict[str, Any]] = SET["questions"]
HYBRID, VECTORS, KEYWORDS = Ranking(), Ranking(text_weight=0.0), Ranking(embedding_weight=0.0)
PLACES = [(document["name"], number) for document in DOCUMENTS for number in range(len(document["passages"]))]
PASSAGES = [passage for document in DOCUMENTS for passage in document["passages"]]
FIVE = 5

Place = tuple[str, int]  # a file's name and the position of a chunk


@dataclass(frozen=True)
class Library:
    """A store with all documents, and the vectors float32 [passages][width] that it has."""

    project: Project
    store: VectorStore
    vectors: np.ndarray
    space: embedding.Space

    async def ask(self, question: str, ranking: Ranking, limit: int = 20) -> Found:
        return await search(
            project_id=self.project.pk, store_ids=[self.store.pk], queries=[question], limit=limit, ranking=ranking
        )

    async def order(self, question: str, ranking: Ranking) -> list[Place]:
        return [(hit.filename, hit.position) for hit in (await self.ask(question, ranking)).hits]

    async def recall(self, ranking: Ranking) -> float:
        """The share of the questions whose passage is among the first five."""
        found = 0
        for row in QUESTIONS:
            found += (row["document"], row["passage"]) in (await self.order(row["question"], ranking))[:FIVE]
        return found / len(QUESTIONS)


async def make_library(project: Project) -> Library:
    """With the embedder that is shipped."""
    space = await embedding.current_space(None)
    assert space is not None
    vectors = await embedding.embed(PASSAGES, space)
    store = await in_database(make_store, project)
    for document in DOCUMENTS:
        begin = PLACES.index((document["name"], 0))
        own = vectors[begin : begin + len(document["passages"])]
        await in_database(add_file, store, document["name"], document["passages"], own, space.name)
    return Library(project, store, vectors, space)


async def expected_order(library: Library, question: str, ranking: Ranking, limit: int = 20) -> list[Place]:
    """What a search has to give, worked out without a database: from the texts and the vectors themselves."""
    vector = (await embedding.embed([question], library.space))[0]
    cosines = np.round(library.vectors.astype(float) @ vector.astype(float), 6)
    near = best(np.flatnonzero(cosines > 0), cosines[cosines > 0], DEPTH)
    words = _words(question)
    lists, weights = [near, words], list(ranking.weights)
    chosen = [(found, weight) for found, weight in zip(lists, weights, strict=True) if weight]
    fused = fuse([found for found, _ in chosen], [weight for _, weight in chosen])
    return [PLACES[number] for number in sorted(fused, key=lambda number: (-fused[number], number))][:limit]


def _words(question: str) -> dict[int, float]:
    rows, lengths = packing.pack("any", PASSAGES)
    held = dict(rows)
    corpus = bm25.Corpus(len(PASSAGES), sum(lengths))
    data = {term: held.get(key_of("any", term), b"") for term in query_terms(question)}
    holding = {term: len(places) // packing.BYTES_OF_PLACE for term, places in data.items()}
    words = [postings._word([(0, data[term])]) for term in rarest(holding)]
    chunks, scores = bm25.scores(words, [holding[term] for term in rarest(holding)], corpus)
    most = bm25.best_possible(list(holding.values()), corpus)
    return best(chunks, scores / most, DEPTH) if len(chunks) else {}
