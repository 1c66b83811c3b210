"""Chance that is none: what a thread gets by weight, always the same for the thread."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

NUMBERS = 2**64


def chance(link_id: str, thread_id: str | None) -> float:
    """A number above 0 and at most 1 that a thread has for a link: evenly spread, by SHA-256."""
    digest = hashlib.sha256(f"{link_id}:{thread_id or ''}".encode()).digest()
    return (int.from_bytes(digest[:8]) + 1) / NUMBERS


def shares(weights: Mapping[str, int | None]) -> dict[str, float]:
    """The share that each of several links has, in per cent: one without a weight has an equal part of the rest.

    Where some of a group do not fit, the others' weights stay as they are to one another.

    >>> shares({"a": 30, "b": None, "c": None})
    {'a': 30.0, 'b': 35.0, 'c': 35.0}
    """
    given = sum(weight for weight in weights.values() if weight is not None)
    unsaid = sum(weight is None for weight in weights.values())
    rest = max(0, 100 - given) / unsaid if unsaid else 0.0
    parts = {link_id: rest if weight is None else float(weight) for link_id, weight in weights.items()}
    total = sum(parts.values())
    return {link_id: 100 * part / total if total else 0.0 for link_id, part in parts.items()}


def drawn(parts: Mapping[str, float], thread_id: str | None) -> str | None:
    """The link that a thread gets, by their shares; ``None`` where no link has any.

    Rendezvous hashing with weights: where a share changes, or a link comes or goes, no more threads get another one
    than have to.
    """
    named = [link_id for link_id, part in parts.items() if part > 0]
    return max(named, key=lambda link_id: math.log(chance(link_id, thread_id)) / parts[link_id], default=None)
