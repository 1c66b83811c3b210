"""Evaluations in the admin: sets with their cases and runs, and runs with what came of them, side by side."""

from runs.evaluations.admin.cases import EvaluationCaseAdmin
from runs.evaluations.admin.runs import EvaluationRunAdmin
from runs.evaluations.admin.sets import EvaluationSetAdmin

__all__ = ["EvaluationCaseAdmin", "EvaluationRunAdmin", "EvaluationSetAdmin"]
