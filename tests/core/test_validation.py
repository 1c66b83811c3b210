"""Refusals E20 to E27, with their exact words, paths and codes (E28 asks the database)."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework import serializers

from assistants.api.serializers import AssistantRequest
from runs.api.serializers import RunRequest, ThreadAndRunRequest
from sovereign.core.api.validation import (
    Metadata,
    StrictList,
    StrictSerializer,
    StrictString,
    is_portable,
    kind_of,
    validation_error,
)
from sovereign.core.errors import ApiError
from threads.api.serializers import MessageRequest, ThreadRequest


def refusal(serializer: type[StrictSerializer], body: Any) -> ApiError:
    try:
        checked = serializer.checked(body)
    except serializers.ValidationError as error:
        return validation_error(error)
    except ApiError as error:
        return error
    raise AssertionError(f"accepted: {checked}")


def function(**fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", **fields}}


USER = {"role": "user", "content": "x"}
LONG = "Expected a string with maximum length"
CASES: list[tuple[type[serializers.Serializer], Any, str | None, str, str]] = [
    # E20
    (
        ThreadRequest,
        {"metadata": {"modified": True}},
        "metadata.modified",
        "invalid_type",
        "Invalid type for 'metadata.modified': expected a string, but got a boolean instead.",
    ),
    (
        ThreadRequest,
        {"metadata": {"fine": "x", "n": 5}},
        "metadata.n",
        "invalid_type",
        "Invalid type for 'metadata.n': expected a string, but got an integer instead.",
    ),
    (
        ThreadRequest,
        {"metadata": {"n": 0.5}},
        "metadata.n",
        "invalid_type",
        "Invalid type for 'metadata.n': expected a string, but got a decimal instead.",
    ),
    (
        ThreadRequest,
        {"metadata": {"n": None}},
        "metadata.n",
        "invalid_type",
        "Invalid type for 'metadata.n': expected a string, but got null instead.",
    ),
    (
        ThreadRequest,
        {"metadata": []},
        "metadata",
        "invalid_type",
        "Invalid type for 'metadata': expected an object, but got an array instead.",
    ),
    (
        AssistantRequest,
        {"model": "m", "name": 5},
        "name",
        "invalid_type",
        "Invalid type for 'name': expected a string, but got an integer instead.",
    ),
    (
        AssistantRequest,
        {"model": "m", "temperature": "1"},
        "temperature",
        "invalid_type",
        "Invalid type for 'temperature': expected a decimal, but got a string instead.",
    ),
    (
        AssistantRequest,
        {"model": "m", "tools": {}},
        "tools",
        "invalid_type",
        "Invalid type for 'tools': expected an array, but got an object instead.",
    ),
    (
        AssistantRequest,
        {"model": "m", "tools": [function(), "x"]},
        "tools[1]",
        "invalid_type",
        "Invalid type for 'tools[1]': expected an object, but got a string instead.",
    ),
    (
        AssistantRequest,
        [],
        None,
        "invalid_type",
        "Invalid type for the body: expected an object, but got an array instead.",
    ),
    (
        AssistantRequest,
        5,
        None,
        "invalid_type",
        "Invalid type for the body: expected an object, but got an integer instead.",
    ),
    (
        AssistantRequest,
        None,
        None,
        "invalid_type",
        "Invalid type for the body: expected an object, but got null instead.",
    ),
    (
        AssistantRequest,
        {"model": None},
        "model",
        "invalid_type",
        "Invalid type for 'model': expected a string, but got null instead.",
    ),
    (
        MessageRequest,
        {"role": None, "content": "x"},
        "role",
        "invalid_type",
        "Invalid type for 'role': expected one of 'user' and 'assistant', but got null instead.",
    ),
    (
        MessageRequest,
        {"role": "user", "content": None},
        "content",
        "invalid_type",
        "Invalid type for 'content': expected one of a string or array of objects, but got null instead.",
    ),
    (
        MessageRequest,
        {"role": "user", "content": [None]},
        "content[0]",
        "invalid_type",
        "Invalid type for 'content[0]': expected an object, but got null instead.",
    ),
    (
        ThreadRequest,
        {"messages": [None]},
        "messages[0]",
        "invalid_type",
        "Invalid type for 'messages[0]': expected an object, but got null instead.",
    ),
    (
        ThreadRequest,
        {"tool_resources": {"code_interpreter": {"file_ids": None}}},
        "tool_resources.code_interpreter.file_ids",
        "invalid_type",
        "Invalid type for 'tool_resources.code_interpreter.file_ids': expected an array, but got null instead.",
    ),
    (
        AssistantRequest,
        {"model": "m", "tools": [None]},
        "tools[0]",
        "invalid_type",
        "Invalid type for 'tools[0]': expected an object, but got null instead.",
    ),
    (
        AssistantRequest,
        {"model": "m", "tools": [{"type": "file_search", "file_search": {"max_num_results": None}}]},
        "tools[0].file_search.max_num_results",
        "invalid_type",
        "Invalid type for 'tools[0].file_search.max_num_results': expected an integer, but got null instead.",
    ),
    (
        ThreadAndRunRequest,
        {"assistant_id": "asst_x", "thread": 5},
        "thread",
        "invalid_type",
        "Invalid type for 'thread': expected an object, but got an integer instead.",
    ),
    # E21
    (
        ThreadRequest,
        {"messages": [{**USER, "id": "x"}]},
        "messages[0].id",
        "unknown_parameter",
        "Unknown parameter: 'messages[0].id'.",
    ),
    (AssistantRequest, {"model": "m", "x": 1}, "x", "unknown_parameter", "Unknown parameter: 'x'."),
    (
        AssistantRequest,
        {"model": "m", "non_field_errors": 1},
        "non_field_errors",
        "unknown_parameter",
        "Unknown parameter: 'non_field_errors'.",
    ),
    (
        AssistantRequest,
        {"model": "m", "tools": [function(), function(cunning=1)]},
        "tools[1].function.cunning",
        "unknown_parameter",
        "Unknown parameter: 'tools[1].function.cunning'.",
    ),
    # E22
    (
        RunRequest,
        {},
        "assistant_id",
        "missing_required_parameter",
        "Missing required parameter: 'assistant_id'.",
    ),
    (
        ThreadAndRunRequest,
        {"assistant_id": "asst_x", "thread": {"messages": [USER, {"role": "user"}]}},
        "thread.messages[1].content",
        "missing_required_parameter",
        "Missing required parameter: 'thread.messages[1].content'.",
    ),
    (
        MessageRequest,
        {"role": "user", "content": [{"text": "x"}]},
        "content[0].type",
        "missing_required_parameter",
        "Missing required parameter: 'content[0].type'.",
    ),
    # E23
    (
        MessageRequest,
        {"role": "user", "content": "x" * 256_001},
        "content",
        "string_above_max_length",
        f"Invalid 'content': string too long. {LONG} 256000, but got a string with length 256001 instead.",
    ),
    (
        MessageRequest,
        {"role": "user", "content": [{"type": "text", "text": "\N{PILE OF POO}" * 256_001}]},
        "content[0].text",
        "string_above_max_length",
        f"Invalid 'content[0].text': string too long. {LONG} 256000, but got a string with length 256001 instead.",
    ),
    (
        ThreadRequest,
        {"metadata": {"k": "x" * 513}},
        "metadata.k",
        "string_above_max_length",
        f"Invalid 'metadata.k': string too long. {LONG} 512, but got a string with length 513 instead.",
    ),
    (
        AssistantRequest,
        {"model": ""},
        "model",
        "string_below_min_length",
        "Invalid 'model': string too short. Expected a string with minimum length 1, but got a string with length 0 "
        "instead.",
    ),
    # E24
    (
        AssistantRequest,
        {"model": "m", "tools": [function()] * 129},
        "tools",
        "array_above_max_length",
        "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 129 "
        "instead.",
    ),
    (
        MessageRequest,
        {"role": "user", "content": []},
        "content",
        "array_below_min_length",
        "Invalid 'content': array too short. Expected an array with minimum length 1, but got an array with length 0 "
        "instead.",
    ),
    # E25
    (
        ThreadRequest,
        {"metadata": {str(n): "x" for n in range(17)}},
        "metadata",
        "object_above_max_properties",
        "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object "
        "with 17 properties instead.",
    ),
    # E26
    (
        RunRequest,
        {"assistant_id": "asst_x", "max_prompt_tokens": 5},
        "max_prompt_tokens",
        "integer_below_min_value",
        "Invalid 'max_prompt_tokens': integer below minimum value. Expected a value >= 256, but got 5 instead.",
    ),
    (
        AssistantRequest,
        {"model": "m", "top_p": 1.5},
        "top_p",
        "decimal_above_max_value",
        "Invalid 'top_p': decimal above maximum value. Expected a value <= 1, but got 1.5 instead.",
    ),
    # E27
    (
        MessageRequest,
        {"role": "system", "content": "x"},
        "role",
        "invalid_value",
        "Invalid value: 'system'. Supported values are: 'user' and 'assistant'.",
    ),
    (
        AssistantRequest,
        {"model": "m", "tools": [{"type": "browser"}]},
        "tools[0].type",
        "invalid_value",
        "Invalid value: 'browser'. Supported values are: 'code_interpreter', 'file_search' and 'function'.",
    ),
    (
        AssistantRequest,
        {"model": "m", "response_format": "{param}"},
        "response_format",
        "invalid_value",
        "Invalid value: 'param'. Supported values are: 'auto'.",
    ),
]


@pytest.mark.parametrize(("serializer", "body", "param", "code", "message"), CASES)
def test_a_refusal_reads_like_the_contracts(
    serializer: type[serializers.Serializer], body: Any, param: str | None, code: str, message: str
) -> None:
    error = refusal(serializer, body)
    assert error.body() == {
        "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    }
    assert error.status == 400


@pytest.mark.parametrize("text", ["a\x00b", "\ud83d"])
@pytest.mark.parametrize(
    ("serializer", "place"),
    [
        (AssistantRequest, lambda text: {"model": text}),
        (AssistantRequest, lambda text: {"model": "m", "instructions": text}),
        (ThreadRequest, lambda text: {"metadata": {"k": text}}),
        (ThreadRequest, lambda text: {"metadata": {text: "v"}}),
        (MessageRequest, lambda text: {"role": "user", "content": text}),
        (MessageRequest, lambda text: {"role": "user", "content": [{"type": "text", "text": text}]}),
    ],
)
def test_what_no_database_can_carry_is_refused(serializer: type[StrictSerializer], place: Any, text: str) -> None:
    error = refusal(serializer, place(text))
    assert (error.status, error.code) == (400, "invalid_value")


@pytest.mark.parametrize(
    "place",
    [
        lambda value: {"model": "m", "tools": [function(parameters=value)]},
        lambda value: {
            "model": "m",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": value}},
        },
    ],
)
@pytest.mark.parametrize("value", [{"a": "\x00"}, {"\x00": 1}, {"a": [{"b": ["x\x00"]}]}, {"a": [1e20]}, {"a": -1e300}])
def test_what_a_database_would_change_deep_inside_a_free_object_is_refused(place: Any, value: Any) -> None:
    error = refusal(AssistantRequest, place(value))
    assert (error.status, error.code) == (400, "invalid_value")


def test_a_nul_is_found_anywhere_and_only_there() -> None:
    assert is_portable({"a": ["\\u0000", 0, None, {"b": "c"}, -1.5e18, 2**64 - 1]})
    assert not is_portable(["a", {"b": "\x00"}])


def test_an_error_repeats_only_a_little_of_what_was_sent() -> None:
    for body in ({"x" * 100_000: 1}, {"model": "m", "metadata": {"k" * 100_000: "v"}}):
        assert len(refusal(AssistantRequest, body).message) < 300
    assert len(refusal(MessageRequest, {"role": "x" * 100_000, "content": "x"}).message) < 300


def test_limits_are_inclusive() -> None:
    body = {
        "model": "m",
        "name": "n" * 256,
        "description": "d" * 512,
        "tools": [function()] * 128,
        "temperature": 2,
        "top_p": 0,
        "metadata": {f"{n:064}": "v" * 512 for n in range(16)},
    }
    AssistantRequest.checked(body)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "a boolean"),
        (1, "an integer"),
        (1.0, "a decimal"),
        ("", "a string"),
        ({}, "an object"),
        ([], "an array"),
    ],
)
def test_kinds(value: Any, kind: str) -> None:
    assert kind_of(value) == kind


def test_nothing_of_a_body_is_kept_for_the_next() -> None:
    class Inner(StrictSerializer):
        name = StrictString(required=False)

    class Body(StrictSerializer):
        name = StrictString()
        metadata = Metadata()
        inner = StrictList(child=Inner(), required=False)

    first = Body.checked({"name": "a", "metadata": {"k": "v"}, "inner": [{"name": "b"}, {}]})
    assert first == {"name": "a", "metadata": {"k": "v"}, "inner": [{"name": "b"}, {}]}
    with pytest.raises(serializers.ValidationError):
        Body.checked({"name": 5})
    assert Body.checked({"name": "c"}) == {"name": "c"}
    with pytest.raises(serializers.ValidationError):
        Body.checked({})
    assert Body.checked({}, partial=True) == {}
    with pytest.raises(serializers.ValidationError):
        Body.checked({})
