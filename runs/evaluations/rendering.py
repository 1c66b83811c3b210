"""Evaluations as the API's objects."""

from __future__ import annotations

from typing import Any

from runs.evaluations.comparison import Comparison
from runs.evaluations.models import EvaluationCase, EvaluationResult, EvaluationRun, EvaluationSet
from threads.rendering import unix


def render_set(owner: EvaluationSet, cases: int | None = None) -> dict[str, Any]:
    """:param cases: how many it has, where that is known."""
    return {
        "id": owner.id,
        "object": "evaluation",
        "created_at": unix(owner.created_at),
        "updated_at": unix(owner.updated_at),
        "name": owner.name,
        "description": owner.description,
        "assistant_id": owner.assistant_id,
        "gates": owner.gates,
        "cases": owner.cases.count() if cases is None else cases,
        "revision": owner.revision,
    }


def render_case(case: EvaluationCase) -> dict[str, Any]:
    return {
        "id": case.id,
        "object": "evaluation.case",
        "created_at": unix(case.created_at),
        "updated_at": unix(case.updated_at),
        "evaluation_id": case.set_id,
        "name": case.name,
        "messages": case.messages,
        "reference": case.reference,
        "checks": case.checks,
        "variables": case.variables,
        "source_run_id": case.source_run_id,
    }


def render_run(run: EvaluationRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "object": "evaluation.run",
        "created_at": unix(run.created_at),
        "started_at": unix(run.started_at),
        "ended_at": unix(run.ended_at),
        "evaluation_id": run.set_id,
        "assistant_id": run.assistant_id,
        "version_id": run.version_id,
        "version": run.version.number,
        "revision": run.revision,
        "deployment_id": run.deployment_id,
        "status": run.status,
        "counts": {"total": run.total, "passed": run.passed, "failed": run.failed, "errored": run.errored},
        "pass_rate": run.pass_rate,
    }


def render_result(result: EvaluationResult) -> dict[str, Any]:
    return {
        "id": result.id,
        "object": "evaluation.result",
        "created_at": unix(result.created_at),
        "ended_at": unix(result.ended_at),
        "evaluation_run_id": result.evaluation_run_id,
        "case_id": result.case_id,
        "case": result.case,
        "status": result.status,
        "answer": result.answer,
        "verdicts": result.verdicts,
        "error": result.error or None,
        "thread_id": result.thread_id,
        "run_id": result.run_id,
        "milliseconds": result.milliseconds,
        "prompt_tokens": result.prompt_tokens,
        "completion_tokens": result.completion_tokens,
    }


def render_compared(comparison: Comparison, result: EvaluationResult) -> dict[str, Any]:
    """One case of a comparison; its id is that of the run's own result."""
    before = comparison.before.get(result.case_id or "")
    return {
        "id": result.id,
        "object": "evaluation.compared_case",
        "case_id": result.case_id,
        "name": str(result),
        "change": comparison.change_of(result),
        "before": render_result(before) if before is not None else None,
        "after": render_result(result),
    }
