"""Parts of bodies that vector stores, and the objects that have some made, take."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ValidationError

from sovereign.core.api.unions import Union
from sovereign.core.api.validation import (
    LARGEST_FLOAT,
    METADATA_KEY_LENGTH,
    METADATA_PAIRS,
    METADATA_VALUE_LENGTH,
    StrictChoice,
    StrictField,
    StrictNumber,
    StrictSerializer,
    StrictString,
    refuse,
    refuse_at,
    refuse_type,
)

ID_LENGTH = 64
SMALLEST_CHUNK = 100  # tokens
LARGEST_CHUNK = 4_096
LONGEST_LIFE = 365  # days


class AutoChunking(StrictSerializer):
    """Chunks as this server thinks best."""

    type = StrictChoice(choices=["auto"])


class ChunkSizes(StrictSerializer):
    """In tokens; an overlap is at most half of a chunk."""

    max_chunk_size_tokens = StrictNumber(minimum=SMALLEST_CHUNK, maximum=LARGEST_CHUNK, integer=True)
    chunk_overlap_tokens = StrictNumber(minimum=0, integer=True)

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        largest = attributes["max_chunk_size_tokens"] // 2
        try:
            StrictNumber(maximum=largest, integer=True).to_internal_value(attributes["chunk_overlap_tokens"])
        except ValidationError as error:
            raise ValidationError({"chunk_overlap_tokens": error.detail}) from None
        return attributes


class StaticChunking(StrictSerializer):
    """Chunks of one size."""

    type = StrictChoice(choices=["static"])
    static = ChunkSizes()


CHUNKING = Union("ChunkingStrategy", (AutoChunking, StaticChunking))
CHUNKINGS: dict[str, type[StrictSerializer]] = {"auto": AutoChunking, "static": StaticChunking}


class ChunkingField(StrictField):
    """How a vector store cuts its files."""

    expected = "an object"

    def schema(self) -> Union:
        return CHUNKING

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise refuse_type("an object", data)
        if "type" not in data:
            raise refuse_at("type", "Missing required parameter: '{param}'.", "missing_required_parameter")
        try:
            kind = StrictChoice(choices=list(CHUNKINGS)).run_validation(data["type"])
        except ValidationError as error:
            raise ValidationError({"type": error.detail}) from None
        return CHUNKINGS[kind].checked(data)


class ExpiresAfter(StrictSerializer):
    """When a vector store expires that nobody uses."""

    anchor = StrictChoice(choices=["last_active_at"])
    days = StrictNumber(minimum=1, maximum=LONGEST_LIFE, integer=True)


class AttributeValue(StrictField):
    """A text, a number or a boolean."""

    expected = "one of a string, a number or a boolean"

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "maxLength": METADATA_VALUE_LENGTH}
        return {"oneOf": [text, {"type": "number"}, {"type": "boolean"}]}

    def to_internal_value(self, data: Any) -> str | float | bool:
        if isinstance(data, str):
            return StrictString(max_length=METADATA_VALUE_LENGTH).to_internal_value(data)
        if not isinstance(data, int | float):  # a boolean is an integer, too
            raise refuse_type(self.expected, data)
        if abs(data) >= LARGEST_FLOAT:
            raise refuse("Invalid '{param}': the number is too large.", "invalid_value")
        return data


class Attributes(StrictField):
    """At most 16 pairs, of texts, numbers or booleans; ``null`` means none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "allow_null": True, **options})

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": {"maxLength": METADATA_KEY_LENGTH},
            "additionalProperties": AttributeValue().schema(),
            "maxProperties": METADATA_PAIRS,
        }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise refuse_type("an object", data)
        if len(data) > METADATA_PAIRS:
            raise refuse(
                f"Invalid '{{param}}': too many properties. Expected an object with at most {METADATA_PAIRS} "
                f"properties, but got an object with {len(data)} properties instead.",
                "object_above_max_properties",
            )
        key_field, value_field = StrictString(max_length=METADATA_KEY_LENGTH), AttributeValue()
        for key, value in data.items():
            _check_at(key, key_field, key)
            _check_at(key, value_field, value)
        return data


def _check_at(key: str, field: StrictField, value: Any) -> None:
    """A refusal of the member ``key``, where the field refuses the value."""
    try:
        field.to_internal_value(value)
    except ValidationError as error:
        raise ValidationError({key: error.detail}) from None
