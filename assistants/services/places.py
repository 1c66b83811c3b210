"""Places to fill in that stand in an assistant's own words: nothing fills them in there, only prompts are templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sovereign.core.errors import ApiError

FIELDS = ("instructions", "personality")
NAMED = 8  # in a message
#: looks at each sign once, also where there are hundreds of thousands of blanks behind an opening
PLACE = re.compile(r"\{\{\s*+(?:[#^/]\s*+)?([A-Za-z_][\w-]*+)\s*+\}\}")


def unfilled(words: Mapping[str, Any]) -> dict[str, list[str]]:
    """The variables that each of the fields names, in the order of the alphabet; fields without any are left out.

    >>> unfilled({"instructions": "Help {{ company }}{{# plan }}!{{/ plan }}", "personality": None})
    {'instructions': ['company', 'plan']}
    """
    found = {field: sorted(set(PLACE.findall(words.get(field) or ""))) for field in FIELDS}
    return {field: names for field, names in found.items() if names}


def listed(names: list[str]) -> str:
    """
    >>> listed(["company", "plan"])
    '{{ company }}, {{ plan }}'
    """
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return ", ".join([*(f"{{{{ {name} }}}}" for name in names[:NAMED]), *more])


def refuse(words: Mapping[str, Any]) -> None:
    """:raises ApiError: 400 ``unknown_variable``; ``param`` is the first of the fields that names a variable."""
    for field, names in unfilled(words).items():
        raise ApiError(
            f"'{field}' names variables that nothing fills in: {listed(names)}. Only prompts of the library have "
            "variables. Take them out, or make a prompt of the text; if they are meant as they stand, publish with "
            "'as_written': true.",
            param=field,
            code="unknown_variable",
        )
