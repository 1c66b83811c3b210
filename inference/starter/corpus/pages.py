"""Pages of text with questions, written by hand: ``pages/*.txt``.

A page is a run of lines without a blank one: sentences, and after each its questions (``? ``). Both are phrases of the
grammar; ``$KIND`` is a random value, and ``$1`` in a question repeats its sentence's first. ``#`` begins a comment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

from .grammar import expand
from .values import value

FOLDER = Path(__file__).with_name("pages")
SLOT = re.compile(r"\$([A-Z]+)")
REPEATED = re.compile(r"\$(\d)")


@dataclass(frozen=True)
class Line:
    """A sentence and the questions that it answers: phrases as written, or as a reader sees them."""

    sentence: str
    questions: tuple[str, ...]


def parsed(text: str) -> list[tuple[Line, ...]]:
    """The pages of a file."""
    pages = []
    for block in re.split(r"\n\s*\n", text):
        lines: list[tuple[str, list[str]]] = []
        for row in (row.strip() for row in block.splitlines()):
            if row.startswith("?") and lines:
                lines[-1][1].append(row[1:].strip())
            elif row and row[0] not in "#?":
                lines.append((row, []))
        if lines:
            pages.append(tuple(Line(sentence, tuple(questions)) for sentence, questions in lines))
    return pages


@lru_cache(maxsize=1)
def every_page() -> tuple[tuple[Line, ...], ...]:
    """The pages of every file."""
    return tuple(page for path in sorted(FOLDER.glob("*.txt")) for page in parsed(path.read_text()))


def told(line: Line, random: Random) -> Line:
    """A wording of the line, its values chosen."""
    values: list[str] = []

    def filled(match: re.Match[str]) -> str:
        values.append(value(match[1], random))
        return values[-1]

    sentence = SLOT.sub(filled, expand(line.sentence, random))
    wordings = []
    for question in line.questions:
        wording = SLOT.sub(lambda match: value(match[1], random), expand(question, random))
        wordings.append(REPEATED.sub(lambda match: values[int(match[1]) - 1], wording))
    return Line(sentence, tuple(wordings))
