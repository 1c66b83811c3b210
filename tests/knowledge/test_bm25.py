"""Words, where they are stored to stand, and what BM25 makes of it."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from assistants.knowledge.chunking import chunks
from assistants.knowledge.models import StoreFile
from assistants.knowledge.retrieval import bm25, indexing, packing, postings
from assistants.knowledge.retrieval import terms as terms_module
from assistants.knowledge.retrieval.keywords import MOST_PLACES, MOST_WORDS, best, rarest
from assistants.knowledge.retrieval.recent import Recent
from assistants.knowledge.retrieval.terms import key_of, query_terms, stem, terms, terms_of
from sovereign.accounts.models import Project
from tests.knowledge.searching import add_file, make_store

WORDS = ["pump", "pumps", "invoice", "NP-88213", "max_num", "maxNum", "3.5", "東京都", "Straße", "the", "e14", "-", "…"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), max_size=6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NP-88213", {"np88213", "np", "88213"}),
        ("np88213", {"np88213"}),
        ("max_num_results", {"maxnumresult", "max", "num", "result"}),
        ("maxNumResults", {"maxnumresult", "max", "num", "result"}),
        ("HTTPServer", {"httpserver", "http", "server"}),
        ("E14", {"e14"}),
        ("1,000 and 3.5", {"1000", "and", "3.5"}),
        ("2026-08-26", {"20260826", "2026", "08", "26"}),
        ("the company's", {"the", "company"}),
        ("STRASSE Straße", {"strass"}),
        ("ﬁle №", {"fil", "no"}),
        ("Zürich Zu\u0308rich zurich", {"zurich"}),
        ("Éclair ΆΛΦΑ", {"eclair", "αλφα"}),
        ("ガ ｶﾞ", {"ガ"}),
        ("한국", {"한", "국", "한국"}),
        ("東京都", {"東", "京", "都", "東京", "京都"}),
        ("東京E14", {"東", "京", "東京", "e14"}),
        ("... _ -- ", set()),
    ],
)
def test_a_chunk_has_words_codes_and_their_parts(text: str, expected: set[str]) -> None:
    assert set(terms(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is the invoice?", ["invoic"]),
        ("the who", ["the", "who"]),
        ("東京", ["東京"]),
        ("東", ["東"]),
        ("pump pumps", ["pump"]),
        ("?", []),
    ],
)
def test_a_question_is_asked_by_what_tells_something(text: str, expected: list[str]) -> None:
    assert query_terms(text) == expected


@pytest.mark.parametrize(
    "words",
    [
        ("invoice", "invoices", "invoiced", "invoicing"),
        ("stop", "stops", "stopped", "stopping"),
        ("policy", "policies"),
        ("box", "boxes"),
        ("hope", "hoping", "hoped"),
    ],
)
def test_forms_of_a_word_have_one_stem(words: tuple[str, ...]) -> None:
    assert len({stem(word) for word in words}) == 1


@pytest.mark.parametrize("word", ["bus", "gas", "was", "thing", "red", "glass", "größer", "np88213"])
def test_what_has_no_ending_is_left(word: str) -> None:
    assert stem(word) == word


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_what_is_packed_is_what_the_chunks_have(texts: list[str]) -> None:
    rows, lengths = packing.pack("vs_1", texts)
    counted = [terms(text) for text in texts]
    assert lengths == [count.total() for count in counted]
    unpacked = {key: np.frombuffer(data, packing.PLACE).tolist() for key, data in rows}
    expected = {
        key_of("vs_1", term): [
            (position, count[term], count.total()) for position, count in enumerate(counted) if term in count
        ]
        for term in set().union(*counted)
    }
    assert unpacked == expected
    assert [key for key, _ in rows] == sorted(unpacked)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([*WORDS, ". ", " ", "\n\n", "。", "Zu\u0308rich", "\u0308", "\u3099", "x" * 30])).map(
        "".join
    ),
    st.integers(1, 12).flatmap(lambda maximum: st.tuples(st.just(maximum), st.integers(0, maximum - 1))),
    st.sampled_from([1, 2, 3, 100]),
)
def test_what_chunks_share_is_packed_as_if_they_did_not(text: str, size: tuple[int, int], at_once: int) -> None:
    """Wherever they are cut: also between the signs of a word."""
    made = list(chunks(text, maximum=size[0], overlap=size[1]))
    texts = [chunk.text for chunk in made]
    alone = packing.pack("vs_1", texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "AT_ONCE", at_once)
        assert packing.pack("vs_1", texts, [chunk.start for chunk in made]) == alone


def test_a_file_that_is_packed_in_groups_is_packed_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{word} pump {number}" for number, word in enumerate(WORDS)]
    whole = packing.pack("vs_1", texts)
    monkeypatch.setattr(packing, "AT_ONCE", 4)
    assert packing.pack("vs_1", texts) == whole


@pytest.mark.parametrize("at_once", [2, 100])
def test_a_file_of_too_many_different_words_is_refused(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(packing, "AT_ONCE", at_once)
    monkeypatch.setattr(packing, "MOST_DIFFERENT", 10)
    texts = [f"same{number}" for number in range(10)]
    assert len(packing.pack("vs_1", texts * 2)[0]) == 10
    with pytest.raises(packing.TooManyWords, match="too many different words"):
        packing.pack("vs_1", [*texts, "other"])


def test_few_bytes_are_remembered_of_words() -> None:
    for raw in ("x" * 4096, "東" * 4096, "東"):
        before = terms_module._remembered.cache_info().currsize
        assert terms_of(raw)
        assert terms_module._remembered.cache_info().currsize == before


def test_a_word_has_another_number_in_another_store() -> None:
    assert key_of("vs_1", "pump") != key_of("vs_2", "pump")
    assert all(0 <= key_of("vs_1", word) < 2**63 for word in ("", "pump", "\ud800"))


def by_the_book(texts: list[str], wanted: list[str]) -> dict[int, float]:
    """BM25 as it stands in textbooks, word by word."""
    counted = [terms(text) for text in texts]
    mean = sum(count.total() for count in counted) / len(texts) or 1.0
    found: Counter[int] = Counter()
    for term in wanted:
        holding = sum(term in count for count in counted)
        rarity = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        for number, count in enumerate(counted):
            if times := count[term]:
                norm = 1.2 * (0.25 + 0.75 * count.total() / mean)
                found[number] += rarity * times * 2.2 / (times + norm)
    return dict(found)


@settings(max_examples=60, deadline=None)
@given(TEXTS.filter(lambda texts: any(terms(text) for text in texts)))
def test_scores_are_those_of_the_book_in_whatever_order_rows_come(texts: list[str]) -> None:
    packed, lengths = packing.pack("vs_1", texts)
    rows = dict(packed)
    wanted = sorted(set().union(*map(terms, texts)))
    words = [postings._word([(7, rows[key_of("vs_1", term)])]) for term in wanted]
    holding = [len(word.chunks) for word in words]
    corpus = bm25.Corpus(len(texts), sum(lengths))
    chunks, scores = bm25.scores(words, holding, corpus)
    found = {chunk & 0xFFFFFFFF: score for chunk, score in zip(chunks.tolist(), scores.tolist(), strict=True)}
    assert found == pytest.approx(by_the_book(texts, wanted))
    turned = [
        bm25.Word(chunks=word.chunks[::-1], counts=word.counts[::-1], lengths=word.lengths[::-1]) for word in words
    ]
    assert (bm25.scores(turned, holding, corpus)[1] == scores).all()  # to the last bit


@given(st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_rarer_word_tells_more_and_none_tells_less_than_nothing(chunks: int, holding: int) -> None:
    holding = min(holding, chunks)
    assert bm25.rarity(holding, chunks) > 0
    assert holding == 0 or bm25.rarity(holding - 1, chunks) > bm25.rarity(holding, chunks)


def test_the_rarest_words_are_looked_up() -> None:
    assert rarest({"b": 2, "a": 2, "rare": 1, "missing": 0}) == ["rare", "a", "b"]
    assert rarest({"everywhere": 10 * MOST_PLACES}) == ["everywhere"]
    assert rarest({"everywhere": MOST_PLACES, "rare": 1}) == ["rare"]
    assert len(rarest({str(number): 1 for number in range(2 * MOST_WORDS)})) == MOST_WORDS
    assert rarest({"missing": 0}) == []


@pytest.mark.django_db
def test_a_word_that_is_everywhere_is_read_in_the_first_files(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(project)
    first, second, third = [add_file(store, f"{name}.md", ["a pump", "the pump"]).pk for name in "abc"]
    key = key_of(store.pk, "pump")
    monkeypatch.setattr(postings, "MOST_READ", 3)
    read = postings.Postings().read
    assert files_of(read({key: 1})[key]) == [first, first, second, second]
    assert files_of(read({key: 1}, {second, third})[key]) == [second, second, third, third]


def files_of(word: bm25.Word) -> list[int]:
    found: list[int] = (word.chunks >> packing.MEMBER_BITS).tolist()
    return found


@pytest.mark.django_db
def test_words_that_were_asked_for_are_not_read_again_until_their_store_changes(
    project: Project, django_assert_num_queries: Any
) -> None:
    store = make_store(project)
    first, second = [add_file(store, f"{name}.md", ["a pump", "the pump"]).pk for name in "ab"]
    pump, missing = key_of(store.pk, "pump"), key_of(store.pk, "missing")
    kept = postings.Postings()
    with django_assert_num_queries(2):
        assert kept.frequencies({pump: 1, missing: 1}) == {pump: 4, missing: 0}
        assert files_of(kept.read({pump: 1})[pump]) == [first, first, second, second]
    with django_assert_num_queries(0):
        assert kept.frequencies({pump: 1, missing: 1}) == {pump: 4, missing: 0}
        assert files_of(kept.read({pump: 1}, {second})[pump]) == [second, second]
    with transaction.atomic():
        indexing.forget(StoreFile.objects.filter(pk=first))
    assert kept.frequencies({pump: 2}) == {pump: 2}
    assert files_of(kept.read({pump: 2})[pump]) == [second, second]


def test_what_was_not_asked_for_longest_is_given_up() -> None:
    kept: Recent[str, str] = Recent(10)
    for key in "abc":
        kept.keep(key, key.upper(), 3)
    assert kept.get("a") == "A"
    kept.keep("d", "D", 4)
    assert [kept.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    kept.keep("d", "larger", 11)
    assert [kept.get(key) for key in "acd"] == [None, None, None]
    kept.keep("e", "E", 10)
    assert kept.get("e") == "E"


def test_the_best_are_chosen_with_their_equals() -> None:
    chunks, scores = np.array([1, 2, 3, 4]), np.array([0.5, 2.0, 0.5, 0.25])
    assert best(chunks, scores, 2) == {1: 0.5, 2: 1.0, 3: 0.5}
    assert best(chunks, scores, 9) == {1: 0.5, 2: 1.0, 3: 0.5, 4: 0.25}


def test_nothing_is_scored_without_words() -> None:
    assert len(bm25.scores([], [], bm25.Corpus(3, 10))[0]) == 0
    assert bm25.Corpus(0, 0).mean_length == 1.0
