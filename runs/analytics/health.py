"""How an assistant is: a score of 0 to 100 and a grade, with the reasons and what could be done."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from runs.analytics.findings import FINDERS, Finding
from runs.analytics.measures import Measures
from runs.analytics.standards import BEST, LEAST, Part, Standards

MINIMUM_RUNS = 10  # of a grade
WELL = 90  # from which on nothing is recommended
LETTERS = ((90, "A"), (80, "B"), (70, "C"), (60, "D"), (0, "F"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A part of a grade.

    :ivar score: ``None`` where it does not count.
    :ivar recommendation: empty where nothing needs to be done.
    """

    name: str
    title: str
    score: int | None
    weight: float
    reason: str
    recommendation: str

    @property
    def lost(self) -> float:
        """What it takes from the grade, on the scale of logarithms."""
        return 0.0 if self.score is None else self.weight * math.log(BEST / max(LEAST, self.score))


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """
    :ivar score: ``None`` where there is too little to be graded; so is ``grade``.
    :ivar reason: what decided it, in a sentence.
    """

    runs: int
    score: int | None
    grade: str | None
    reason: str
    parts: list[Judged]

    def stored(self) -> list[dict[str, Any]]:
        """Its parts, as JSON has them."""
        return [asdict(part) for part in self.parts]


def letter_of(score: int) -> str:
    """
    >>> letter_of(90), letter_of(59)
    ('A', 'F')
    """
    return next(letter for least, letter in LETTERS if score >= least)


def judge(measures: Measures, standards: Standards | None = None) -> Health:
    """The health of whom these are the measures."""
    wanted = standards or Standards()
    parts = [_judged(part, find(measures, wanted), wanted.weights[part.value]) for part, find in FINDERS.items()]
    score = _together(parts) if measures.runs >= MINIMUM_RUNS else None
    return Health(
        runs=measures.runs,
        score=score,
        grade=None if score is None else letter_of(score),
        reason=_why(measures, score, parts),
        parts=parts,
    )


def _together(parts: list[Judged]) -> int | None:
    """The weighted geometric mean: what is very bad is not made up for by the rest."""
    weight = sum(part.weight for part in parts if part.score is not None)
    return round(BEST * math.exp(-sum(part.lost for part in parts) / weight)) if weight else None


def _why(measures: Measures, score: int | None, parts: list[Judged]) -> str:
    if measures.runs < MINIMUM_RUNS:
        return f"Runs that ended: {measures.runs}. A grade needs {MINIMUM_RUNS}."
    if score is None:
        return "Of no part that counts there is enough."
    worst = max(parts, key=lambda part: part.lost)
    if worst.score is None or worst.score >= WELL:
        return "Every part is as it is wanted, or nearly so."
    return f"Most is lost by {worst.title.lower()}. {worst.reason}"


def _judged(part: Part, findings: list[Finding], weight: float) -> Judged:
    """What several numbers say together, each for as many values as it is made of."""
    counting = [found for found in findings if found.score is not None] or findings
    values = sum(found.values for found in counting if found.score is not None)
    score = round(sum((found.score or 0) * found.values for found in counting) / values) if values else None
    worst = min(counting, key=lambda found: found.score or 0)
    return Judged(
        name=part.value,
        title=str(part.label),
        score=score,
        weight=weight,
        reason=" ".join(found.reason for found in counting),
        recommendation=worst.advice if (worst.score or 0) < WELL else "",
    )
