"""How well the labelled set is answered, and that every database answers it alike.

It is small: its vectors are compared in memory, on Postgres too. ``test_pgvector`` asks the same of pgvector.
"""

from __future__ import annotations

import pytest

from assistants.knowledge.retrieval.search import Ranking
from sovereign.accounts.models import Project
from tests.knowledge.labelled import (
    DOCUMENTS,
    HYBRID,
    KEYWORDS,
    PASSAGES,
    QUESTIONS,
    VECTORS,
    expected_order,
    make_library,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_set_is_large_enough_and_names_what_is_there() -> None:
    assert len(QUESTIONS) >= 60
    assert len(PASSAGES) >= 40
    assert len({document["kind"] for document in DOCUMENTS}) >= 8
    assert len({row["question"] for row in QUESTIONS}) == len(QUESTIONS)
    lengths = {document["name"]: len(document["passages"]) for document in DOCUMENTS}
    assert all(0 <= row["passage"] < lengths[row["document"]] for row in QUESTIONS)


async def test_both_together_find_at_least_what_each_finds_alone(project: Project) -> None:
    library = await make_library(project)
    hybrid, vectors, keywords = [await library.recall(ranking) for ranking in (HYBRID, VECTORS, KEYWORDS)]
    print(f"recall among five: hybrid {hybrid:.3f}, vectors {vectors:.3f}, keywords {keywords:.3f}")
    assert hybrid >= max(vectors, keywords)
    assert hybrid >= 0.95
    assert keywords >= 0.85


@pytest.mark.parametrize("ranking", [HYBRID, VECTORS, KEYWORDS], ids=["hybrid", "vectors", "keywords"])
async def test_the_order_is_that_of_the_texts_alone(project: Project, ranking: Ranking) -> None:
    """So it is the same on SQLite and on Postgres: both are compared with what no database was asked for."""
    library = await make_library(project)
    for row in QUESTIONS[::3]:
        expected = await expected_order(library, row["question"], ranking)
        assert await library.order(row["question"], ranking) == expected, row["question"]
