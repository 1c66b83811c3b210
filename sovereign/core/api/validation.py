"""Request bodies: strict fields whose refusals read like the contract's (errors E20 to E27).

DRF converts kindly (``"5"`` becomes 5, unknown keys vanish); the contract does not. A field raises a
``ValidationError`` whose message has ``{param}`` where the path belongs; only the handler knows that path.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.settings import api_settings

from sovereign.core.api.leniency import ignore
from sovereign.core.api.unions import Union
from sovereign.core.errors import ApiError
from sovereign.core.json_values import values

METADATA_PAIRS = 16
METADATA_KEY_LENGTH = 64
METADATA_VALUE_LENGTH = 512
LARGEST_FLOAT = 2.0**63
NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
SHOWN = 64  # characters of what a client sent that an error repeats

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (str, "a string"),
    (int, "an integer"),
    (float, "a decimal"),
    (Mapping, "an object"),
    (list, "an array"),
)


def kind_of(value: Any) -> str:
    """The JSON type of a value as the contract's errors name it."""
    if value is None:
        return "null"
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "an unknown type")


def refuse(message: str, code: str) -> serializers.ValidationError:
    """A refusal; ``{param}`` in ``message`` becomes the field's path."""
    return serializers.ValidationError(message, code=code)


def refuse_at(key: str, message: str, code: str) -> serializers.ValidationError:
    """A refusal of the member ``key`` of an object."""
    return serializers.ValidationError({key: [ErrorDetail(message, code)]})


def refuse_unknown(data: Mapping[str, Any], names: list[str]) -> None:
    """Refuse the members ``names`` of the object ``data``, or note them where they are ignored (``leniency``)."""
    if names and not ignore(data, names):
        raise refuse_at(names[0], "Unknown parameter: '{param}'.", "unknown_parameter")


def refuse_type(expected: str, value: Any) -> serializers.ValidationError:
    got = kind_of(value)
    return refuse(f"Invalid type for '{{param}}': expected {expected}, but got {got} instead.", "invalid_type")


