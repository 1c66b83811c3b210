"""The packed vectors in memory: exact, as new as the store, and within their bound."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from django.db import transaction

from assistants.knowledge.models import MemberVectors, StoreFile, StoreStatistics, VectorStore
from assistants.knowledge.retrieval import indexing, vectors
from assistants.knowledge.retrieval.vectors import InMemory, Near, Scope
from sovereign.accounts.models import Project
from tests.knowledge.searching import add_file, make_store

pytestmark = pytest.mark.django_db(transaction=True)

SPACE = "space/16"
QUERY = np.eye(1, 16, dtype=np.float32)[0]


def some_vectors(count: int, seed: int) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def fill(project: Project, files: int = 3) -> VectorStore:
    store = make_store(project)
    for number in range(files):
        add_file(store, f"{number}.md", [f"text {place}" for place in range(20)], some_vectors(20, number), SPACE)
    return store


def scope_of(store: VectorStore, members: frozenset[int] | None = None) -> Scope:
    return Scope(store.pk, StoreStatistics.objects.get(store=store).version, SPACE, members)


def nearest(index: InMemory, scope: Scope, count: int = 10) -> list[Near]:
    return sorted(index.nearest(scope, QUERY, count)(), key=lambda near: (-near.cosine, near.chunk))[:count]


def by_hand(store: VectorStore, count: int = 10) -> list[Near]:
    """Every vector compared, one by one."""
    found = []
    for row in MemberVectors.objects.filter(member__store=store, space=SPACE):
        for position, vector in enumerate(np.frombuffer(row.data, "<f4").reshape(-1, row.width)):
            cosine = round(float(vector.astype(float) @ QUERY.astype(float)), 6)
            found += [Near((row.member_id << 32) + position, cosine)] if cosine > 0 else []
    return sorted(found, key=lambda near: (-near.cosine, near.chunk))[:count]


def test_the_nearest_are_found_and_no_others(project: Project) -> None:
    store = fill(project)
    assert nearest(InMemory(), scope_of(store)) == by_hand(store)
    member = StoreFile.objects.get(file__filename="1.md").pk
    found = nearest(InMemory(), scope_of(store, frozenset({member})), 60)
    assert found == [near for near in by_hand(store, 60) if near.chunk >> 32 == member]


def test_what_changes_is_seen_and_the_rest_is_not_read_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    store, index = fill(project), InMemory()
    read: list[int] = []
    data = vectors._data
    monkeypatch.setattr(vectors, "_data", lambda keys: read.append(len(keys)) or data(keys))
    assert nearest(index, scope_of(store)) == by_hand(store)
    nearest(index, scope_of(store))
    assert read == [3]
    add_file(store, "new.md", ["text"], QUERY[None], SPACE)
    with transaction.atomic():
        indexing.replace_vectors(StoreFile.objects.get(file__filename="1.md"), some_vectors(20, 9), SPACE)
        indexing.forget(StoreFile.objects.filter(file__filename="0.md"))
    found = nearest(index, scope_of(store))
    assert found == by_hand(store)
    assert found[0].cosine == 1.0
    assert read == [3, 2]


def test_a_file_that_goes_while_vectors_are_read_is_not_found(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, index = fill(project), InMemory()
    data, empty = vectors._data, np.empty
    monkeypatch.setattr(np, "empty", lambda shape, *rest: np.full(shape, 1, *rest))  # whatever memory held before

    def read(keys: list[int]) -> Iterator[tuple[int, bytes]]:
        with transaction.atomic():
            indexing.forget(StoreFile.objects.filter(file__filename="1.md"))
        return data(keys)

    monkeypatch.setattr(vectors, "_data", read)
    found = nearest(index, scope_of(store), 60)
    monkeypatch.setattr(np, "empty", empty)
    assert found == by_hand(store, 60)


def test_a_store_beyond_the_bound_is_read_in_pieces(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    store = fill(project)
    monkeypatch.setattr(vectors, "READ_AT_ONCE", 20 * 16 * 4)
    index = InMemory(memory=100)
    assert nearest(index, scope_of(store)) == by_hand(store)
    assert not index._kept._matrices


def test_the_store_that_was_not_searched_for_longest_is_given_up(project: Project) -> None:
    first, second = fill(project), fill(project)
    size = 60 * 16 * 4 + 60 * 8
    index = InMemory(memory=size + 100)
    for store in (first, second, first):
        assert nearest(index, scope_of(store)) == by_hand(store)
        assert [key for key, _ in index._kept._matrices] == [store.pk]
    index = InMemory(memory=2 * size)
    for store in (first, second):
        nearest(index, scope_of(store))
    assert [key for key, _ in index._kept._matrices] == [first.pk, second.pk]


def test_a_store_without_vectors_has_none(project: Project) -> None:
    assert nearest(InMemory(), Scope(make_store(project).pk, 0, SPACE)) == []
