"""Metadata, single values and where they end, response formats."""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.expectations import (
    OMIT,
    Check,
    Refusal,
    above,
    below,
    missing,
    not_one_of,
    refuses,
    takes,
    too_long,
    wrong_type,
)

FORMATS = ["text", "json_object", "json_schema"]
EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]


def metadata(subject: str = "metadata") -> list[Check]:
    pairs = {f"key{number:02}": "value" for number in range(16)}
    longest = {"k" * 64: "v" * 512}
    too_big = Refusal(
        "object_above_max_properties",
        "Invalid '{param}': too many properties. Expected an object with at most 16 properties, "
        "but got an object with 17 properties instead.",
        "metadata",
        name="E25",
    )
    return [
        takes(subject, "16 pairs", {"metadata": pairs}),
        takes(subject, "a key of 64 and a value of 512 characters", {"metadata": longest}),
        takes(subject, "null → {}", {"metadata": None}, {"metadata": {}}),
        refuses(subject, "17 pairs", {"metadata": {**pairs, "one": "more"}}, too_big),
        refuses(
            subject, "a value of 513", {"metadata": {"modified": "v" * 513}}, too_long("metadata.modified", 512, 513)
        ),
        refuses(subject, "a key of 65", {"metadata": {"k" * 65: "v"}}, too_long(f"metadata.{'k' * 64}", 64, 65)),
        refuses(
            subject,
            "a value that is no string",
            {"metadata": {"modified": True}},
            wrong_type("metadata.modified", "a string", "a boolean"),
        ),
        refuses(subject, "no object", {"metadata": "x"}, wrong_type("metadata", "an object", "a string")),
    ]


# --------------------------------------------------------------------------------- one value, and where it ends


def string(name: str, limit: int) -> list[Check]:
    return [
        takes(name, f"{limit:,} characters".replace(",", " "), {name: "é" * limit}),
        refuses(name, "one more", {name: "é" * (limit + 1)}, too_long(name, limit, limit + 1)),
        refuses(name, "no string", {name: 5}, wrong_type(name, "a string", "an integer")),
    ]


def decimal(name: str, maximum: int) -> list[Check]:
    return [
        takes(name, "0", {name: 0}),
        takes(name, f"{maximum}", {name: maximum}),
        takes(name, "a decimal between", {name: 0.25}),
        refuses(name, f"{maximum}.1", {name: maximum + 0.1}, above(name, maximum, maximum + 0.1, "decimal")),
        refuses(name, "−0.1", {name: -0.1}, below(name, 0, -0.1, "decimal")),
        refuses(name, "no number", {name: "1"}, wrong_type(name, "a decimal", "a string")),
    ]


def choice(name: str, choices: list[str]) -> list[Check]:
    return [
        *(takes(name, one, {name: one}) for one in choices),
        refuses(name, "any other", {name: "nothing"}, not_one_of(name, "nothing", choices)),
    ]


def null(default: dict[str, Any]) -> list[Check]:
    """``null`` means what leaving it out means."""
    return [takes(name, f"null → {_shown(value)}", {name: None}, {name: value}) for name, value in default.items()]


def left_out(default: dict[str, Any]) -> list[Check]:
    return [takes(name, f"left out → {_shown(value)}", {name: OMIT}, {name: value}) for name, value in default.items()]


def kept(original: dict[str, Any]) -> list[Check]:
    """What a modification leaves out stays what it was."""
    return [takes(name, "left out: stays", {name: OMIT}, {name: value}) for name, value in original.items()]


def _shown(value: Any) -> str:
    """As JSON; a string without its quotes."""
    return value if isinstance(value, str) and value else json.dumps(value)


# -------------------------------------------------------------------------------------------- response formats


def response_format() -> list[Check]:
    name, schema = "response_format", {"type": "object", "properties": {"a": {"type": "integer"}}}

    def sent(**fields: Any) -> dict[str, Any]:
        given = {"name": "answer", "schema": schema, **fields}
        content = {key: value for key, value in given.items() if value is not OMIT}
        return {name: {"type": "json_schema", "json_schema": content}}

    inner, place = f"{name}.json_schema", "response_format.json_schema"
    return [
        takes(name, "auto", {name: "auto"}),
        refuses(name, "any other string", {name: "json"}, not_one_of(name, "json", ["auto"])),
        takes(f"{name}.type", "text", {name: {"type": "text"}}),
        takes(f"{name}.type", "json_object", {name: {"type": "json_object"}}),
        takes(f"{name}.type", "json_schema", sent()),
        refuses(f"{name}.type", "any other", {name: {"type": "xml"}}, not_one_of(f"{name}.type", "xml", FORMATS)),
        takes(inner, "all of its fields, echoed as sent", sent(strict=True, description="What.")),
        refuses(inner, "none", {name: {"type": "json_schema"}}, missing(place)),
        takes(f"{inner}.description", "a text", sent(description="What.")),
        takes(f"{inner}.name", "64 of a–z A–Z 0–9 _ -", sent(name="a-Z_9" + "x" * 59)),
        refuses(f"{inner}.name", "65 characters", sent(name="x" * 65), too_long(f"{place}.name", 64, 65)),
        refuses(f"{inner}.name", "none", sent(name=OMIT), missing(f"{place}.name")),
        takes(f"{inner}.schema", "a JSON schema", sent()),
        refuses(
            f"{inner}.schema", "no object", sent(schema="x"), wrong_type(f"{place}.schema", "an object", "a string")
        ),
        takes(f"{inner}.strict", "null", sent(strict=None)),
        refuses(
            f"{inner}.strict", "no boolean", sent(strict="x"), wrong_type(f"{place}.strict", "a boolean", "a string")
        ),
    ]
