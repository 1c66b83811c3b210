"""The shapes that chats and assistants have in common: functions and response formats."""

from __future__ import annotations

from typing import Any

from sovereign.core.api.unions import Union
from sovereign.core.api.validation import (
    StrictBoolean,
    StrictChoice,
    StrictField,
    StrictSerializer,
    StrictString,
    is_portable,
    refuse,
    refuse_at,
    refuse_type,
    refuse_unknown,
)

RESPONSE_FORMATS = ["text", "json_object", "json_schema"]
FUNCTION_NAME_LENGTH = 64


class FunctionName(StrictString):
    """``[A-Za-z0-9_-]{1,64}``: the name of a function or of a JSON schema."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_length": 1, "max_length": FUNCTION_NAME_LENGTH, **options})

    def schema(self) -> dict[str, Any]:
        return {**super().schema(), "pattern": "^[a-zA-Z0-9_-]+$"}

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if not all(character.isascii() and (character.isalnum() or character in "_-") for character in name):
            raise refuse(
                "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern "
                "'^[a-zA-Z0-9_-]+$'.",
                "invalid_value",
            )
        return name


class AnyObject(StrictField):
    """A JSON object, kept as it is."""

    expected = "an object"

    def schema(self) -> dict[str, Any] | Union:
        return {"type": "object", "additionalProperties": True}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise refuse_type("an object", data)
        if not is_portable(data):
            raise refuse("Invalid '{param}': it has a NUL character or a number beyond 64 bits.", "invalid_value")
        return data


class FunctionSerializer(StrictSerializer):
    name = FunctionName()
    description = StrictString(required=False, allow_null=True)
    parameters = AnyObject(required=False, allow_null=True)
    strict = StrictBoolean(required=False, allow_null=True)


class FunctionToolSerializer(StrictSerializer):
    type = StrictChoice(choices=["function"])
    function = FunctionSerializer()


class JsonSchemaSerializer(StrictSerializer):
    name = FunctionName()
    description = StrictString(required=False, allow_null=True)
    schema = AnyObject(required=False)
    strict = StrictBoolean(required=False, allow_null=True)


class ResponseFormatSerializer(StrictSerializer):
    type = StrictChoice(choices=RESPONSE_FORMATS)
    json_schema = JsonSchemaSerializer(required=False)

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        if attributes["type"] == "json_schema" and "json_schema" not in attributes:
            raise refuse_at("json_schema", "Missing required parameter: '{param}'.", "missing_required_parameter")
        return attributes

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        attributes = super().to_internal_value(data)
        if attributes["type"] != "json_schema" and "json_schema" in data:
            refuse_unknown(data, ["json_schema"])
        return attributes


class TextFormat(StrictSerializer):
    """Text, as the model likes."""

    type = StrictChoice(choices=["text"])


class JsonObjectFormat(StrictSerializer):
    """Some JSON object; the word "json" has to be in the conversation."""

    type = StrictChoice(choices=["json_object"])


class JsonSchemaFormat(StrictSerializer):
    """JSON that matches a schema."""

    type = StrictChoice(choices=["json_schema"])
    json_schema = JsonSchemaSerializer()
