"""Answers held against our own OpenAPI document: everything that is sent has to be described there."""

from __future__ import annotations

import copy
import json
from typing import Any

from django.conf import settings
from jsonschema import Draft202012Validator, ValidationError, validators
from rest_framework.response import Response

from tests.contract.facts import Document, look_up

TABLE = "text/csv"


def is_integer(_: Any, value: Any) -> bool:
    """JSON Schema takes 1.0 for an integer, and 10**400; typed clients and 64 bits do not, and neither do we."""
    return type(value) is int and -(2**63) <= value < 2**64


Validator = validators.extend(
    Draft202012Validator, type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", is_integer)
)


class Contract:
    """The document with every object closed: a field that it does not describe is refused."""

    def __init__(self, document: Document) -> None:
        self.document = copy.deepcopy(document)
        for name, schema in self.document["components"]["schemas"].items():
            if "properties" in schema:
                schema.setdefault("additionalProperties", False)
            inner = [each for each in schema.get("properties", {}).values() if "properties" in each]
            assert all("additionalProperties" in each for each in inner), name  # those that nothing closes here
        self.seen: set[tuple[str, str]] = set()  # operations and what they answered

    def check(self, method: str, template: str, answer: Response) -> Any:
        """The body of an answer of ``template`` (a path of the document), once it is found to be as described."""
        operation = self.document["paths"][template][method.lower()]
        described = look_up(self.document, operation["responses"].get(str(answer.status_code)))
        assert described is not None, f"{method} {template} answered {answer.status_code}: {answer.content!r}"
        media_type = answer["Content-Type"].partition(";")[0]
        for name, header in described["headers"].items():
            assert name in answer or not header.get("required"), name
        told = {name.lower() for name in described["headers"]}
        for name in settings.CORS_EXPOSE_HEADERS:  # those that clients may want
            assert name not in answer or name in told, f"{method} {template}: nothing describes {name}"
        self.seen.add((f"{method.upper()} {template}", str(answer.status_code)))
        body = answer.content.decode() if media_type == TABLE else json.loads(answer.content)
        self.validate(body, described["content"][media_type]["schema"])
        return body

    def check_frame(self, event: str, data: Any, seq: int | None) -> None:
        """A frame of a stream."""
        frame = {"event": event, "data": data, **({} if seq is None else {"id": seq})}
        name = self.document["components"]["schemas"]["AssistantStreamEvent"]["discriminator"]["mapping"][event]
        self.validate(frame, {"$ref": name})
        self.seen.add(("stream", event))

    def validate(self, value: Any, schema: dict[str, Any]) -> None:
        errors = self.errors(value, schema)
        assert not errors, "\n".join(f"{error.json_path}: {error.message[:300]}" for error in errors[:5])

    def errors(self, value: Any, schema: dict[str, Any]) -> list[ValidationError]:
        """What is wrong with a value, the outermost first."""
        validator = Validator({**schema, "components": self.document["components"]})
        return sorted(validator.iter_errors(value), key=lambda error: len(error.absolute_path))
