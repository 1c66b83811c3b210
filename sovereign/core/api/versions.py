"""Versions as a body names them: answers tell their numbers, and addresses have them as texts."""

from __future__ import annotations

from typing import Any

from sovereign.core.api.validation import NOT_TEXT, StrictField, refuse, refuse_type

ID_LENGTH = 64
LARGEST = 10**9 - 1  # a number that may be a version's


class VersionField(StrictField):
    """Which version: its number, or a text (its number, its id, another name of it). Stored as a text."""

    expected = "a version's number or a string"

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1, "maxLength": ID_LENGTH}
        return {"oneOf": [{"type": "integer", "minimum": 1, "maximum": LARGEST}, text]}

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, bool) or not isinstance(data, int | str):
            raise refuse_type(self.expected, data)
        text = str(data) if isinstance(data, str) or 0 < data <= LARGEST else ""
        if not 0 < len(text) <= ID_LENGTH or NOT_TEXT.search(text):
            raise refuse("Invalid '{param}': there is no such version.", "invalid_value")
        return text
