# ruff: noqa: S311  (random numbers are reproducible, not secret)
"""The questions of the evaluation and the passages they are answered by.

``business.json``: everyday business, written by hand before there was a model. ``documentation.json``: first sentences
and what follows them, from modules and services whose text is never learned from.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from inference.embedder.corpus.sources import held_out

FOLDER = Path(__file__).parent
BUSINESS, ELSEWHERE, UNSEEN = (FOLDER / f"{name}.json" for name in ("business", "elsewhere", "unseen"))
DOCUMENTATION = FOLDER / "documentation.json"
SAMPLED, OF_ONE_GROUP, FEWEST_WORDS = 400, 12, 8


@dataclass(frozen=True)
class Question:
    """``passage`` answers ``text``; ``area`` says where both are from."""

    area: str
    text: str
    passage: str


def questions(path: Path) -> list[Question]:
    """The questions of a file."""
    return [Question(row["area"], row["question"], row["passage"]) for row in json.loads(path.read_text())]


def sample(passages: Path, target: Path = DOCUMENTATION) -> None:
    """Draw the documentation's questions from the held-out groups of a file of passages."""
    groups: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    with passages.open() as file:
        for line in file:
            _, group, _, sentences = json.loads(line)
            rest = " ".join(sentences[1:])
            if held_out(group) and min(len(sentences[0].split()), len(rest.split())) >= FEWEST_WORDS:
                groups[group].append({"area": group, "question": sentences[0], "passage": rest})
    chosen: dict[str, dict[str, str]] = {}
    generator = random.Random("documentation")
    for group in sorted(groups):
        for row in generator.sample(groups[group], min(OF_ONE_GROUP, len(groups[group]))):
            chosen.setdefault(row["question"].lower(), row)
    rows = sorted(generator.sample(list(chosen.values()), min(SAMPLED, len(chosen))), key=lambda row: row["area"])
    target.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
