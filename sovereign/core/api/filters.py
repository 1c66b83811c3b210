"""What a list is asked for in the query besides a page."""

from __future__ import annotations

from collections.abc import Collection

from django.http import QueryDict

from sovereign.core.api.validation import supported
from sovereign.core.errors import ApiError

SHOWN = 64  # characters of a value that an error repeats


def chosen(query: QueryDict, name: str, choices: Collection[str]) -> str | None:
    """The value of a parameter that has to be one of ``choices``; ``None`` where it is not given.

    :raises ApiError: 400 ``invalid_value``.
    """
    values = all_chosen(query, name, choices)
    return values[-1] if values else None


def all_chosen(query: QueryDict, name: str, choices: Collection[str]) -> list[str]:
    """The values of one that may be given several times. Raises like :func:`chosen`."""
    values = query.getlist(name)
    for value in values:
        if value not in choices:
            raise ApiError(
                f"Invalid value: '{value[:SHOWN]}'. Supported values are: {supported(list(choices))}.",
                param=name,
                code="invalid_value",
            )
    return values
