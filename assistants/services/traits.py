"""What the contract does not know of an assistant, checked and in its normal form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from assistants.kinds import AssistantType, Capability, every_capability
from assistants.models import (
    MAXIMUM_SUGGESTIONS,
    MAXIMUM_TAGS,
    PERSONALITY_LENGTH,
    SUGGESTION_LENGTH,
    TAG_LENGTH,
    LifeStatus,
    Visibility,
)
from sovereign.core.errors import ApiError

MOST_MESSAGES = 10_000  # of a context memory
FEWEST_TOKENS, MOST_TOKENS = 256, 1_000_000  # of what a run may generate; the contract's runs have the same minimum

#: What an explicit ``null`` resets one to.
DEFAULTS: dict[str, Any] = {
    "type": AssistantType.GENERAL.value,
    "visibility": Visibility.PROJECT.value,
    "tags": [],
    "suggestions": [],
    "personality": "",
    "context_memory_size": None,
    "capabilities": every_capability(),
    "default_max_tokens": None,
    "parent_id": None,
}


def checked(fields: dict[str, Any]) -> dict[str, Any]:
    """Those of ``fields`` that are traits, as they are stored.

    :raises ApiError: 400, ``param`` names the one that is wrong.
    """
    return {name: check(name, fields[name]) for name, check in _CHECKS.items() if name in fields}


def _choice(choices: Sequence[str]) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in choices:
            raise _wrong(name, f"supported values are: {', '.join(choices)}.")
        return str(value)

    return check


def _number(least: int, most: int) -> Callable[[str, Any], int | None]:
    def check(name: str, value: Any) -> int | None:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most):
            raise _wrong(name, f"expected a whole number from {least} to {most}.")
        return None if value is None else int(value)

    return check


def _personality(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > PERSONALITY_LENGTH:
        raise _wrong(name, f"expected a text of at most {PERSONALITY_LENGTH} characters.")
    return value


def _capabilities(name: str, value: Any) -> list[str]:
    """Each once, in the order in which they are listed."""
    if not isinstance(value, list):
        raise _wrong(name, "expected a list.")
    if unknown := [item for item in value if item not in Capability.values]:
        raise _wrong(name, f"'{str(unknown[0])[:TAG_LENGTH]}' is none of {', '.join(Capability.values)}.")
    return [item for item in Capability.values if item in value]


def _tags(name: str, value: Any) -> list[str]:
    """Without blanks around them, each once, in their order."""
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise _wrong(name, "expected a list of texts.")
    tags = list(dict.fromkeys(tag.strip() for tag in value))
    if len(tags) > MAXIMUM_TAGS:
        raise _wrong(name, f"at most {MAXIMUM_TAGS} tags are allowed.", "array_above_max_length")
    for tag in tags:
        if not 0 < len(tag) <= TAG_LENGTH:
            raise _wrong(name, f"a tag has 1 to {TAG_LENGTH} characters; '{tag[:TAG_LENGTH]}' has {len(tag)}.")
        if not tag.isprintable():
            raise _wrong(name, "a tag has a character that is not allowed.")
    return tags


def _suggestions(name: str, value: Any) -> list[str]:
    """Each once, in their order; blanks and ends of lines in one are single blanks."""
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise _wrong(name, "expected a list of texts.")
    texts = list(dict.fromkeys(" ".join(text.split()) for text in value))
    if len(texts) > MAXIMUM_SUGGESTIONS:
        raise _wrong(name, f"at most {MAXIMUM_SUGGESTIONS} suggestions are allowed.", "array_above_max_length")
    for text in texts:
        if not 0 < len(text) <= SUGGESTION_LENGTH:
            shown = text[:TAG_LENGTH]
            raise _wrong(name, f"one has 1 to {SUGGESTION_LENGTH} characters; '{shown}' has {len(text)}.")
        if not text.isprintable():
            raise _wrong(name, "one has a character that is not allowed.")
    return texts


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "type": _choice(AssistantType.values),
    "status": _choice(LifeStatus.values),
    "visibility": _choice(Visibility.values),
    "tags": _tags,
    "suggestions": _suggestions,
    "personality": _personality,
    "context_memory_size": _number(1, MOST_MESSAGES),
    "capabilities": _capabilities,
    "default_max_tokens": _number(FEWEST_TOKENS, MOST_TOKENS),
}


def _wrong(name: str, sentence: str, code: str = "invalid_value") -> ApiError:
    return ApiError(f"Invalid '{name}': {sentence}", param=name, code=code)
