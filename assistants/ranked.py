"""Pages of a list whose order is no column's: it is made anew for each, and goes on behind an id."""

from __future__ import annotations

from collections.abc import Sequence

from sovereign.core.errors import ApiError


def following(ranked: Sequence[str], after: str | None) -> Sequence[str]:
    """What comes behind an id.

    :raises ApiError: 400, the id is not in the list.
    """
    if after is None:
        return ranked
    if after not in ranked:
        raise ApiError(f"No object found with id '{after[:64]}'.", param="after", code="invalid_cursor")
    return ranked[ranked.index(after) + 1 :]
