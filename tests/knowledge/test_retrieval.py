"""What is found in stores, and what is forgotten."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from django.db import transaction

from assistants.knowledge import embedding
from assistants.knowledge.models import Chunk, MemberVectors, Posting, StoreFile, StoreStatistics
from assistants.knowledge.retrieval import indexing
from assistants.knowledge.retrieval.filters import Compare
from assistants.knowledge.retrieval.search import AWAY, Found, Ranking, _spaces, search
from inference.chat import InferenceError
from sovereign.accounts.models import Project
from sovereign.core.database import in_database
from tests.knowledge.searching import add_file, make_store

pytestmark = pytest.mark.django_db(transaction=True)


async def ask(project: Project, store: Any, *queries: str, **options: Any) -> Found:
    return await search(project_id=project.pk, store_ids=[store.pk], queries=list(queries), **{"limit": 10, **options})


def names(found: Found) -> list[tuple[str, int]]:
    return [(hit.filename, hit.position) for hit in found.hits]


async def embedded(texts: list[str]) -> tuple[np.ndarray, str]:
    space = await embedding.current_space(None)
    assert space is not None
    return await embedding.embed(texts, space), space.name


async def test_a_word_is_found_and_only_where_it_is(project: Project) -> None:
    store = await in_database(make_store, project)
    await in_database(add_file, store, "a.md", ["The pump of type NP-88213 is blue.", "Invoices are paid monthly."])
    await in_database(add_file, store, "b.md", ["Nothing to see."])
    for query in ("NP-88213", "np88213", "pump 88213"):
        found = await ask(project, store, query)
        assert names(found) == [("a.md", 0)]
    assert names(await ask(project, store, "paying an invoice")) == [("a.md", 1)]
    assert found.mode == "keywords"
    assert 0 < found.hits[0].score <= 1


async def test_vectors_and_words_are_fused(project: Project) -> None:
    store = await in_database(make_store, project)
    texts = ["Employees get 28 days of paid leave.", "The invoice is due within thirty days.", "Pumps are blue."]
    vectors, space = await embedded(texts)
    await in_database(add_file, store, "a.md", texts, vectors, space)
    found = await ask(project, store, "When must the bill be settled?")
    assert found.mode == "hybrid"
    assert found.note == ""
    assert names(found)[0] == ("a.md", 1)


async def test_a_filter_decides_before_the_search(project: Project) -> None:
    store = await in_database(make_store, project)
    await in_database(add_file, store, "a.md", ["blue pump"], None, "", {"year": 2024})
    await in_database(add_file, store, "b.md", ["blue pump"], None, "", {"year": 2025})
    assert names(await ask(project, store, "pump", filters=Compare("gt", "year", 2024))) == [("b.md", 0)]
    assert names(await ask(project, store, "pump")) == [("a.md", 0), ("b.md", 0)]


async def test_what_is_forgotten_leaves_nothing(project: Project) -> None:
    store = await in_database(make_store, project)
    vectors = np.eye(2, 4, dtype=np.float32)
    await in_database(add_file, store, "a.md", ["one two", "three"], vectors, "space/4")
    await in_database(add_file, store, "b.md", ["four five six"])

    def forget() -> tuple[int, ...]:
        with transaction.atomic():
            indexing.forget(StoreFile.objects.filter(file__filename="a.md"))
        kept = StoreStatistics.objects.get(store=store)
        counts = (model.objects.count() for model in (Chunk, Posting, MemberVectors))
        return (kept.chunks, kept.terms, *counts)

    assert await in_database(forget) == (1, 3, 1, 3, 0)


async def test_stores_of_others_are_empty(project: Project, charlies_project: Project) -> None:
    store = await in_database(make_store, project)
    await in_database(add_file, store, "a.md", ["blue pump"])
    assert (await ask(charlies_project, store, "pump")).hits == []


async def test_stores_with_and_without_vectors_are_searched_as_one(project: Project) -> None:
    first, second = [await in_database(make_store, project) for _ in range(2)]
    vectors, space = await embedded(["The blue pump.", "A red rose."])
    await in_database(add_file, first, "a.md", ["The blue pump.", "A red rose."], vectors, space)
    await in_database(add_file, second, "b.md", ["Another pump."])
    found = await search(
        project_id=project.pk, store_ids=[first.pk, second.pk, "vs_unknown"], queries=["pump", "rose"], limit=5
    )
    assert found.mode == "hybrid"
    assert {("a.md", 0), ("a.md", 1), ("b.md", 0)} == set(names(found))
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)
    assert (await search(project_id=project.pk, store_ids=[], queries=["pump"], limit=5)).hits == []


async def test_files_whose_model_is_gone_are_found_by_their_words(project: Project) -> None:
    store = await in_database(make_store, project)
    await in_database(add_file, store, "a.md", ["The blue pump."], np.ones((1, 1), np.float32), "gone/1")
    found = await ask(project, store, "pump")
    assert names(found) == [("a.md", 0)]
    assert found.mode == "keywords"
    assert "not available" in found.note


async def test_what_a_model_says_that_fails_is_not_passed_on(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names addresses and providers."""
    store = await in_database(make_store, project)
    await in_database(add_file, store, "a.md", ["The blue pump."], np.ones((1, 2), np.float32), "engine/2")

    async def refuse(*_: Any) -> bool:
        raise InferenceError("http://10.0.0.7:8000 refuses")

    monkeypatch.setattr("assistants.knowledge.embedding.space_named", lambda name: object())
    monkeypatch.setattr("assistants.knowledge.embedding.is_available", refuse)
    found = await ask(project, store, "pump")
    assert (found.mode, found.note, names(found)) == ("keywords", AWAY, [("a.md", 0)])


