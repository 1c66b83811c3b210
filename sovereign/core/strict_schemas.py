"""Strict JSON Schemas: what ``strict: true`` asks of one, in the words of the original service.

Every object lists all of its properties as required and allows no others: so an engine can hold a model to it.
"""

from __future__ import annotations

from typing import Any

from sovereign.core.errors import ApiError

NOT_ALL = "'required' is required to be supplied and to be an array including every key in properties."
EMPTY: dict[str, Any] = {"type": "object", "properties": {}}


def check_function(tool: dict[str, Any], index: int) -> None:
    """:raises ApiError: 400 ``invalid_function_parameters``, where a strict function's parameters are not."""
    function = tool["function"]
    if not function.get("strict"):
        return
    if (wrong := _wrong(function.get("parameters") or EMPTY, ())) is not None:
        raise ApiError(
            f"Invalid schema for function '{function['name']}': {wrong}",
            param=f"tools[{index}].function.parameters",
            code="invalid_function_parameters",
        )


def check_response_format(form: dict[str, Any] | None) -> None:
    """:raises ApiError: 400, where the schema of a strict format is not strict."""
    described = (form or {}).get("json_schema") or {}
    if not described.get("strict"):
        return
    schema = described.get("schema")
    if schema is None:
        raise ApiError(
            "Missing required parameter: 'response_format.json_schema.schema'.",
            param="response_format.json_schema.schema",
            code="missing_required_parameter",
        )
    if (wrong := _wrong(schema, ())) is not None:
        raise ApiError(f"Invalid schema for response_format '{described['name']}': {wrong}", param="response_format")


def _wrong(schema: Any, path: tuple[str, ...]) -> str | None:
    """What is not strict, the outermost first."""
    if not isinstance(schema, dict):
        return None
    if _is_object(schema) and (wrong := _wrong_object(schema)) is not None:
        return f"In context={path!r}, {wrong}"
    for step, inner in _inner(schema):
        if (wrong := _wrong(inner, (*path, *step))) is not None:
            return wrong
    return None


def _is_object(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or "properties" in schema or (isinstance(kind, list) and "object" in kind)


def _wrong_object(schema: dict[str, Any]) -> str | None:
    if schema.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return "object schema missing properties."
    required = schema.get("required")
    listed = required if isinstance(required, list) else []
    if (missing := next((name for name in properties if name not in listed), None)) is not None:
        return f"{NOT_ALL} Missing '{missing}'."
    if (extra := next((name for name in listed if name not in properties), None)) is not None:
        return f"{NOT_ALL} Extra required key '{extra}' supplied."
    return None


def _inner(schema: dict[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    """The schemas inside, with where they stand."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for name in ("properties", "$defs", "definitions"):
        if isinstance(inner := schema.get(name), dict):
            found += [((name, key), value) for key, value in inner.items()]
    for name in ("anyOf", "allOf", "oneOf"):
        if isinstance(inner := schema.get(name), list):
            found += [((name, str(place)), value) for place, value in enumerate(inner)]
    if "items" in schema:
        found.append((("items",), schema["items"]))
    return found
