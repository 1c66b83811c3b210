"""What the starter model was measured to do: ``evaluate_starter --json`` writes the file beside the weights."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from inference.starter.interpreter import WEIGHTS

FILE = WEIGHTS / "evaluation.json"


@cache
def figures() -> dict[str, dict[str, Any]]:
    """Every figure as ``{"right", "total", "bar"}`` by its name; empty where nothing was measured."""
    try:
        content: dict[str, dict[str, Any]] = json.loads(FILE.read_text())["figures"]
    except (OSError, ValueError, KeyError):
        return {}
    return content


def percent(name: str) -> int | None:
    """A figure in whole percent, rounded down: a bar that was missed never looks reached."""
    row = figures().get(name)
    return None if row is None or not row["total"] else int(100 * row["right"] / row["total"])
