"""Walks through JSON values that strangers wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def texts(data: Any) -> Iterator[str]:
    """All texts in a JSON value, names in objects among them."""
    return (value for value in values(data) if isinstance(value, str))


def values(data: Any) -> Iterator[Any]:
    """All that is in a JSON value, names in objects and the value itself among it (no recursion to exhaust)."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        yield value
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
