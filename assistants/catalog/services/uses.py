"""Who uses what the catalog has: what is used is not deleted."""

from __future__ import annotations

from collections.abc import Callable

from sovereign.core.errors import ApiError

NAMED = 3

#: Names of those in a project that use the function or server with an id. Filled by the rooms above.
finders: list[Callable[[str, str], list[str]]] = []


def refuse_used(project_id: str, identifier: str, shown: str) -> None:
    """:raises ApiError: 400, somebody uses it; some of them are named."""
    names = [name for find in finders for name in find(project_id, identifier)]
    if not names:
        return
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    raise ApiError(
        f"'{shown}' is used by {', '.join(names[:NAMED])}{more}. Take it away from them first.", code="in_use"
    )
