"""The search of a vector store over HTTP: its page, its options, filters, and nonsense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.knowledge import embedding
from assistants.knowledge.api.filters import DEEPEST, MOST
from assistants.knowledge.models import File
from assistants.knowledge.retrieval.rewriting import rewritten
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from tests.knowledge.filled import a_store

pytestmark = pytest.mark.django_db
searches = pytest.mark.django_db(transaction=True)  # in other threads, which have to see what is there

TEXTS = ("Strawberries grow in summer.", "Potato soup is for winter.", "Pancakes go with jam, and strawberries.")
ATTRIBUTES = ({"season": "summer", "rank": 1}, {"season": "winter", "rank": 2.5}, {"rank": 3, "sweet": True})
Search = Callable[..., Any]


@pytest.fixture
def search(api: APIClient, principal: Principal, project: Project, settings: Any, monkeypatch: Any) -> Search:
    """``search(query=…)`` of a store with three files, by words alone."""
    settings.MIDDLEWARE = ["tests.support.later.Awaiting", *settings.MIDDLEWARE]
    monkeypatch.setattr(embedding, "_target", lambda *_: None)
    store = a_store(principal, project, TEXTS, ATTRIBUTES)
    return lambda **body: api.post(f"/v1/vector_stores/{store.id}/search", body, format="json")


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return sorted(one["filename"] for one in answer.json()["data"])


def error_of(answer: Any) -> tuple[int, str | None, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


@searches
def test_a_page_of_results(search: Search) -> None:
    body = search(query="potato soup").json()
    file = File.objects.get(filename="1.txt")
    (found,) = body.pop("data")
    assert body == {
        "object": "vector_store.search_results.page",
        "search_query": ["potato soup"],
        "has_more": False,
        "next_page": None,
    }
    assert 0 < found.pop("score") <= 1
    assert found == {
        "file_id": file.id,
        "filename": "1.txt",
        "attributes": {"season": "winter", "rank": 2.5},
        "content": [{"type": "text", "text": TEXTS[1]}],
    }
    assert search(query="nothing like it").json()["data"] == []


@searches
def test_several_questions_find_together(search: Search) -> None:
    answer = search(query=["potato", "pancakes"])
    assert (names(answer), answer.json()["search_query"]) == (["1.txt", "2.txt"], ["potato", "pancakes"])


@searches
def test_options(search: Search) -> None:
    assert names(search(query="strawberries")) == ["0.txt", "2.txt"]
    assert len(names(search(query="strawberries", max_num_results=1))) == 1
    scores = [one["score"] for one in search(query="strawberries").json()["data"]]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[1]
    threshold = {"score_threshold": (scores[0] + scores[1]) / 2, "ranker": "default-2024-11-15"}
    assert len(names(search(query="strawberries", ranking_options=threshold))) == 1
    for ranker in ("none", "auto"):
        assert len(names(search(query="strawberries", ranking_options={"ranker": ranker}))) == 2
    nulls = dict.fromkeys(("rewrite_query", "max_num_results", "filters", "ranking_options"))
    assert len(names(search(query="strawberries", **nulls))) == 2


@searches
def test_a_question_is_rewritten_where_that_is_asked_for(search: Search) -> None:
    asked = "Could you please tell me about the potato soup?"
    answer = search(query=asked, rewrite_query=True)
    assert (names(answer), answer.json()["search_query"]) == (["1.txt"], ["potato soup"])
    assert search(query=asked, rewrite_query=False).json()["search_query"] == [asked]


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("I'd like to know the height of the main office building.", "height of the main office building"),
        ("What is the return policy?", "return policy"),
        ("What does the handbook say about holidays, please?", "holidays"),
        ("Theatre tickets", "Theatre tickets"),
        ("NP-88213", "NP-88213"),
        ("What?", "What"),
        ("The", "The"),
        (" ", " "),
        ("Какова высота здания?", "Какова высота здания"),
    ],
)
def test_what_remains_of_a_question(question: str, wanted: str) -> None:
    assert rewritten(question) == wanted


def compared(type: str, value: Any, key: str = "rank") -> dict[str, Any]:
    return {"type": type, "key": key, "value": value}


@searches
def test_filters(search: Search) -> None:
    inner = {"type": "and", "filters": [compared("gt", 2.5)]}
    cases: list[tuple[dict[str, Any], str]] = [
        (compared("eq", "winter", "season"), "1"),
        (compared("ne", "winter", "season"), "02"),
        (compared("gt", 1), "12"),
        (compared("gte", 2.5), "12"),
        (compared("lt", 2.5), "0"),
        (compared("lte", 2.5), "01"),
        (compared("in", [1, 3, "1"]), "02"),
        (compared("nin", [1, 3]), "1"),
        (compared("in", []), ""),
        (compared("eq", True, "sweet"), "2"),
        (compared("eq", "1"), ""),
        ({"type": "and", "filters": [compared("gt", 1), compared("eq", "winter", "season")]}, "1"),
        ({"type": "or", "filters": [compared("eq", 1), inner]}, "02"),
        ({"type": "and", "filters": []}, "012"),
    ]
    for filters, expected in cases:
        answer = search(query=["strawberries", "potato"], filters=filters)
        assert names(answer) == [f"{number}.txt" for number in expected], filters


def nested(depth: int) -> dict[str, Any]:
    filter = compared("eq", 1)
    for _ in range(depth - 1):
        filter = {"type": "and", "filters": [filter]}
    return filter


@pytest.mark.parametrize(
    ("filters", "param", "code"),
    [
        (5, "filters", "invalid_type"),
        ([], "filters", "invalid_type"),
        ({}, "filters.type", "missing_required_parameter"),
        ({"type": "like", "key": "k", "value": "v"}, "filters.type", "invalid_value"),
        ({"type": ["eq"], "key": "k", "value": "v"}, "filters.type", "invalid_value"),
        ({"type": "eq", "value": "v"}, "filters.key", "missing_required_parameter"),
        ({"type": "eq", "key": "k"}, "filters.value", "missing_required_parameter"),
        ({"type": "eq", "key": 5, "value": 5}, "filters.key", "invalid_type"),
        (compared("eq", None), "filters.value", "invalid_type"),
        (compared("eq", {"a": 1}), "filters.value", "invalid_type"),
        (compared("eq", [1]), "filters.value", "invalid_type"),
        (compared("in", 1), "filters.value", "invalid_type"),
        (compared("in", [1, [2]]), "filters.value[1]", "invalid_type"),
        (compared("gt", True), "filters.value", "invalid_type"),
        ({"type": "and"}, "filters.filters", "missing_required_parameter"),
        ({"type": "and", "filters": compared("eq", 1)}, "filters.filters", "invalid_type"),
        ({"type": "or", "filters": [compared("eq", 1), 5]}, "filters.filters[1]", "invalid_type"),
        (
            {"type": "or", "filters": [{"type": "and", "filters": [compared("eq", [])]}]},
            "filters.filters[0].filters[0].value",
            "invalid_type",
        ),
        ({"type": "eq", "key": "k", "value": "v", "extra": 1}, "filters.extra", "unknown_parameter"),
        (nested(DEEPEST + 1), "filters", "invalid_value"),
        (nested(40), "filters", "invalid_value"),
        ({"type": "or", "filters": [compared("eq", 1)] * MOST}, "filters", "invalid_value"),
        (compared("in", [1] * MOST), "filters", "invalid_value"),
    ],
)
def test_filters_that_mean_nothing(search: Search, filters: Any, param: str, code: str) -> None:
    assert error_of(search(query="x", filters=filters)) == (400, param, code)


@searches
def test_the_largest_filters(search: Search) -> None:
    assert names(search(query="strawberries", filters=nested(DEEPEST))) == ["0.txt"]
    assert names(search(query="strawberries", filters=compared("in", [1] * (MOST - 1)))) == ["0.txt"]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "query", "missing_required_parameter"),
        ({"query": ""}, "query", "string_below_min_length"),
        ({"query": "x" * 8_193}, "query", "string_above_max_length"),
        ({"query": []}, "query", "array_below_min_length"),
        ({"query": ["x"] * 17}, "query", "array_above_max_length"),
        ({"query": ["x", 5]}, "query[1]", "invalid_type"),
        ({"query": {"text": "x"}}, "query", "invalid_type"),
        ({"query": "x", "max_num_results": 0}, "max_num_results", "integer_below_min_value"),
        ({"query": "x", "max_num_results": 51}, "max_num_results", "integer_above_max_value"),
        ({"query": "x", "rewrite_query": "yes"}, "rewrite_query", "invalid_type"),
        ({"query": "x", "ranking_options": {"ranker": "best"}}, "ranking_options.ranker", "invalid_value"),
        ({"query": "x", "ranking_options": {"score_threshold": 1.1}}, "ranking_options.score_threshold",
         "decimal_above_max_value"),
        ({"query": "x", "limit": 5}, "limit", "unknown_parameter"),
    ],
)  # fmt: skip
def test_refusals(search: Search, body: dict[str, Any], param: str, code: str) -> None:
    assert error_of(search(**body)) == (400, param, code)


def test_an_unknown_store_is_not_searched(api: APIClient) -> None:
    answer = api.post("/v1/vector_stores/vs_x/search", {"query": "x"}, format="json")
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "No vector store found with id 'vs_x'.")
