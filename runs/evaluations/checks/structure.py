"""``json_schema``: the answer is JSON that keeps to a schema."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import orjson

from runs.evaluations.checks.base import Kind, Subject, Verdict
from runs.evaluations.checks.texts import refused_at
from sovereign.core.api.validation import StrictChoice, StrictField, StrictSerializer, is_portable, refuse_type
from sovereign.core.json_schema import SchemaProblem, check_schema, check_value

FENCED = re.compile(r"\A\s*```(?:json)?[ \t]*\n(.*)\n?```\s*\Z", re.DOTALL | re.IGNORECASE)


class SchemaField(StrictField):
    expected = "an object"

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": True}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise refuse_type(self.expected, data)
        return data


class JsonSchemaShape(StrictSerializer):
    """The answer is JSON, alone or in a code block, that keeps to a schema."""

    type = StrictChoice(choices=["json_schema"])
    schema = SchemaField(help_text="A JSON schema, draft 2020-12. `pattern` is not applied.")

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        if not is_portable(attributes["schema"]):
            raise refused_at("schema", "a text or number in it cannot be kept.")
        try:
            check_schema(attributes["schema"])
        except SchemaProblem as problem:
            raise refused_at("schema", str(problem), "invalid_json_schema") from None
        return attributes


class JsonSchema(Kind):
    name = "json_schema"
    title = "JSON schema"
    description = "The answer is JSON, alone or in a code block, that keeps to a schema."
    shape = JsonSchemaShape

    async def verdict(self, asked: dict[str, Any], subject: Subject) -> Verdict:
        """In a thread: a schema may take a second, in which the worker has to keep its leases."""
        return await asyncio.to_thread(_verdict, subject.answer, asked["schema"])


def _verdict(answer: str, schema: dict[str, Any]) -> Verdict:
    fenced = FENCED.match(answer)
    try:
        value = orjson.loads(fenced[1] if fenced else answer)
    except orjson.JSONDecodeError as error:
        return Verdict(False, f"It is no JSON: {error}.")
    try:
        check_value(value, schema)
    except SchemaProblem as problem:
        return Verdict(False, str(problem))
    return Verdict(True, "It keeps to the schema.")
