"""Two runs of a set side by side: what a version does better than another one, and what it does worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import TextChoices

from runs.evaluations.models import EvaluationResult, EvaluationRun
from runs.evaluations.services import get_run
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError

PASSED = EvaluationResult.Status.PASSED
OVER = (PASSED, EvaluationResult.Status.FAILED, EvaluationResult.Status.ERROR)


class Change(TextChoices):
    FIXED = "fixed", "Fixed"
    BROKEN = "broken", "Broken"
    SAME = "same", "Same"
    CHANGED = "case_changed", "The case has changed"
    NEW = "new", "New"
    OPEN = "open", "Not done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A run and the one that it is compared with.

    :ivar counts: how many cases are fixed, broken, …, and ``gone``: those that only the other run had.
    """

    run: EvaluationRun
    against: EvaluationRun | None
    before: Mapping[str, EvaluationResult]
    counts: dict[str, int]

    def change_of(self, result: EvaluationResult) -> str:
        return change(self.before.get(result.case_id or ""), result)


def previous_run(run: EvaluationRun) -> EvaluationRun | None:
    """The newest whole run of the set against the version before (the nearest that has one)."""
    earlier = EvaluationRun.objects.filter(
        set_id=run.set_id,
        assistant_id=run.assistant_id,
        version__number__lt=run.version.number,
        status=EvaluationRun.Status.COMPLETED,
    ).select_related("version", "set", "assistant")
    found: EvaluationRun | None = earlier.order_by("-version__number", "-created_at", "-id").first()
    return found


def compare(*, principal: Principal, run_id: str, against: str | None = None) -> Comparison:
    """
    :param against: the id of another run of the set; by default the previous version's.
    :raises ApiError: 404 for either; 400, they are runs of different sets.
    """
    run = get_run(principal=principal, run_id=run_id)
    other = get_run(principal=principal, run_id=against) if against else previous_run(run)
    if other is not None and other.set_id != run.set_id:
        raise ApiError(
            "Only runs of the same evaluation can be compared.", param="against", code="different_evaluations"
        )
    return compared(run, other)


def compared(run: EvaluationRun, other: EvaluationRun | None) -> Comparison:
    before = {result.case_id: result for result in other.results.all()} if other is not None else {}
    counts = dict.fromkeys(Change.values, 0)
    after = list(run.results.defer("answer"))
    for result in after:
        counts[change(before.get(result.case_id), result)] += 1
    counts["gone"] = len(before.keys() - {result.case_id for result in after})
    return Comparison(run=run, against=other, before=before, counts=counts)


def change(before: EvaluationResult | None, after: EvaluationResult) -> str:
    """What became of a case."""
    if after.status not in OVER:
        return Change.OPEN
    if before is None or before.status not in OVER:
        return Change.NEW
    if {**before.case, "name": ""} != {**after.case, "name": ""}:
        return Change.CHANGED
    if (before.status == PASSED) == (after.status == PASSED):
        return Change.SAME
    return Change.FIXED if after.status == PASSED else Change.BROKEN
