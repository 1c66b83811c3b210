"""What a conversation's prompts are filled with: values as JSON has them, by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from assistants.prompting import PlacedPrompt
from assistants.prompts.variables import as_text, cast, is_given
from sovereign.core.errors import ApiError

MOST = 64  # of a conversation
NAME_LENGTH = 64
SIZE = 64_000  # bytes of all of them, as JSON


def merged(before: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is there with what is given over it; ``null`` takes one away.

    :raises ApiError: 400, these would be too many, or too much.
    """
    after = {name: value for name, value in {**before, **given}.items() if value is not None}
    if len(after) > MOST:
        raise _too_much(f"a conversation has at most {MOST} variables, and these would be {len(after)}.")
    if (size := len(orjson.dumps(after))) > SIZE:
        raise _too_much(f"all of them together have at most {SIZE:,} bytes, and these would have {size:,}.")
    return after


def check(prompts: Sequence[PlacedPrompt], values: Mapping[str, Any]) -> None:
    """Whether the values are of the types that an assistant's prompts declare. Other names are nobody's business.

    A name that several prompts declare in different ways fits where it fits one of them.

    :raises ApiError: 400 ``invalid_variable``; ``param`` is ``variables.NAME``.
    """
    declared: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for prompt in prompts:
        for variable in prompt.variables:
            declared[variable["name"]].append(variable)
    for name, value in values.items():
        if is_given(value) and name in declared:
            _check_one(declared[name], value)


def _check_one(declarations: Sequence[Mapping[str, Any]], value: Any) -> None:
    refusals = []
    for variable in declarations:
        try:
            cast(variable, value, param=f"variables.{variable['name']}")
        except ApiError as error:
            refusals.append(error)
    if len(refusals) == len(declarations):
        raise refusals[0]


def as_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """The values as metadata would have them: conditions of prompts compare texts, and their variables read these."""
    return {name: _text_of(value) for name, value in values.items()}


def _text_of(value: Any) -> str:
    return orjson.dumps(value).decode() if isinstance(value, list) else as_text(value)


def _too_much(why: str) -> ApiError:
    return ApiError(f"Invalid 'variables': {why}", param="variables", code="too_many_variables")