async def test_without_an_embedder_the_result_says_so(project: Project, settings: Any) -> None:
    settings.SOVEREIGN = dataclasses.replace(settings.SOVEREIGN, embedder="none")
    store = await in_database(make_store, project)
    await in_database(add_file, store, "a.md", ["The blue pump."])
    found = await ask(project, store, "pump")
    assert (found.mode, names(found)) == ("keywords", [("a.md", 0)])
    assert "SOVEREIGN_EMBEDDER" in found.note


async def test_thresholds_and_limits_cut_the_list(project: Project) -> None:
    store = await in_database(make_store, project)
    await in_database(add_file, store, "a.md", ["blue pump", "a pump beside a very long and quiet street", "rose"])
    found = await ask(project, store, "blue pump")
    assert names(found) == [("a.md", 0), ("a.md", 1)]
    best, other = (hit.score for hit in found.hits)
    assert names(await ask(project, store, "blue pump", limit=1)) == [("a.md", 0)]
    threshold = Ranking(score_threshold=(best + other) / 2)
    assert names(await ask(project, store, "blue pump", ranking=threshold)) == [("a.md", 0)]


async def test_a_second_space_takes_nothing_from_a_score(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As while the vectors of a store are made anew: a threshold means what it meant."""
    store = await in_database(make_store, project)
    (first, second), space = await embedded(["The blue pump.", "A red rose."])
    await in_database(add_file, store, "a.md", ["The blue pump."], first[None], space)
    alone = (await ask(project, store, "The blue pump.")).hits[0].score
    await in_database(add_file, store, "b.md", ["A red rose."], second[None], "other/256")

    async def is_available(*_: Any) -> bool:
        return True

    embed = embedding.embed
    monkeypatch.setattr(embedding, "is_available", is_available)
    monkeypatch.setattr(embedding, "embed", lambda texts, _, whose: embed(texts, current, whose))
    current = await embedding.current_space(None)
    for options in ({}, {"ranking": Ranking(ranker="none")}):
        for query, name in (("The blue pump.", "a.md"), ("A red rose.", "b.md")):
            hit = (await ask(project, store, query, **options)).hits[0]
            assert hit.filename == name
            assert hit.score > 0.95
    assert alone > 0.95
    assert len(await in_database(_spaces, project.pk, [store.pk])) == 2
