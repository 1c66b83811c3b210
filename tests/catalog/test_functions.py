"""The library of functions: what is wrong with one is said when it is kept, and what is used is not deleted."""

from __future__ import annotations

from typing import Any

import pytest

from assistants.catalog.models import Function
from assistants.catalog.services import create_function, delete_function, update_function
from assistants.services import create_assistant
from inference.services import register_models
from sovereign.accounts.models import AuditEvent, User
from sovereign.core.errors import ApiError
from tests.catalog.people import WEATHER, person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("project")]

STRICT = {**WEATHER, "additionalProperties": False}
EXAMPLE = {"arguments": {"city": "Bonn"}, "output": {"degrees": 12}}


def test_a_function_is_kept_with_its_schema_in_order_and_its_examples(alice: User) -> None:
    schema = {"type": "object", "properties": {"z": {}, "a": {}}, "required": ["z"]}
    example = {"arguments": {"z": 1}, "output": "ok"}
    made = create_function(principal=person(alice), name="look_up", parameters=schema, examples=[example])
    kept = Function.objects.get()
    assert kept.pk == made.pk
    assert kept.pk.startswith("func_")
    assert list(kept.parameters["properties"]) == ["z", "a"]
    assert kept.examples == [example]
    assert AuditEvent.objects.get(action="function.created").details == {"name": "look_up"}


@pytest.mark.parametrize(
    ("described", "param", "words"),
    [
        ({"name": "with space"}, "name", "letters, digits"),
        ({"name": "x" * 65}, "name", "at most 64"),
        ({"name": ""}, "name", "letters, digits"),
        ({"name": "mcp_approval_request"}, "name", "requests for approval"),
        ({"description": "x" * 1_025}, "description", "1,024"),
        ({"description": "a\x00"}, "description", "a text"),
        ({"parameters": {"type": "string"}}, "parameters", "a JSON schema of an object"),
        ({"parameters": ["x"]}, "parameters", "a JSON schema of an object"),
        ({"parameters": {"type": "object", "required": 1}}, "parameters", "At 'required'"),
        ({"parameters": {"type": "object", "description": "a\x00"}}, "parameters", "NUL"),
        ({"parameters": {"type": "object", "$ref": "https://a.example/"}}, "parameters", "outside of the schema"),
        ({"parameters": WEATHER, "strict": True}, "parameters", "'additionalProperties' is required"),
        ({"examples": {"arguments": {}}}, "examples", "a list of at most 20"),
        ({"examples": [{"arguments": {}}] * 21}, "examples", "at most 20"),
        ({"examples": [{"output": 1}]}, "examples", "examples[0]: expected"),
        ({"examples": [EXAMPLE, {"arguments": {"city": 1}}]}, "examples", "examples[1]: the arguments break"),
        ({"examples": [{**EXAMPLE, "input": 1}]}, "examples", "'input' is not known"),
        ({"examples": [{"arguments": {"city": "x" * 70_000}}]}, "examples", "at most 65,536"),
        ({"examples": [{"arguments": {"city": "\x00"}}]}, "examples", "NUL"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_field(alice: User, described: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        create_function(principal=person(alice), **{"name": "look_up", "parameters": WEATHER, **described})
    assert (refused.value.status, refused.value.param) == (400, param)
    assert words in refused.value.message
    assert not Function.objects.exists()


def test_a_strict_function_has_a_strict_schema(alice: User) -> None:
    made = create_function(principal=person(alice), name="look_up", parameters=STRICT, strict=True, examples=[EXAMPLE])
    assert made.as_tool() == {
        "type": "function",
        "function": {"name": "look_up", "description": None, "parameters": STRICT, "strict": True},
    }


def test_a_schema_is_not_changed_under_its_examples(alice: User) -> None:
    made = create_function(principal=person(alice), name="look_up", parameters=WEATHER, examples=[EXAMPLE])
    other = {"type": "object", "properties": {"place": {}}, "required": ["place"]}
    with pytest.raises(ApiError, match="'place' is a required property"):
        update_function(principal=person(alice), function_id=made.pk, parameters=other)
    assert Function.objects.get().parameters == WEATHER


def test_a_name_is_there_once_in_a_project(alice: User, charlie: User, bob: User) -> None:
    create_function(principal=person(alice), name="look_up")
    create_function(principal=person(charlie), name="look_up")
    with pytest.raises(ApiError, match="There is a function 'look_up' already"):
        create_function(principal=person(bob), name="look_up")


def test_what_an_assistant_has_is_not_deleted(alice: User, bob: User) -> None:
    register_models(names=[("fake", "", None)])
    made = create_function(principal=person(bob), name="look_up")
    other = create_function(principal=person(bob), name="other")
    create_assistant(principal=person(alice), model="fake", name="Guide", functions=[made.pk])
    with pytest.raises(ApiError, match="'look_up' is used by Guide"):
        delete_function(principal=person(bob), function_id=made.pk)
    delete_function(principal=person(bob), function_id=other.pk)
    assert list(Function.objects.values_list("name", flat=True)) == ["look_up"]


def test_others_functions_do_not_exist(alice: User, charlie: User) -> None:
    theirs = create_function(principal=person(charlie), name="theirs")
    for call in (update_function, delete_function):
        with pytest.raises(ApiError) as refused:
            call(principal=person(alice), function_id=theirs.pk)
        assert refused.value.status == 404
