"""Language tags and ranges of them, as RFC 4647 matches them: ``de`` means ``de-AT`` too."""

from __future__ import annotations

import re

ANY = "*"
RANGE = re.compile(r"(\*|[a-z]{1,8})(-(\*|[a-z0-9]{1,8})){0,7}", re.IGNORECASE)


def is_range(text: str) -> bool:
    return RANGE.fullmatch(text) is not None


def is_in_range(tag: str, wanted: str) -> bool:
    """Extended filtering. ``tag`` may be anything that a client calls a language; ``de_AT`` is ``de-AT``.

    >>> is_in_range("de_AT", "de"), is_in_range("en-GB", "en-*"), is_in_range("de", "de-AT")
    (True, True, False)
    """
    subtags = tag.strip().lower().replace("_", "-").split("-")
    first, *others = wanted.lower().split("-")
    if not subtags[0] or first not in (ANY, subtags[0]):
        return False
    rest = subtags[1:]
    for subtag in others:
        if subtag == ANY:
            continue
        if not _skip_to(subtag, rest):
            return False
    return True


def _skip_to(subtag: str, rest: list[str]) -> bool:
    """Take what stands before ``subtag``, and itself, from ``rest``; a single letter begins something else."""
    while rest:
        found = rest.pop(0)
        if found == subtag:
            return True
        if len(found) == 1:
            return False
    return False
