"""Filters over the attributes of files, as a search takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rest_framework.exceptions import ValidationError

from assistants.knowledge.api.fields import AttributeValue
from assistants.knowledge.retrieval.filters import Compare, Compound, Filter
from sovereign.core.api.unions import Union
from sovereign.core.api.validation import (
    METADATA_KEY_LENGTH,
    SHOWN,
    StrictChoice,
    StrictField,
    StrictList,
    StrictSerializer,
    StrictString,
    refuse,
    refuse_at,
    refuse_type,
    supported,
)

# bounds of ours: every file of a store is compared with all of a filter
DEEPEST = 8  # filters within filters
MOST = 500  # filters, and values of their lists, all together
EQUALITIES = ["eq", "ne"]
ORDERS = ["gt", "gte", "lt", "lte"]
LISTS = ["in", "nin"]
COMPARISONS = [*EQUALITIES, *ORDERS, *LISTS]
COMPOUNDS = ["and", "or"]


class FilterValue(StrictField):
    """A text, a number or a boolean; for ``in`` and ``nin`` a list of them."""

    def schema(self) -> dict[str, Any]:
        one = AttributeValue().schema()["oneOf"]
        return {"oneOf": [*one, {"type": "array", "maxItems": MOST, "items": {"oneOf": one}}]}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list):
            return tuple(StrictList(child=AttributeValue(), maximum=MOST).run_validation(data))
        return AttributeValue().to_internal_value(data)


class ComparisonFilter(StrictSerializer):
    """Compares one attribute with a value of the same kind."""

    type = StrictChoice(choices=COMPARISONS)
    key = StrictString(max_length=METADATA_KEY_LENGTH)
    value = FilterValue()

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        kind, value = attributes["type"], attributes["value"]
        shown = list(value) if isinstance(value, tuple) else value
        if (kind in LISTS) != isinstance(value, tuple):
            expected = "an array" if kind in LISTS else AttributeValue.expected
            raise ValidationError({"value": refuse_type(expected, shown).detail})
        if kind in ORDERS and isinstance(value, bool):
            raise ValidationError({"value": refuse_type("one of a string or a number", shown).detail})
        return attributes


class FilterField(StrictField):
    """A comparison, or filters of which all or any have to hold."""

    expected = "an object"

    def schema(self) -> Union:
        return FILTER

    def to_internal_value(self, data: Any) -> Filter:
        if not isinstance(data, dict):
            raise refuse_type("an object", data)
        kind = data.get("type")
        if kind is None:
            raise refuse_at("type", "Missing required parameter: '{param}'.", "missing_required_parameter")
        if kind in COMPOUNDS:
            checked = CompoundFilter.checked(data)
            return Compound(checked["type"], tuple(checked["filters"]))
        if kind in COMPARISONS:
            return Compare(**ComparisonFilter.checked(data))
        text = str(kind)[:SHOWN].replace("{", "").replace("}", "")
        known = supported([*COMPARISONS, *COMPOUNDS])
        raise refuse_at("type", f"Invalid value: '{text}'. Supported values are: {known}.", "invalid_value")


class CompoundFilter(StrictSerializer):
    """Filters of which all (``and``) or any (``or``) have to hold."""

    type = StrictChoice(choices=COMPOUNDS)
    filters = StrictList(child=FilterField(), maximum=MOST)


FILTER = Union("AttributeFilter", (ComparisonFilter, CompoundFilter))


class FiltersField(FilterField):
    """A whole filter: neither too deep nor too long."""

    def to_internal_value(self, data: Any) -> Filter:
        number = deepest = 0
        for depth, weight in _measured(data):
            number, deepest = number + weight, max(deepest, depth)
        if deepest > DEEPEST or number > MOST:
            raise refuse(
                f"Invalid '{{param}}': expected at most {DEEPEST} filters within each other, and at most {MOST} "
                "filters and values in all.",
                "invalid_value",
            )
        return super().to_internal_value(data)


def _measured(data: Any) -> Iterator[tuple[int, int]]:
    """Of each filter how deep it is, the outermost being 1, and how much there is to compare; without recursion, which
    nonsense could exhaust."""
    waiting = [(data, 1)]
    while waiting:
        filter, depth = waiting.pop()
        if not isinstance(filter, dict):
            continue
        value, inner = filter.get("value"), filter.get("filters")
        yield depth, 1 + (len(value) if isinstance(value, list) else 0)
        if isinstance(inner, list):
            waiting += [(one, depth + 1) for one in inner]
