"""What answers are checked for: one file for each kind, and the registry of them."""

from __future__ import annotations

from runs.evaluations.checks.base import CheckError, Kind, Subject, Verdict
from runs.evaluations.checks.judge import Judge
from runs.evaluations.checks.patterns import Regex, first_unreadable
from runs.evaluations.checks.similarity import Similarity
from runs.evaluations.checks.structure import JsonSchema
from runs.evaluations.checks.texts import Contains, Exact
from sovereign.core.api.unions import Union

__all__ = ["CHECK", "KINDS", "CheckError", "Kind", "Subject", "Verdict", "first_unreadable"]

_ALL: tuple[Kind, ...] = (Exact(), Contains(), Regex(), JsonSchema(), Similarity(), Judge())
KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
CHECK = Union("EvaluationCheck", tuple(kind.shape for kind in _ALL))
