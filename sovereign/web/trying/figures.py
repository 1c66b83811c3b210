"""What stands under an answer that was tried: how long it took, what it used, and whether it is a test case."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.admin.utils import quote
from django.urls import reverse

from runs.evaluations.models import EvaluationCase, EvaluationSet
from runs.models import Run, RunStep
from runs.services import origins
from runs.states import Status
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import EVALUATIONS_READ

ANSWERED = (Status.COMPLETED, Status.INCOMPLETE)


def figures(principal: Principal, runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """By the ids of those of these runs that are over.

    ``waited``, ``first`` (until it began to answer, or ``None``) and ``total`` are milliseconds since it was asked for;
    ``may_be_case``: it has an answer; ``case``: ``{"name", "address"}`` of the newest one that was made of it.
    """
    over = [run for run in runs if run.is_over]
    begun = dict(RunStep.objects.filter(run__in=over, position=1).values_list("run_id", "created_at"))
    words, cases = origins.in_words(over), _cases(principal, over)
    return {
        run.id: {
            "waited": _milliseconds(run.created_at, run.started_at),
            "first": _milliseconds(run.created_at, begun.get(run.id)),
            "total": _milliseconds(run.created_at, run.completed_at or run.failed_at or run.cancelled_at),
            "prompt_tokens": run.prompt_tokens,
            "cached_tokens": run.cached_tokens,
            "completion_tokens": run.completion_tokens,
            "model": run.model,
            "origin": words[run.id],
            "address": reverse("admin:runs_run_change", args=[quote(run.id)]),
            "may_be_case": run.status in ANSWERED,
            "case": cases.get(run.id),
        }
        for run in over
    }


def case_shown(case: EvaluationCase) -> dict[str, str]:
    address = reverse("admin:evaluations_evaluationcase_change", args=[quote(case.pk)])
    return {"name": str(case), "set": str(case.set), "address": address}


def _milliseconds(since: datetime, until: datetime | None) -> int | None:
    return None if until is None else max(0, round((until - since).total_seconds() * 1000))


def _cases(principal: Principal, runs: Sequence[Run]) -> dict[str, dict[str, str]]:
    if not principal.allows(EVALUATIONS_READ):
        return {}
    made = EvaluationCase.objects.filter(
        set__in=EvaluationSet.objects.visible_to(principal), source_run_id__in=[run.id for run in runs]
    )
    return {str(case.source_run_id): case_shown(case) for case in made.select_related("set").order_by("created_at")}
