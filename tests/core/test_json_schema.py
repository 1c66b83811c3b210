"""Schemas of strangers: what is wrong is said, nothing is fetched, and nothing takes for ever."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sovereign.core.json_schema import MAXIMUM_DEPTH, SchemaProblem, check_schema, check_value

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "rocket"}, "'rocket' is not"),
        ({"type": "object", "required": "city"}, "At 'required': 'city' is not of type 'array'"),
        ({"properties": {"x": {"minimum": "1"}}}, "At 'properties.x.minimum'"),
        ({"properties": {"x": {"pattern": "("}}}, "is not a 'regex'"),
        ({"$ref": "https://example.org/schema.json"}, "outside of the schema"),
        ({"$ref": "file:///etc/passwd"}, "outside of the schema"),
        ({"properties": {"x": {"$ref": "#/$defs/none"}}}, "'#/$defs/none' is not in the schema"),
        (nested(MAXIMUM_DEPTH), "levels deep"),
        ({"description": "x" * 70_000}, "at most 65,536"),
        ({"pattern": "(" * 5_000 + ")" * 5_000}, ""),
        ({"pattern": "a{99999999999999}"}, "too involved"),
        ({"allOf": [{}], "$ref": "#/allOf/x"}, "'#/allOf/x' is not in the schema"),
        ({"title": "x", "$ref": "#/title"}, "'#/title' is no schema"),
        ({"title": "x", "$ref": "#/title/0"}, "'#/title/0' is no schema"),
    ],
)
def test_what_is_no_schema_is_refused(schema: dict[str, Any], words: str) -> None:
    with pytest.raises(SchemaProblem) as problem:
        check_schema(schema)
    assert words in str(problem.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/default", "default": {"type": {"a": 1}}},
        {"$ref": "#/default", "default": {"properties": [1]}},
        {"$ref": "#/title", "title": "x"},
        {"$id": "http://[", "$ref": "#/x"},
    ],
)
def test_a_reference_to_what_only_looks_like_a_schema(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaProblem):
        check_value({"x": 1}, schema)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "'city' is a required property"),
        ({"city": 1}, "At 'city': 1 is not of type 'string'"),
        ({"city": "Bonn", "days": 0}, "At 'days': 0 is less than the minimum of 1"),
        ({"city": "Bonn", "when": 1}, "'when' was unexpected"),
        ({"city": ["x" * 1_000]}, "…"),
    ],
)
def test_what_breaks_a_schema_is_said_with_its_place(value: Any, words: str) -> None:
    check_schema(CITY)
    check_value({"city": "Bonn", "days": 2}, CITY)
    with pytest.raises(SchemaProblem) as problem:
        check_value(value, CITY)
    assert words in str(problem.value)
    assert len(str(problem.value)) < 300


def test_references_inside_of_a_schema_are_followed() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    schema = {"$defs": {"node": node}, "$ref": "#/$defs/node"}
    check_schema(schema)
    check_value({"next": {"next": {}}}, schema)
    with pytest.raises(SchemaProblem, match=r"At 'next\.next': 1 is not of type 'object'"):
        check_value({"next": {"next": 1}}, schema)


def test_no_other_document_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("it was fetched"))
    with pytest.raises(SchemaProblem, match="not in it"):
        check_value({}, {"$ref": "http://127.0.0.1:1/schema.json"})


def doubling(levels: int) -> dict[str, Any]:
    """2 to the power of ``levels`` checks in a few lines."""
    steps = {f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n + 1}"}] * 2} for n in range(levels)}
    return {"$defs": {**steps, f"s{levels}": {"type": "string"}}, "$ref": "#/$defs/s0"}


AROUND = [
    {"$ref": "#"},
    {"allOf": [{"$ref": "#"}]},
    {"if": {"$ref": "#"}},
    {"not": {"$dynamicRef": "#"}},
    {"anyOf": [{"$ref": "#"}, {"type": "object"}], "type": "string"},
]


@pytest.mark.parametrize("schema", [doubling(40), *AROUND])
def test_what_would_never_end_is_ended(schema: dict[str, Any]) -> None:
    check_schema(schema)
    with pytest.raises(SchemaProblem, match="too involved"):
        check_value("x", schema)


LONG = "x" * 100_000
MANY = [f"n{n}" for n in range(5_000)]


def tried(schema: dict[str, Any], times: int = 36) -> dict[str, Any]:
    """A schema that tries another ``times`` to the power of three; that one never fits."""
    steps = {f"s{n}": {"anyOf": [{"$ref": f"#/$defs/s{n + 1}"}] * times} for n in range(3)}
    return {"$defs": {**steps, "s3": schema}, "$ref": "#/$defs/s0"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (tried({"type": "null"}), LONG),
        (tried({"required": MANY}), {}),
        (tried({"enum": MANY}), LONG),
        (tried({"not": {"description": LONG[:50_000]}}), "x"),
        (tried({"allOf": [True] * 5_000, "type": "null"}), "x"),
        (tried({"items": {}, "type": "null"}), [1] * 10_000),
        (tried({"uniqueItems": True, "type": "null"}), [{"n": n} for n in range(900)]),
        (tried({"type": "array", "unevaluatedItems": False, "maxItems": 1}), [LONG] * 2),
    ],
)
def test_what_reads_much_again_and_again_is_ended(schema: dict[str, Any], value: Any) -> None:
    """Megabytes, where the complaints of 50,000 steps would be gigabytes."""
    check_schema(schema)
    tracemalloc.start()
    try:
        with pytest.raises(SchemaProblem, match="too involved"):
            check_value(value, schema)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024**2
    finally:
        tracemalloc.stop()


def test_a_schema_with_many_wrong_parts_is_refused_at_once() -> None:
    compared = []

    class Counted(dict[str, int]):
        def __eq__(self, other: object) -> bool:
            compared.append(other)
            return super().__eq__(other)

    with pytest.raises(SchemaProblem, match="At 'type"):
        check_schema({"type": [Counted({"n": n}) for n in range(200)]})
    assert len(compared) < 200 * 20  # not each with each


def test_much_that_is_right_is_checked() -> None:
    point = {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}, "required": ["x"]}
    schema = {"type": "object", "properties": {"text": {"type": "string"}, "points": {"type": "array", "items": point}}}
    check_value({"text": "x" * 200_000, "points": [{"x": n, "y": n} for n in range(2_000)]}, schema)


@pytest.mark.parametrize(
    "items", [[1, 1.0], [{"a": [1], "b": 2}, {"b": 2, "a": [1]}], [True, True], ["\ud800", "\ud800"], [None, 0, None]]
)
def test_items_that_are_the_same(items: list[Any]) -> None:
    with pytest.raises(SchemaProblem, match="non-unique"):
        check_value(items, {"uniqueItems": True})
    check_value(items, {"uniqueItems": False})


@pytest.mark.parametrize(
    "items", [[1, True, "1", [1], {"a": 1}], [0, False, None, "", [], {}], [[True], [1]], [[], [[]]]]
)
def test_items_that_only_look_the_same(items: list[Any]) -> None:
    check_value(items, {"uniqueItems": True})


def deeper(frames: int, call: Callable[[], None]) -> None:
    """``call`` as it is made from deep inside of a program."""
    return deeper(frames - 1, call) if frames else call()


def test_what_is_deep_and_right_is_checked_also_from_deep_inside() -> None:
    listed = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    value: dict[str, Any] = {}
    for _ in range(MAXIMUM_DEPTH):
        value = {"next": value}
    deeper(250, lambda: check_value(value, listed))
    deeper(250, lambda: check_schema(nested(MAXIMUM_DEPTH - 1)))


def test_regular_expressions_are_not_applied() -> None:
    slow = {"type": "string", "pattern": "^(a+)+$"}
    check_value("a" * 40 + "!", slow)
    check_value({"x-1": 1}, {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False})
    named = {"$schema": "https://json-schema.org/draft/2020-12/schema", **slow}
    check_value("a" * 40 + "!", {"$defs": {"slow": named}, "$ref": "#/$defs/slow"})
    with pytest.raises(SchemaProblem):  # the control: what is no pattern still counts
        check_value(1, slow)


WORDS = st.sampled_from(
    ["type", "properties", "items", "$ref", "$defs", "enum", "anyOf", "allOf", "not", "required", "pattern", "minimum",
     "additionalProperties", "patternProperties", "unevaluatedProperties", "uniqueItems", "prefixItems", "$id",
     "$dynamicRef", "$anchor", "contains", "if", "then", "const", "dependentSchemas", "x"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(
    ["object", "string", "#", "#/$defs/x", "http://127.0.0.1:1/", "(a+)+$", "\ud800"]
)  # fmt: skip
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=20
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(schema=st.dictionaries(WORDS, ANYTHING, max_size=5), value=ANYTHING)
def test_whatever_is_given_is_a_schema_or_a_problem(schema: dict[str, Any], value: Any) -> None:
    try:
        check_schema(schema)
        check_value(value, schema)
    except SchemaProblem as problem:
        assert str(problem)  # noqa: PT017  (either is right; anything else is not)
