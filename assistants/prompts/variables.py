"""What a prompt is filled in with: variables as its writer declares them, and the values that come for them.

A declaration is ``{"name", "type", "description", "default", "required", "choices"}``. Values come as JSON has them, or
as texts, since metadata knows nothing else. ``null`` and a blank text are as if nothing had been given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sovereign.core.errors import ApiError

NAME_LENGTH = 64
DESCRIPTION_LENGTH = 512
MAXIMUM_VARIABLES = 64  # of a prompt
MAXIMUM_CHOICES = 64
CHOICE_LENGTH = 256
VALUE_LENGTH = 64_000  # characters of a text
MAXIMUM_ITEMS = 1_000  # of a list
LARGEST_NUMBER = 2**53  # up to which every program agrees on what a number is
SHOWN_CHOICES = 8
SHOWN = 64  # characters of what was given that an error repeats
NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_-]{{0,{NAME_LENGTH - 1}}}")
NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
INTEGER = re.compile(r"[+-]?[0-9]{1,16}")
NUMBER = re.compile(r"[+-]?(?:[0-9]{1,32}(?:\.[0-9]{0,32})?|\.[0-9]{1,32})(?:[eE][+-]?[0-9]{1,2})?")
FIELDS = ("name", "type", "description", "default", "required", "choices")
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

#: What this server fills in itself wherever a prompt names it, and what it is. Nobody declares these.
BUILT_IN = {
    "instructions": "The assistant's own instructions; of primary and fallback prompts.",
    "assistant_name": "The assistant's name.",
    "date": "Today's date, such as 2026-11-21.",
    "language": "The language that the thread's or run's metadata name, such as de or pt-BR.",
    "user_group": "The person's role in the project, or the user_group that the metadata name.",
}


def checked(declared: Any) -> list[dict[str, Any]]:
    """Declarations in their normal form: every one with all of its six fields, and its default as its type has it.

    :raises ApiError: 400, ``invalid_variable``; ``param`` says which, ``"variables[2].default"``.
    """
    if not isinstance(declared, list) or len(declared) > MAXIMUM_VARIABLES:
        raise _wrong("variables", f"expected a list of at most {MAXIMUM_VARIABLES} variables.")
    variables = [_declaration(f"variables[{place}]", one) for place, one in enumerate(declared)]
    names = [variable["name"] for variable in variables]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise _wrong(f"variables[{place}].name", f"there is a variable '{name}' already.")
    return variables


def missing(variables: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> list[str]:
    """The names of the required variables for which nothing is given, as they are declared one after another."""
    return [one["name"] for one in variables if one["required"] and not is_given(values.get(one["name"]))]


def settled(variables: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every variable: the one that is given, its default, or nothing. Other values are left alone.

    :param variables: as ``checked`` gave them.
    :raises ApiError: 400, ``missing_variable`` with all that is missing, or ``invalid_variable``.
    """
    if lacking := missing(variables, values):
        raise ApiError(
            f"The prompt needs a value for {', '.join(repr(name) for name in lacking)}.",
            param="template",
            code="missing_variable",
        )
    return {one["name"]: _value_of(one, values.get(one["name"])) for one in variables}


def is_given(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and not value.strip())


def cast(variable: Mapping[str, Any], value: Any, *, param: str = "values") -> Any:
    """A value as the variable's type has it: text, number, boolean or a list of texts.

    :raises ApiError: 400, ``invalid_variable``; the message says what was expected.
    """
    settle, expected = _CASTS[variable["type"]]
    found = value.strip() if isinstance(value, str) and variable["type"] != "string" else value
    result = _choice(variable, found) if variable["type"] == "choice" else settle(found)
    if result is None:
        if variable["type"] == "choice":
            expected = f"one of {_some(variable['choices'])}"
        raise _wrong(param, f"'{variable['name']}' has to be {expected}, and not {_shown(value)}.")
    return result


