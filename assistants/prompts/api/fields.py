"""Parts of bodies that only the library of prompts has."""

from __future__ import annotations

from typing import Any

from assistants.prompts.variables import (
    CHOICE_LENGTH,
    DESCRIPTION_LENGTH,
    MAXIMUM_CHOICES,
    MAXIMUM_VARIABLES,
    NAME,
    TYPES,
)
from sovereign.core.api.validation import StrictField, is_portable, refuse, refuse_type


class VariablesField(StrictField):
    """Declarations of variables, as they came: ``variables.checked`` says what is wrong with them."""

    expected = "an array"

    def schema(self) -> dict[str, Any]:
        variable = {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {
                "name": {
                    "type": "string",
                    "pattern": f"^{NAME.pattern}$",
                    "description": "By which the template names it.",
                },
                "type": {
                    "type": "string",
                    "enum": [*TYPES],
                    "default": "string",
                    "description": "What its values are.",
                },
                "description": {
                    "type": "string",
                    "maxLength": DESCRIPTION_LENGTH,
                    "description": "For people who fill the prompt in.",
                },
                "default": {"description": "Its value where none is given; of its type, or null."},
                "required": {
                    "type": "boolean",
                    "default": False,
                    "description": "Whether the prompt cannot be used without a value. One that is has no default.",
                },
                "choices": {
                    "type": "array",
                    "maxItems": MAXIMUM_CHOICES,
                    "items": {"type": "string", "maxLength": CHOICE_LENGTH},
                    "description": "The values that it may have; of the type `choice` alone.",
                },
            },
        }
        return {"type": "array", "maxItems": MAXIMUM_VARIABLES, "items": variable}

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            raise refuse_type(self.expected, data)
        return data


class ValuesField(StrictField):
    """Values by the names of their variables, as JSON or as texts."""

    expected = "an object"

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": True}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise refuse_type(self.expected, data)
        if not is_portable(data):
            raise refuse("Invalid '{param}': it has a NUL character or a number beyond 64 bits.", "invalid_value")
        return data
