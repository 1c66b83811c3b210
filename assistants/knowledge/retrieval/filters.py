"""Filters over the attributes of files: what they mean. The API reads them, ``matches`` decides.

A value is text, a number or a truth value, and is compared with its like alone: ``"1"`` is not ``1``, and ``true`` is
not ``1`` either. A key that a file does not have equals nothing and is in no list: ``ne`` and ``nin`` hold for it, the
others do not. Order is that of numbers, and of texts by their characters; truth values have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Value = str | float | int | bool
Comparison = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]


@dataclass(frozen=True, slots=True)
class Compare:
    """One comparison; ``value`` is a tuple for ``in`` and ``nin``."""

    type: Comparison
    key: str
    value: Value | tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Compound:
    """All of the filters, or at least one of them; of none, all hold and none does."""

    type: Literal["and", "or"]
    filters: tuple[Filter, ...]


Filter = Compare | Compound


def matches(filter: Filter, attributes: Mapping[str, Value]) -> bool:
    """Whether a file with these attributes is searched."""
    if isinstance(filter, Compound):
        held = (matches(part, attributes) for part in filter.filters)
        return all(held) if filter.type == "and" else any(held)
    has = filter.key in attributes
    value = attributes.get(filter.key)
    if isinstance(filter.value, tuple):
        found = has and any(_equal(value, other) for other in filter.value)
        return found == (filter.type == "in")
    if filter.type in ("eq", "ne"):
        return (has and _equal(value, filter.value)) == (filter.type == "eq")
    return has and _ordered(filter.type, value, filter.value)


def _kind(value: object) -> type | None:
    """What values are compared with: truth values are no numbers here, whatever Python says."""
    if isinstance(value, bool):
        return bool
    if isinstance(value, int | float):
        return float
    return str if isinstance(value, str) else None


def _equal(left: object, right: object) -> bool:
    return _kind(left) is not None and _kind(left) is _kind(right) and left == right


def _ordered(type: str, left: object, right: object) -> bool:
    kind = _kind(left)
    if kind not in (str, float) or kind is not _kind(right):
        return False
    if type in ("gt", "gte"):
        return left > right or (type == "gte" and left == right)  # type: ignore[operator]  # both are of one kind
    return left < right or (type == "lte" and left == right)  # type: ignore[operator]
