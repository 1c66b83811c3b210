"""Assistants at and beyond their limits: bounds, nulls, models that cannot chat, and what a tool brings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from assistants.models import Assistant
from inference.models import ModelAlias, RegisteredModel

pytestmark = pytest.mark.django_db

# the order in which the original service wrote an assistant
KEYS = [
    "id",
    "object",
    "created_at",
    "name",
    "description",
    "model",
    "instructions",
    "tools",
    "top_p",
    "temperature",
    "reasoning_effort",
    "tool_resources",
    "metadata",
    "response_format",
]

Post = Callable[..., Any]


@pytest.fixture
def tiny(db: None) -> RegisteredModel:
    return RegisteredModel.objects.create(name="tiny", created_at=timezone.now())


@pytest.fixture
def post(api: APIClient, tiny: RegisteredModel) -> Post:
    """``post(identifier="", **fields)``: an assistant made of the fields, or changed by them."""

    def send(identifier: str = "", **fields: Any) -> Any:
        path = f"/v1/assistants/{identifier}" if identifier else "/v1/assistants"
        return api.post(path, fields, format="json")

    return send


@pytest.fixture
def full(post: Post) -> dict[str, Any]:
    """An assistant of which nothing is as it comes by default."""
    answer = post(
        model="tiny",
        name="n",
        description="d",
        instructions="i",
        tools=[{"type": "code_interpreter"}, {"type": "function", "function": {"name": "f"}}],
        tool_resources={"code_interpreter": {"file_ids": []}},
        metadata={"k": "v"},
        temperature=0.25,
        top_p=0.75,
        reasoning_effort="high",
        response_format={"type": "json_object"},
    )
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


def test_an_assistants_keys_stand_in_the_recorded_order(full: dict[str, Any], api: APIClient) -> None:
    assert list(full) == KEYS
    assert list(api.get(f"/v1/assistants/{full['id']}").json()) == KEYS
    assert list(api.get("/v1/assistants").json()) == ["object", "data", "first_id", "last_id", "has_more"]
    function = next(tool for tool in full["tools"] if tool["type"] == "function")["function"]
    assert list(function) == ["name", "description", "parameters", "strict"]


def test_what_is_read_is_what_was_answered_byte_for_byte(post: Post, api: APIClient) -> None:
    answer = post(
        model="tiny",
        tools=[{"type": "file_search"}, {"type": "function", "function": {"name": "f", "strict": True}}],
        metadata={"zebra": "1", "a": "2", "lynx": "3", "b": "4"},
        temperature=1,
        top_p=0,
    )
    identifier = answer.json()["id"]
    assert b'"top_p":0.0,"temperature":1.0' in answer.content
    assert api.get(f"/v1/assistants/{identifier}").content == answer.content
    assert post(identifier, temperature=1).content == answer.content


@pytest.mark.parametrize(
    ("field", "default"),
    [
        ("name", None),
        ("description", None),
        ("instructions", None),
        ("tools", []),
        ("metadata", {}),
        ("temperature", 1.0),
        ("top_p", 1.0),
        ("reasoning_effort", None),
        ("response_format", "auto"),
    ],
)
def test_an_explicit_null_resets_one_field_and_no_other(
    post: Post, api: APIClient, full: dict[str, Any], field: str, default: Any
) -> None:
    assert full[field] != default
    changed = post(full["id"], **{field: None})
    with_it = {"tool_resources": {}} if field == "tools" else {}  # the empty lists of the tools
    assert (changed.status_code, changed.json()) == (200, {**full, field: default, **with_it})
    assert api.get(f"/v1/assistants/{full['id']}").json() == changed.json()


@pytest.mark.parametrize("field", ["id", "object", "created_at", "file_ids", "x"])
def test_what_is_no_parameter_of_an_assistant_is_refused(post: Post, full: dict[str, Any], field: str) -> None:
    for answer in (post(full["id"], **{field: "x"}), post(model="tiny", **{field: "x"})):
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, f"Unknown parameter: '{field}'.")


def test_a_model_is_never_null(post: Post, full: dict[str, Any]) -> None:
    for answer in (post(full["id"], model=None), post(model=None)):
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (400, "model", "invalid_type")
    assert post().json()["error"]["message"] == "Missing required parameter: 'model'."


def test_lists_and_objects_are_replaced_and_not_merged(post: Post, full: dict[str, Any]) -> None:
    changed = post(full["id"], tools=[{"type": "function", "function": {"name": "g"}}], metadata={"other": "x"}).json()
    assert [tool["function"]["name"] for tool in changed["tools"]] == ["g"]
    assert changed["metadata"] == {"other": "x"}


@pytest.mark.parametrize(("field", "length"), [("name", 256), ("description", 512), ("instructions", 256_000)])
def test_texts_have_a_length_in_characters(post: Post, field: str, length: int) -> None:
    longest = "\N{PILE OF POO}" * length
    assert post(model="tiny", **{field: longest}).json()[field] == longest
    refused = post(model="tiny", **{field: longest + "x"})
    assert refused.status_code == 400
    assert refused.json()["error"] == {
        "message": f"Invalid '{field}': string too long. Expected a string with maximum length {length}, but got a "
        f"string with length {length + 1} instead.",
        "type": "invalid_request_error",
        "param": field,
        "code": "string_above_max_length",
    }


@pytest.mark.parametrize(
    ("field", "value", "is_taken"),
    [
        ("temperature", 0, True),
        ("temperature", 2, True),
        ("temperature", 2.0001, False),
        ("temperature", -0.0001, False),
        ("temperature", True, False),
        ("temperature", "1", False),
        ("top_p", 0, True),
        ("top_p", 1, True),
        ("top_p", 1.0001, False),
        ("top_p", -0.0001, False),
        ("reasoning_effort", "none", True),
        ("reasoning_effort", "minimal", True),
        ("reasoning_effort", "low", True),
        ("reasoning_effort", "medium", True),
        ("reasoning_effort", "high", True),
        ("reasoning_effort", "xhigh", True),
        ("reasoning_effort", "max", True),
        ("reasoning_effort", "HIGH", False),
        ("reasoning_effort", "", False),
        ("reasoning_effort", 1, False),
    ],
)
def test_numbers_and_choices_have_bounds(post: Post, api: APIClient, field: str, value: Any, is_taken: bool) -> None:
    answer = post(model="tiny", **{field: value})
    if is_taken:
        assert answer.json()[field] == value
        assert api.get("/v1/assistants").json()["data"] == [answer.json()]
    else:
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


def test_metadata_at_its_limits(post: Post) -> None:
    most = {f"{n:064}": "\N{PILE OF POO}" * 512 for n in range(16)}
    assert post(model="tiny", metadata=most).json()["metadata"] == most
    for wrong, param in (
        ({**most, "k": "v"}, "metadata"),
        ({"k" * 65: "v"}, "metadata." + "k" * 64),
        ({"k": "v" * 513}, "metadata.k"),
        ({"k": 1}, "metadata.k"),
        ({"k": {}}, "metadata.k"),
        ({"k": None}, "metadata.k"),
        ("k", "metadata"),
        ([], "metadata"),
    ):
        answer = post(model="tiny", metadata=wrong)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    "format_",
    [
        "auto",
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "a-Z_09"}},
        {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": None, "description": None}},
        {"json_schema": {"schema": {"$defs": {"x": True}, "enum": [1, None]}, "name": "n" * 64}, "type": "json_schema"},
    ],
)
def test_a_response_format_is_echoed_as_it_was_given(post: Post, api: APIClient, format_: Any) -> None:
    body = post(model="tiny", response_format=format_).json()
    assert body["response_format"] == format_
    assert api.get(f"/v1/assistants/{body['id']}").json()["response_format"] == format_


@pytest.mark.parametrize(
    ("format_", "param"),
    [
        ({"type": "text", "json_schema": {"name": "n"}}, "response_format.json_schema"),
        ({"type": "json_schema", "json_schema": None}, "response_format.json_schema"),
        ({"type": "json_schema", "json_schema": {"name": "a b"}}, "response_format.json_schema.name"),
        ({"type": "json_schema", "json_schema": {"name": "n" * 65}}, "response_format.json_schema.name"),
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": []}}, "response_format.json_schema.schema"),
        ({"type": "json_schema", "json_schema": {"name": "n", "strict": 1}}, "response_format.json_schema.strict"),
        ({"type": "json_schema", "json_schema": {"name": "n", "x": 1}}, "response_format.json_schema.x"),
        ([], "response_format"),
        ("", "response_format"),
    ],
)
def test_a_response_format_that_means_nothing_is_refused(post: Post, format_: Any, param: str) -> None:
    answer = post(model="tiny", response_format=format_)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("tools", "given", "shown"),
    [
        ([], {}, {}),
        (["function"], {}, {}),
        (["code_interpreter"], {}, {"code_interpreter": {"file_ids": []}}),
        (["file_search"], {}, {"file_search": {"vector_store_ids": []}}),
        (["file_search"], {"file_search": {}}, {"file_search": {"vector_store_ids": []}}),
        (["file_search"], {"file_search": None}, {"file_search": {"vector_store_ids": []}}),
        (
            ["file_search", "code_interpreter"],
            {"code_interpreter": {"file_ids": []}},
            {"code_interpreter": {"file_ids": []}, "file_search": {"vector_store_ids": []}},
        ),
    ],
)
def test_a_tool_brings_an_empty_list_of_its_resources(
    post: Post, tools: list[str], given: dict[str, Any], shown: dict[str, Any]
) -> None:
    described = [{"type": kind, **({"function": {"name": "f"}} if kind == "function" else {})} for kind in tools]
    made = post(model="tiny", tools=described, tool_resources=given).json()
    assert made["tool_resources"] == shown
    assert post(made["id"], name="x").json()["tool_resources"] == shown


def test_a_file_search_says_how_it_ranks(post: Post) -> None:
    ranking = {"ranker": "default_2024_08_21", "score_threshold": 0.5, "hybrid_search": None}
    given = {"max_num_results": 2, "ranking_options": {"score_threshold": 0.5}}
    made = post(model="tiny", tools=[{"type": "file_search", "file_search": given}]).json()
    assert made["tools"] == [{"type": "file_search", "file_search": {"max_num_results": 2, "ranking_options": ranking}}]
    assert post(made["id"], tools=made["tools"]).json() == made, "what was answered may be sent back"


def test_how_much_vectors_and_words_count_is_kept(post: Post) -> None:
    weights = {"embedding_weight": 1, "text_weight": 0.0}
    given = {"type": "file_search", "file_search": {"ranking_options": {"hybrid_search": weights}}}
    made = post(model="tiny", tools=[given]).json()
    assert made["tools"][0]["file_search"]["ranking_options"]["hybrid_search"] == weights
    assert post(made["id"], tools=made["tools"]).json() == made


@pytest.mark.parametrize(
    ("weights", "param"),
    [
        ({"embedding_weight": "much", "text_weight": 1}, ".embedding_weight"),
        ({"embedding_weight": -1, "text_weight": 1}, ".embedding_weight"),
        ({"embedding_weight": 1, "text_weight": True}, ".text_weight"),
        ({"embedding_weight": 1, "text_weight": 1e300}, ".text_weight"),
        ({"embedding_weight": 1}, ".text_weight"),
        ({"embedding_weight": 0, "text_weight": 0.0}, ""),
        (5, ""),
    ],
)
def test_weights_that_weigh_nothing_are_refused(post: Post, weights: Any, param: str) -> None:
    given = {"type": "file_search", "file_search": {"ranking_options": {"hybrid_search": weights}}}
    answer = post(model="tiny", tools=[given])
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "tools[0].file_search.ranking_options.hybrid_search" + param


@pytest.mark.parametrize(
    ("strategy", "param"),
    [
        ({}, ".type"),
        ({"type": "fixed"}, ".type"),
        ({"type": "auto", "static": {}}, ".static"),
        ({"type": "static"}, ".static"),
        ({"type": "static", "static": {"chunk_overlap_tokens": 0}}, ".static.max_chunk_size_tokens"),
        ({"type": "static", "static": {"max_chunk_size_tokens": 100}}, ".static.chunk_overlap_tokens"),
        ({"type": "static", "static": {"max_chunk_size_tokens": 99, "chunk_overlap_tokens": 0}},
         ".static.max_chunk_size_tokens"),
        ({"type": "static", "static": {"max_chunk_size_tokens": 4097, "chunk_overlap_tokens": 0}},
         ".static.max_chunk_size_tokens"),
        ({"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 101}},
         ".static.chunk_overlap_tokens"),
        ({"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": -1}},
         ".static.chunk_overlap_tokens"),
        (5, ""),
    ],
)  # fmt: skip
def test_a_chunking_strategy_of_another_shape_is_refused(post: Post, strategy: Any, param: str) -> None:
    resources = {"file_search": {"vector_stores": [{"chunking_strategy": strategy}]}}
    error = post(model="tiny", tool_resources=resources).json()["error"]
    assert error["param"] == "tool_resources.file_search.vector_stores[0].chunking_strategy" + param


# ------------------------------------------------------------------------------------------------ models


@pytest.mark.parametrize(
    "name",
    ["text-embedding-3-small", "text-embedding-ada-002", "text-moderation-latest", "gpt-4o-transcribe", "gpt-image-1"],
)
def test_a_model_of_openai_that_does_not_chat_is_refused(post: Post, full: dict[str, Any], name: str) -> None:
    for answer in (post(model=name), post(full["id"], model=name)):
        assert answer.status_code == 400
        assert answer.json()["error"] == {
            "message": f"The requested model '{name}' cannot be used with the Assistants API.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "unsupported_model",
        }


@pytest.mark.parametrize("name", ["nomic-embed-text", "Qwen/Qwen3-Embedding-0.6B", "bge-reranker-v2"])
def test_a_registered_model_that_makes_vectors_is_refused(post: Post, name: str) -> None:
    model = RegisteredModel.objects.create(name=name, created_at=timezone.now())
    ModelAlias.objects.create(alias="vectors", model=model, created_at=timezone.now())
    for asked in (name, "vectors"):
        error = post(model=asked).json()["error"]
        assert (error["param"], error["code"]) == ("model", "unsupported_model")
    assert not Assistant.objects.exists()


def test_a_name_that_only_sounds_like_it_is_taken(post: Post, tiny: RegisteredModel) -> None:
    RegisteredModel.objects.create(name="embedded-llama", created_at=timezone.now())
    ModelAlias.objects.create(alias="text-embedding-3-large", model=tiny, created_at=timezone.now())
    for name in ("embedded-llama", "text-embedding-3-large"):
        assert post(model=name).json()["model"] == name