def supported(values: list[str]) -> str:
    """``'a', 'b' and 'c'``, as the contract lists the supported values."""
    quoted = [f"'{value}'" for value in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


class StrictField(serializers.Field):
    """A field that takes exactly one JSON type, and gives back what it stores."""

    expected = "a value"  # as an error names what it takes

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        if key == "null":
            raise refuse_type(self.expected, None)
        super().fail(key, **kwargs)

    def schema(self) -> dict[str, Any] | Union:
        """Its part of the OpenAPI document; serializer classes in it become references."""
        return {}

    def to_representation(self, value: Any) -> Any:
        return value


def _given(**limits: Any) -> dict[str, Any]:
    return {name: limit for name, limit in limits.items() if limit}


class StrictString(StrictField):
    """A JSON string. NUL and lone surrogates are refused: no database and no UTF-8 stream can carry them."""

    expected = "a string"

    def __init__(self, *, max_length: int | None = None, min_length: int = 0, **options: Any) -> None:
        self.max_length, self.min_length = max_length, min_length
        super().__init__(**options)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", **_given(maxLength=self.max_length, minLength=self.min_length)}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise refuse_type(self.expected, data)
        if self.max_length is not None and len(data) > self.max_length:
            raise refuse(
                "Invalid '{param}': string too long. Expected a string with maximum length "
                f"{self.max_length}, but got a string with length {len(data)} instead.",
                "string_above_max_length",
            )
        if len(data) < self.min_length:
            raise refuse(
                "Invalid '{param}': string too short. Expected a string with minimum length "
                f"{self.min_length}, but got a string with length {len(data)} instead.",
                "string_below_min_length",
            )
        if NOT_TEXT.search(data):
            raise refuse("Invalid '{param}': the string has a character that is not allowed.", "invalid_value")
        return data


class StrictNumber(StrictField):
    """A JSON number between bounds; ``integer`` refuses decimals."""

    def __init__(
        self, *, minimum: float | None = None, maximum: float | None = None, integer: bool = False, **options: Any
    ) -> None:
        self.minimum, self.maximum, self.integer = minimum, maximum, integer
        self.expected = "an integer" if integer else "a decimal"
        super().__init__(**options)

    def schema(self) -> dict[str, Any]:
        limits = {"minimum": self.minimum, "maximum": self.maximum}
        bounds = {name: limit for name, limit in limits.items() if limit is not None}
        return {"type": "integer" if self.integer else "number", **bounds}

    def to_internal_value(self, data: Any) -> float | int:
        word = "integer" if self.integer else "decimal"
        if isinstance(data, bool) or not isinstance(data, int if self.integer else int | float):
            raise refuse_type(self.expected, data)
        if self.minimum is not None and not data >= self.minimum:
            raise refuse(
                f"Invalid '{{param}}': {word} below minimum value. Expected a value >= {self.minimum}, "
                f"but got {data} instead.",
                f"{word}_below_min_value",
            )
        if self.maximum is not None and not data <= self.maximum:
            raise refuse(
                f"Invalid '{{param}}': {word} above maximum value. Expected a value <= {self.maximum}, "
                f"but got {data} instead.",
                f"{word}_above_max_value",
            )
        return data if self.integer else float(data)


class StrictBoolean(StrictField):
    expected = "a boolean"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise refuse_type(self.expected, data)
        return data


class StrictChoice(StrictField):
    def __init__(self, *, choices: list[str], **options: Any) -> None:
        self.choices = choices
        self.expected = f"one of {supported(choices)}"
        super().__init__(**options)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": self.choices}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise refuse_type(self.expected, data)
        if data not in self.choices:
            shown = data[:SHOWN].replace("{", "").replace("}", "")
            raise refuse(f"Invalid value: '{shown}'. Supported values are: {supported(self.choices)}.", "invalid_value")
        return data


class StrictList(serializers.ListField):
    """A JSON array of ``child``, with the contract's words for too many or too few items.

    The first item that is refused ends the look: a body has room for half a million of them.
    """

    def __init__(self, *, maximum: int | None = None, minimum: int = 0, **options: Any) -> None:
        self.maximum, self.minimum = maximum, minimum
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            raise refuse_type("an array", data)
        for bound, wrong, side, adjective in (
            (self.maximum, self.maximum is not None and len(data) > self.maximum, "above_max", "long"),
            (self.minimum, len(data) < self.minimum, "below_min", "short"),
        ):
            if wrong:
                limit = "maximum" if side == "above_max" else "minimum"
                raise refuse(
                    f"Invalid '{{param}}': array too {adjective}. Expected an array with {limit} length {bound}, "
                    f"but got an array with length {len(data)} instead.",
                    f"array_{side}_length",
                )
        return self.run_child_validation(data)

    def run_child_validation(self, data: list[Any]) -> list[Any]:
        checked = []
        for index, item in enumerate(data):
            try:
                checked.append(self.child.run_validation(item))
            except serializers.ValidationError as error:
                detail: Any = {index: error.detail}
                raise serializers.ValidationError(detail) from None
        return checked

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        if key == "null":
            raise refuse_type("an array", None)
        super().fail(key, **kwargs)


class Metadata(StrictField):
    """At most 16 pairs of strings; ``null`` means none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "allow_null": True, **options})

    def schema(self) -> dict[str, Any]:
        values = {"type": "string", "maxLength": METADATA_VALUE_LENGTH}
        return {
            "type": "object",
            "propertyNames": {"maxLength": METADATA_KEY_LENGTH},
            "additionalProperties": values,
            "maxProperties": METADATA_PAIRS,
        }

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if not isinstance(data, dict):
            raise refuse_type("an object", data)
        if len(data) > METADATA_PAIRS:
            raise refuse(
                f"Invalid '{{param}}': too many properties. Expected an object with at most {METADATA_PAIRS} "
                f"properties, but got an object with {len(data)} properties instead.",
                "object_above_max_properties",
            )
        key_field = StrictString(max_length=METADATA_KEY_LENGTH)
        value_field = StrictString(max_length=METADATA_VALUE_LENGTH)
        refused: dict[str, Any] = {}
        for key, value in data.items():
            try:
                key_field.to_internal_value(key)
                value_field.to_internal_value(value)
            except serializers.ValidationError as error:
                refused[key] = error.detail
        if refused:
            raise serializers.ValidationError(refused)
        return data


class StrictSerializer(serializers.Serializer):
    """A JSON object; a key that is not declared is refused, or ignored where that is asked for (``leniency``)."""

    @classmethod
    def checked(cls, data: Any, *, partial: bool = False) -> dict[str, Any]:
        """What ``data`` says. One instance checks all of it and keeps none: making one copies all of its fields.

        :raises rest_framework.exceptions.ValidationError: the first refusal of a field.
        """
        return dict(_checker(cls, partial).run_validation(data))

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            # under a key, or DRF fails on it where this is the whole body
            raise serializers.ValidationError(
                {api_settings.NON_FIELD_ERRORS_KEY: refuse_type("an object", data).detail}
            )
        refuse_unknown(data, [key for key in data if key not in self.fields])
        return super().to_internal_value(data)

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        if key == "null":
            raise serializers.ValidationError(
                {api_settings.NON_FIELD_ERRORS_KEY: refuse_type("an object", None).detail}
            )
        super().fail(key, **kwargs)


def by_type(data: Any, shapes: Mapping[str, type[StrictSerializer]]) -> dict[str, Any]:
    """What an object says that has the shape which its ``type`` names.

    :raises rest_framework.exceptions.ValidationError: the first refusal of a field.
    """
    if not isinstance(data, dict):
        raise refuse_type("an object", data)
    kind = data.get("type")
    if kind is None:
        raise refuse_at("type", "Missing required parameter: '{param}'.", "missing_required_parameter")
    if not isinstance(kind, str) or kind not in shapes:
        shown = str(kind)[:SHOWN].replace("{", "").replace("}", "")
        raise refuse_at(
            "type", f"Invalid value: '{shown}'. Supported values are: {supported([*shapes])}.", "invalid_value"
        )
    return shapes[kind].checked(data)


@functools.cache
def _checker(serializer: type[StrictSerializer], partial: bool) -> StrictSerializer:
    return serializer(partial=partial)


def validation_error(error: serializers.ValidationError) -> ApiError:
    """The first refusal of a validation, with its path filled in."""
    path, detail = _first(error.detail, "")
    code = str(detail.code)
    if code == "required":
        return ApiError(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")
    text = str(detail)
    message = text.replace("{param}", path) if path else text.replace("'{param}'", "the body")
    return ApiError(message, param=path or None, code=code)


def _first(detail: Any, path: str) -> tuple[str, ErrorDetail]:
    """Depth first through DRF's nested errors: ``{"a": [{}, {"b": [ErrorDetail]}]}`` is ``a[1].b``."""
    if isinstance(detail, Mapping):
        key, inner = next((key, inner) for key, inner in detail.items() if inner)
        if key == api_settings.NON_FIELD_ERRORS_KEY:
            return _first(inner, path)
        name = str(key)[:SHOWN]
        step = f"[{key}]" if isinstance(key, int) else f".{name}" if path else name
        return _first(inner, path + step)
    if isinstance(detail, list):
        index, inner = next((index, inner) for index, inner in enumerate(detail) if inner)
        return _first(inner, path if isinstance(inner, ErrorDetail) else f"{path}[{index}]")
    return path, detail


def is_portable(data: Any) -> bool:
    """Whether every database gives a JSON value back as it was.

    Postgres has no NUL in a text, and makes of a float like 1e300 an integer that no longer fits in 64 bits.
    """
    return not any(
        (isinstance(value, str) and "\x00" in value) or (isinstance(value, float) and abs(value) >= LARGEST_FLOAT)
        for value in values(data)
    )
