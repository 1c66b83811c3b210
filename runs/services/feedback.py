"""Thumbs up and down for answers."""

from __future__ import annotations

from runs.models import Feedback, Run
from runs.querysets import FeedbackQuerySet
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import RUNS_READ, RUNS_WRITE
from sovereign.core import errors
from sovereign.core.database import only_row, service


@service
def rate(*, principal: Principal, run_id: str, rating: str, comment: str | None = None) -> Feedback:
    """Say what one thinks of a run that is over; it takes the place of what one has said before.

    :param rating: a ``Feedback.Rating``.
    :param comment: ``None`` leaves the one that was given before.
    :raises ApiError: 404 for the run; 400 ``run_not_over``.
    """
    principal.require(RUNS_WRITE)
    run = _run_of(principal, run_id)
    if not run.is_over:
        raise errors.ApiError(f"The run is still '{run.status}': rate it once it is over.", code="run_not_over")
    feedback, _ = Feedback.objects.update_or_create(
        run=run,
        user_id=principal.user_id,
        key_id=principal.key_id,
        defaults={"rating": rating} if comment is None else {"rating": rating, "comment": comment},
        create_defaults={"rating": rating, "comment": comment or "", "project_id": run.project_id},
    )
    audit.record(principal, "run.rated", run, rating=rating)
    return feedback


@service
def withdraw(*, principal: Principal, run_id: str) -> None:
    """Take one's own rating back; nothing happens where there is none.

    :raises ApiError: 404 for the run.
    """
    principal.require(RUNS_WRITE)
    run = _run_of(principal, run_id)
    said = Feedback.objects.standing().filter(run=run).by(principal)
    if said.update(rating="", comment=""):
        Feedback.objects.filter(run=run, rating="", counted="").delete()  # the roll-ups have nothing to forget
        audit.record(principal, "run.rating_withdrawn", run)


def feedback_of(*, principal: Principal, run_id: str) -> FeedbackQuerySet:
    """What everybody said of a run.

    :raises ApiError: 404 for the run.
    """
    principal.require(RUNS_READ)
    said: FeedbackQuerySet = Feedback.objects.standing().filter(run=_run_of(principal, run_id))
    return said


def _run_of(principal: Principal, run_id: str) -> Run:
    run: Run | None = only_row(Run.objects.visible_to(principal).filter(pk=run_id))
    if run is None:
        raise errors.not_found("run", run_id)
    return run