def as_text(value: Any) -> str:
    """A value as it stands in a filled-in prompt; a list is told one after another."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return ", ".join(value) if isinstance(value, list) else str(value)


def _value_of(variable: Mapping[str, Any], value: Any) -> Any:
    return cast(variable, value) if is_given(value) else variable["default"]


# ------------------------------------------------------------------------------------------------ declarations


def _declaration(where: str, one: Any) -> dict[str, Any]:
    if not isinstance(one, dict):
        raise _wrong(where, f"expected an object with {', '.join(FIELDS)}.")
    if extra := sorted(str(key) for key in one if key not in FIELDS):
        raise _wrong(where, f"'{extra[0][:SHOWN]}' is not known; a variable has {', '.join(FIELDS)}.")
    variable = {
        "name": _declared_name(where, one.get("name")),
        "type": one.get("type", "string"),
        "description": _declared_description(where, one.get("description")),
        "default": None,
        "required": _declared_required(where, one.get("required")),
        "choices": [],
    }
    if not isinstance(variable["type"], str) or variable["type"] not in _CASTS:
        raise _wrong(f"{where}.type", f"expected one of {', '.join(_CASTS)}.")
    variable["choices"] = _declared_choices(where, variable["type"], one.get("choices"))
    if is_given(one.get("default")):
        if variable["required"]:
            raise _wrong(f"{where}.default", "a variable that is required has no default.")
        variable["default"] = cast(variable, one["default"], param=f"{where}.default")
    return variable


def _declared_name(where: str, name: Any) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise _wrong(
            f"{where}.name",
            f"expected 1 to {NAME_LENGTH} letters of A to Z, digits, '_' or '-', the first of them a letter or '_'.",
        )
    if name in BUILT_IN:
        raise _wrong(f"{where}.name", f"'{name}' is filled in by this server and needs no declaration.")
    return name


def _declared_description(where: str, description: Any) -> str:
    if description is None:
        return ""
    if not isinstance(description, str) or len(description) > DESCRIPTION_LENGTH or NOT_TEXT.search(description):
        raise _wrong(f"{where}.description", f"expected a text of at most {DESCRIPTION_LENGTH} characters.")
    return description


def _declared_required(where: str, required: Any) -> bool:
    if not isinstance(required, bool | None):
        raise _wrong(f"{where}.required", "expected true or false.")
    return bool(required)


def _declared_choices(where: str, kind: str, choices: Any) -> list[str]:
    if kind != "choice":
        if choices:
            raise _wrong(f"{where}.choices", "only a variable of the type 'choice' has choices.")
        return []
    if not isinstance(choices, list) or not 1 <= len(choices) <= MAXIMUM_CHOICES:
        raise _wrong(f"{where}.choices", f"expected a list of 1 to {MAXIMUM_CHOICES} texts.")
    for place, choice in enumerate(choices):
        is_text = isinstance(choice, str) and choice and choice == choice.strip() and not NOT_TEXT.search(choice)
        if not is_text or len(choice) > CHOICE_LENGTH:
            raise _wrong(
                f"{where}.choices[{place}]",
                f"expected a text of 1 to {CHOICE_LENGTH} characters without blanks at its ends.",
            )
        if choice in choices[:place]:
            raise _wrong(f"{where}.choices[{place}]", f"'{choice[:SHOWN]}' is there already.")
    return list(choices)


# ------------------------------------------------------------------------------------------------ values


def _text(value: Any) -> str | None:
    if isinstance(value, int | float):
        number = value if isinstance(value, bool) else _number(value)
        return None if number is None else as_text(number)
    is_text = isinstance(value, str) and len(value) <= VALUE_LENGTH and not NOT_TEXT.search(value)
    return value if is_text else None


def _integer(value: Any) -> int | None:
    number = int(value) if isinstance(value, str) and INTEGER.fullmatch(value) else value
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    return number if type(number) is int and abs(number) <= LARGEST_NUMBER else None


def _number(value: Any) -> int | float | None:
    if (whole := _integer(value)) is not None:
        return whole
    number = float(value) if isinstance(value, str) and NUMBER.fullmatch(value) else value
    return number if type(number) is float and abs(number) <= LARGEST_NUMBER else None


def _boolean(value: Any) -> bool | None:
    return WORDS.get(value.lower()) if isinstance(value, str) else value if isinstance(value, bool) else None


def _choice(variable: Mapping[str, Any], value: Any) -> str | None:
    text = _text(value)
    return text if text in variable["choices"] else None


def _list(value: Any) -> list[str] | None:
    if isinstance(value, str):
        value = _listed(value)
    if not isinstance(value, list) or len(value) > MAXIMUM_ITEMS:
        return None
    items = [_text(item) for item in value]
    return None if None in items else [item for item in items if item and item.strip()]


def _listed(text: str) -> Any:
    """A list in a text: JSON where it begins like that, else what stands between commas."""
    if not text.startswith("["):
        return [item.strip() for item in text.split(",", MAXIMUM_ITEMS + 1)]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_CASTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "string": (_text, f"a text of at most {VALUE_LENGTH:,} characters"),
    "number": (_number, "a number"),
    "integer": (_integer, "a whole number"),
    "boolean": (_boolean, "true or false"),
    "choice": (_text, "one of its choices"),
    "list": (_list, f"a list of at most {MAXIMUM_ITEMS:,} texts, or texts with commas between them"),
}
TYPES = tuple(_CASTS)


def _some(choices: Sequence[str]) -> str:
    more = f" and {len(choices) - SHOWN_CHOICES} more" if len(choices) > SHOWN_CHOICES else ""
    return ", ".join(f"'{choice}'" for choice in choices[:SHOWN_CHOICES]) + more


def _shown(value: Any) -> str:
    if not isinstance(value, str | int | float | bool):
        return "an object" if isinstance(value, dict) else "such a list" if isinstance(value, list) else "this"
    text = NOT_TEXT.sub("�", str(value)[:SHOWN])
    return f"'{text}'" if len(text) < SHOWN else f"'{text}…'"


def _wrong(param: str, expected: str) -> ApiError:
    return ApiError(f"Invalid '{param}': {expected}", param=param, code="invalid_variable")
