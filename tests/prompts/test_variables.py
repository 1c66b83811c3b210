"""Variables of prompts: how they are declared, and what their values may be."""

from __future__ import annotations

from typing import Any

import pytest

from assistants.prompts import variables
from sovereign.core.errors import ApiError


def test_a_declaration_gets_all_of_its_fields() -> None:
    assert variables.checked([{"name": "city"}, {"name": "n", "type": "number", "default": "1.50"}]) == [
        {"name": "city", "type": "string", "description": "", "default": None, "required": False, "choices": []},
        {"name": "n", "type": "number", "description": "", "default": 1.5, "required": False, "choices": []},
    ]


def test_what_was_checked_stays_as_it_is() -> None:
    declared = variables.checked(
        [
            {"name": "a", "required": True, "description": "why"},
            {"name": "b", "type": "choice", "choices": ["x", "y"], "default": "y"},
            {"name": "c", "type": "list", "default": "one, two"},
            {"name": "d", "type": "boolean", "default": "no"},
        ]
    )
    assert [variable["default"] for variable in declared] == [None, "y", ["one", "two"], False]
    assert variables.checked(declared) == declared


@pytest.mark.parametrize(
    ("declared", "param"),
    [
        ({"name": "a"}, "variables"),
        ([{"name": f"v{n}"} for n in range(65)], "variables"),
        (["a"], "variables[0]"),
        ([{"name": "a", "size": 1}], "variables[0]"),
        ([{}], "variables[0].name"),
        ([{"name": "a b"}], "variables[0].name"),
        ([{"name": "x" * 65}], "variables[0].name"),
        ([{"name": "instructions"}], "variables[0].name"),
        ([{"name": "a"}, {"name": "a"}], "variables[1].name"),
        ([{"name": "a", "type": "date"}], "variables[0].type"),
        ([{"name": "a", "type": ["string"]}], "variables[0].type"),
        ([{"name": "a", "description": "x" * 513}], "variables[0].description"),
        ([{"name": "a", "description": "\x00"}], "variables[0].description"),
        ([{"name": "a", "required": "yes"}], "variables[0].required"),
        ([{"name": "a", "required": True, "default": "x"}], "variables[0].default"),
        ([{"name": "a", "type": "integer", "default": "x"}], "variables[0].default"),
        ([{"name": "a", "type": "choice"}], "variables[0].choices"),
        ([{"name": "a", "type": "choice", "choices": []}], "variables[0].choices"),
        ([{"name": "a", "type": "choice", "choices": ["x", " x"]}], "variables[0].choices[1]"),
        ([{"name": "a", "type": "choice", "choices": ["x", "x"]}], "variables[0].choices[1]"),
        ([{"name": "a", "type": "choice", "choices": ["x", 1]}], "variables[0].choices[1]"),
        ([{"name": "a", "type": "choice", "choices": ["x"], "default": "y"}], "variables[0].default"),
        ([{"name": "a", "choices": ["x"]}], "variables[0].choices"),
    ],
)
def test_a_wrong_declaration_is_refused_at_its_place(declared: Any, param: str) -> None:
    with pytest.raises(ApiError) as refused:
        variables.checked(declared)
    assert (refused.value.status, refused.value.code, refused.value.param) == (400, "invalid_variable", param)
    assert param in refused.value.message


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("string", " as it is ", " as it is "),
        ("string", 3, "3"),
        ("string", 0.5, "0.5"),
        ("string", True, "true"),
        ("number", "12", 12),
        ("number", " -1.5e2 ", -150.0),
        ("number", ".5", 0.5),
        ("number", 2.5, 2.5),
        ("integer", "+7", 7),
        ("integer", 7.0, 7),
        ("integer", -(2**53), -(2**53)),
        ("boolean", "Yes", True),
        ("boolean", "0", False),
        ("boolean", False, False),
        ("list", "a, b,,c ", ["a", "b", "c"]),
        ("list", '["a, b", 1, true, ""]', ["a, b", "1", "true"]),
        ("list", ["a", " b "], ["a", " b "]),
    ],
)
def test_values_become_what_their_type_has(kind: str, given: Any, value: Any) -> None:
    [variable] = variables.checked([{"name": "v", "type": kind}])
    cast = variables.cast(variable, given)
    assert cast == value
    assert type(cast) is type(value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("string", ["x"]),
        ("string", {"a": 1}),
        ("string", "x" * 64_001),
        ("string", "\x00"),
        ("string", "\ud800"),
        ("string", 2**70),
        ("string", float("nan")),
        ("number", "1,5"),
        ("number", "nan"),
        ("number", "inf"),
        ("number", "1e99"),
        ("number", "١"),
        ("number", "1_000"),
        ("number", float("inf")),
        ("number", True),
        ("number", "9" * 5_000),
        ("integer", "1.5"),
        ("integer", 1.5),
        ("integer", 2**53 + 1),
        ("integer", False),
        ("boolean", 1),
        ("boolean", "maybe"),
        ("list", 1),
        ("list", [["x"]]),
        ("list", "[1, 2"),
        ("list", "[" * 100_000),
        ("list", [str(n) for n in range(1_001)]),
        ("list", ["a"] * 5 + [None]),
        ("list", ",".join("x" * 1_001)),
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, given: Any) -> None:
    [variable] = variables.checked([{"name": "v", "type": kind}])
    with pytest.raises(ApiError) as refused:
        variables.settled([variable], {"v": given})
    assert (refused.value.code, refused.value.param) == ("invalid_variable", "values")
    assert "'v' has to be" in refused.value.message
    assert len(refused.value.message) < 300


def test_a_choice_is_one_of_its_own() -> None:
    [variable] = variables.checked([{"name": "v", "type": "choice", "choices": ["1", "two words"]}])
    assert variables.cast(variable, 1) == "1"
    assert variables.cast(variable, " two words ") == "two words"
    with pytest.raises(ApiError, match="one of '1', 'two words', and not 'three'"):
        variables.cast(variable, "three")


def test_defaults_stand_where_nothing_is_given_and_other_values_are_left_alone() -> None:
    declared = variables.checked([{"name": "a", "default": "x"}, {"name": "b"}, {"name": "c", "type": "list"}])
    assert variables.settled(declared, {"a": " ", "c": None, "unknown": 5}) == {"a": "x", "b": None, "c": None}
    assert variables.settled(declared, {"a": "y"})["a"] == "y"
