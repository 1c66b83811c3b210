"""Vectors in Postgres itself: the same results, kept up to date, switched on later."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import numpy as np
import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader

from assistants.knowledge.models import MemberVectors, StoreFile, VectorStore
from assistants.knowledge.retrieval import indexing, nearest, pgvector
from assistants.knowledge.retrieval.search import Hit, Question, find, search
from assistants.knowledge.retrieval.vectors import InMemory, Near, Scope, size_of
from sovereign.accounts.models import Project
from sovereign.core.database import in_database
from tests.knowledge.labelled import HYBRID, QUESTIONS, VECTORS, expected_order, make_library
from tests.knowledge.searching import add_file, make_store
from tests.support.fixtures import skip_ring

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the round on Postgres plays it"),
]
WIDTH = 48


@pytest.fixture(autouse=True)
def switched_on(transactional_db: None) -> Iterator[None]:
    """The migrations have made the table, where the extension is."""
    if not pgvector.is_on():
        skip_ring("this Postgres has no pgvector")
    yield
    assert pgvector.enable()  # as the next test expects it


def random_vectors(count: int, seed: int = 1) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def fill(project: Project) -> VectorStore:
    store = make_store(project)
    vectors = random_vectors(300)
    vectors[[3, 150]] = 0  # texts that the model made nothing of
    vectors[40] = vectors[41]
    for number in range(3):
        own = vectors[number * 100 : number * 100 + 100]
        add_file(store, f"{number}.md", [f"text {place}" for place in range(100)], own, "space/48")
    add_file(store, "other.md", ["text"], np.ones((1, 3), np.float32) / np.sqrt(3).astype(np.float32), "other/3")
    return store


def both(scope: Scope, query: np.ndarray, count: int) -> tuple[list[Near], list[Near]]:
    """What pgvector finds, and what the packed vectors do: the first ``count``."""

    def first(found: list[Near]) -> list[Near]:
        return sorted(found, key=lambda near: (-near.cosine, near.chunk))[:count]

    return first(pgvector.PgVector().nearest(scope, query, count)()), first(InMemory().nearest(scope, query, count)())


def stored() -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {pgvector.TABLE}")
        return int(cursor.fetchone()[0])


def test_it_finds_what_the_packed_vectors_find(project: Project) -> None:
    store = fill(project)
    scope = Scope(store.pk, 1, "space/48")
    for query in random_vectors(20, seed=2):
        ours, packed = both(scope, query, 100)
        assert ours == packed
        assert len(ours) == 100
    assert stored() == 299  # not the two of zeros


def test_only_the_files_that_were_asked_for(project: Project) -> None:
    store = fill(project)
    second = StoreFile.objects.get(file__filename="1.md").pk
    ours, packed = both(Scope(store.pk, 1, "space/48", frozenset({second})), random_vectors(1)[0], 20)
    assert ours == packed
    assert {near.chunk >> 32 for near in ours} == {second}
    assert both(Scope(store.pk, 1, "nothing/48"), random_vectors(1)[0], 20) == ([], [])


def test_what_is_replaced_or_forgotten_is_not_found(project: Project) -> None:
    fill(project)
    with transaction.atomic():
        indexing.replace_vectors(StoreFile.objects.get(file__filename="0.md"), random_vectors(100, 3), "new/48")
        indexing.forget(StoreFile.objects.filter(file__filename="1.md"))
    assert stored() == 201
    StoreFile.objects.all().delete()  # as by the end of a store: nobody tells pgvector
    assert stored() == 0


def test_it_can_be_switched_on_later(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    pgvector.disable()
    store = fill(project)
    assert not pgvector.is_on()
    call_command("enable_pgvector")
    assert stored() == 299
    ours, packed = both(Scope(store.pk, 1, "space/48"), random_vectors(1, 5)[0], 50)
    assert ours == packed
    call_command("enable_pgvector")  # again changes nothing
    assert stored() == 299
    assert "pgvector" in capsys.readouterr().out


def test_the_migration_reads_by_its_own_models(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of today may have columns that are not there yet."""
    pgvector.disable()
    fill(project)
    apps = MigrationLoader(connection).project_state(("knowledge", "0003_pgvector")).apps
    with monkeypatch.context() as today:
        today.setattr(MemberVectors, "objects", None)
        import_module("assistants.knowledge.migrations.0003_pgvector").create(apps, None)
    assert stored() == 299


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stores that pgvector was asked for."""
    stores: list[str] = []
    compare = pgvector.PgVector.nearest

    def told(index: pgvector.PgVector, scope: Scope, query: np.ndarray, count: int) -> list[Near]:
        stores.append(scope.store_id)
        return compare(index, scope, query, count)

    monkeypatch.setattr(pgvector.PgVector, "nearest", told)
    return stores


def test_it_is_asked_for_what_has_no_room_in_memory_and_finds_the_same(
    project: Project, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two stores, each of which would have room alone."""
    stores = [fill(project).pk, fill(project).pk]
    question = Question("text 7", {"space/48": random_vectors(1, 4)[0]})
    size = size_of(2 * 301, WIDTH)

    def hits(memory: int) -> list[Hit]:
        monkeypatch.setattr(nearest, "_in_memory", InMemory(memory))
        return find(project.pk, stores, [question], 50, None, HYBRID)

    in_memory = hits(size)
    assert not asked
    assert hits(size - 1) == in_memory
    assert sorted(asked) == sorted(stores)
    assert len(in_memory) == 50


def test_what_has_no_room_is_read_for_each_question_where_it_is_not(
    project: Project, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fill(project)
    question = Question("text 7", {"space/48": random_vectors(1, 4)[0]})
    monkeypatch.setattr(nearest, "_in_memory", InMemory(0))
    found = find(project.pk, [store.pk], [question], 50, None, HYBRID)
    assert asked == [store.pk]
    pgvector.disable()
    assert find(project.pk, [store.pk], [question], 50, None, HYBRID) == found
    assert asked == [store.pk]


async def test_the_labelled_set_is_answered_in_the_same_order(
    project: Project, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no room in memory: pgvector answers all of it."""
    monkeypatch.setattr(nearest, "_in_memory", InMemory(0))
    library = await make_library(project)
    for row in QUESTIONS[::5]:
        for ranking in (HYBRID, VECTORS):
            expected = await expected_order(library, row["question"], ranking)
            assert await library.order(row["question"], ranking) == expected, row["question"]
    assert len(asked) == 2 * len(QUESTIONS[::5])


async def test_a_store_without_vectors_is_searched_by_keywords(project: Project) -> None:
    store = await in_database(make_store, project)
    await in_database(add_file, store, "a.md", ["a blue pump"])
    found = await search(project_id=project.pk, store_ids=[store.pk], queries=["pump"], limit=3)
    assert [hit.filename for hit in found.hits] == ["a.md"]
    assert not await in_database(MemberVectors.objects.exists)
