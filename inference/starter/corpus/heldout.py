"""What the corpus must not contain: the evaluation's questions, passages, personas and tool names."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

QUESTIONS = Path(__file__).parent.parent / "evaluation"
GRAM = 8


def normal(text: str) -> list[str]:
    """The words of a text: lower case, no punctuation."""
    return re.findall(r"[a-z0-9_]+", text.lower())


def grams(text: str) -> set[tuple[str, ...]]:
    """The text's runs of eight words; a shorter text counts as one run, so that it is refused only as a whole."""
    found = normal(text)
    if len(found) <= GRAM:
        return {tuple(found)}
    return {tuple(found[place : place + GRAM]) for place in range(len(found) - GRAM + 1)}


@lru_cache(maxsize=1)
def evaluation_rows() -> tuple[dict[str, object], ...]:
    """Every question of the evaluation."""
    return tuple(row for path in sorted(QUESTIONS.glob("*.json")) for row in json.loads(path.read_text()))


@lru_cache(maxsize=1)
def held_out_grams() -> frozenset[tuple[str, ...]]:
    """Runs of words of every question, passage, persona and tool description that the evaluation uses."""
    found: set[tuple[str, ...]] = set()
    for row in evaluation_rows():
        for key in ("question", "passage", "instructions"):
            if isinstance(row.get(key), str):
                found |= grams(str(row[key]))
    # One-word questions ("Hello!") would forbid an ordinary word, not a memorised question.
    return frozenset(gram for gram in found if len(gram) > 1)


@lru_cache(maxsize=1)
def held_out_tool_names() -> frozenset[str]:
    """Names of the evaluation's tools: the corpus uses none of them."""
    return frozenset(tool["name"] for row in evaluation_rows() for tool in row.get("tools", ()))  # type: ignore[attr-defined]


def overlaps(text: str) -> bool:
    """True where the text holds an evaluation question, or eight words in a row of one."""
    return not held_out_grams().isdisjoint(grams(text))
