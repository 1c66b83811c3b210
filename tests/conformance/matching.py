"""Expected values: literal ones, and matchers for what cannot be known beforehand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = 200  # characters of a value in a failure


class Mismatch(AssertionError):
    """The server did something else; the text says what, without anything that changes from run to run."""


@dataclass(frozen=True, slots=True)
class Id:
    """``prefix`` and 26 digits and lowercase letters."""

    prefix: str

    def matches(self, value: Any) -> bool:
        return isinstance(value, str) and bool(re.fullmatch(rf"{self.prefix}[0-9a-hjkmnp-tv-z]{{26}}", value))


@dataclass(frozen=True, slots=True)
class Instant:
    """Whole seconds since 1970."""

    def matches(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value > 1_700_000_000


@dataclass(frozen=True, slots=True)
class Text:
    """A string that has ``part`` in it."""

    part: str = ""

    def matches(self, value: Any) -> bool:
        return isinstance(value, str) and self.part in value


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number from ``minimum`` up."""

    minimum: int = 0

    def matches(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= self.minimum


@dataclass(frozen=True, slots=True)
class Either:
    """One of several."""

    choices: tuple[Any, ...]

    def matches(self, value: Any) -> bool:
        return any(difference(choice, value) is None for choice in self.choices)


def difference(expected: Any, given: Any, path: str = "") -> str | None:
    """The first place where ``given`` is not what is expected; objects must have exactly the expected keys, in order.

    Numbers are equal as JSON's are: 1 and 1.0.
    """
    if hasattr(expected, "matches"):
        return None if expected.matches(given) else _told(path, expected, given)
    if isinstance(expected, Mapping):
        if not isinstance(given, Mapping) or list(expected) != list(given):
            return _told(path, list(expected), list(given) if isinstance(given, Mapping) else given)
        pairs = ((expected[key], given[key], f"{path}.{key}" if path else key) for key in expected)
        return next((found for pair in pairs if (found := difference(*pair))), None)
    if isinstance(expected, list):
        if not isinstance(given, list) or len(expected) != len(given):
            return _told(path, expected, given)
        items = ((*pair, f"{path}[{index}]") for index, pair in enumerate(zip(expected, given, strict=True)))
        return next((found for item in items if (found := difference(*item))), None)
    same = expected == given and isinstance(expected, bool) == isinstance(given, bool)
    return None if same else _told(path, expected, given)


def _told(path: str, expected: Any, given: Any) -> str:
    return f"{path or 'the value'}: expected {_short(expected)}, got {_short(given)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def require(expected: Any, given: Any, what: str = "") -> None:
    """:raises Mismatch: ``given`` is not what is expected."""
    if found := difference(expected, given):
        raise Mismatch(f"{what}: {found}" if what else found)


def require_fields(expected: Mapping[str, Any], given: Any, what: str = "") -> None:
    """Like :func:`require`, for some of an object's keys."""
    if not isinstance(given, Mapping):
        raise Mismatch(f"{what}: expected an object, got {_short(given)}")
    missing = [key for key in expected if key not in given]
    if missing:
        raise Mismatch(f"{what}: {', '.join(missing)} missing")
    for key, value in expected.items():
        require(value, given[key], f"{what + ': ' if what else ''}{key}")
