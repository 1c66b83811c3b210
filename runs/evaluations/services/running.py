"""Runs of a set against a version: begun, called off, and read. Workers do the rest (``progress``, ``checking``)."""

from __future__ import annotations

from http import HTTPStatus

from assistants.models import AssistantVersion
from assistants.services import get_assistant, versions
from runs.evaluations.models import EvaluationCase, EvaluationResult, EvaluationRun, EvaluationSet
from runs.models import Run
from runs.services import control
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import EVALUATIONS_READ, EVALUATIONS_WRITE, RUNS_WRITE, THREADS_WRITE
from sovereign.core import errors
from sovereign.core.database import now, only_row, service

DRAFT = "draft"
#: what the product itself needs to make and to end the runs of cases
SCOPES = frozenset({RUNS_WRITE, THREADS_WRITE})


def principal_of(run: EvaluationRun) -> Principal:
    """For whom the runs of its cases are made: its key, if there is one. No person's, in whose chats they would be."""
    return Principal(project_id=run.project_id, key_id=run.created_by_key, scopes=SCOPES)


def get_run(*, principal: Principal, run_id: str) -> EvaluationRun:
    """:raises ApiError: 404."""
    principal.require(EVALUATIONS_READ)
    runs = EvaluationRun.objects.visible_to(principal).select_related("version", "set", "assistant")
    found: EvaluationRun | None = only_row(runs.filter(pk=run_id))
    if found is None:
        raise errors.not_found("evaluation run", run_id)
    return found


@service
def start_run(
    *, principal: Principal, set_id: str, assistant_id: str | None = None, version: str = DRAFT
) -> EvaluationRun:
    """Queue a run of all cases of a set.

    :param assistant_id: another assistant than the set's, or one for a set that is for all.
    :param version: a version's id or number; ``draft``: the assistant as it is, which is published where it changed.
    :raises ApiError: 404 for the set, the assistant or the version; 400, there are no cases, or no assistant is named;
        409 ``evaluation_in_progress``, the same is being run already.
    """
    principal.require(EVALUATIONS_WRITE)
    principal.require(RUNS_WRITE)
    owner: EvaluationSet | None = only_row(EvaluationSet.objects.visible_to(principal).filter(pk=set_id))
    if owner is None:
        raise errors.not_found("evaluation", set_id)
    meant = _meant(principal, assistant_id or owner.assistant_id, version)
    locked = EvaluationSet.objects.select_for_update(no_key=True).get(pk=owner.pk)
    if (active := usable_run(locked, meant, only_active=True)) is not None:
        raise errors.ApiError(
            f"The evaluation is being run against version {meant.number} already: {active.id}.",
            status=HTTPStatus.CONFLICT,
            code="evaluation_in_progress",
        )
    made = queue(locked, meant, principal)
    audit.record(principal, "evaluation.run_started", locked, run=made.id, version=meant.number)
    return made


def _meant(principal: Principal, assistant_id: str | None, version: str) -> AssistantVersion:
    """:raises ApiError: 400, no assistant is named; 404."""
    if assistant_id is None:
        raise errors.ApiError(
            "This evaluation is for every assistant: say in 'assistant_id' which one is meant.",
            param="assistant_id",
            code="missing_required_parameter",
        )
    if version != DRAFT:
        return versions.get_version(principal=principal, assistant_id=assistant_id, version=version)
    assistant = get_assistant(principal=principal, assistant_id=assistant_id)
    return versions.version_of_draft(principal=principal, assistant=assistant)


def usable_run(owner: EvaluationSet, version: AssistantVersion, *, only_active: bool = False) -> EvaluationRun | None:
    """The newest run of these very cases against the version that was not cancelled."""
    runs = EvaluationRun.objects.filter(set=owner, version=version, revision=owner.revision)
    runs = runs.active() if only_active else runs.exclude(status=EvaluationRun.Status.CANCELLED)
    newest: EvaluationRun | None = runs.order_by("-created_at", "-id").first()
    return newest


def queue(
    owner: EvaluationSet, version: AssistantVersion, principal: Principal | None, *, deployment_id: str | None = None
) -> EvaluationRun:
    """Make a run with a result for each case; the set is locked by the caller.

    :param principal: ``None`` for the product itself.
    :raises ApiError: 400, the set has no cases.
    """
    cases = list(EvaluationCase.objects.of(owner.id))
    if not cases:
        raise errors.ApiError("The evaluation has no cases yet.", code="evaluation_without_cases")
    run = EvaluationRun.objects.create(
        project_id=owner.project_id,
        set=owner,
        assistant_id=version.assistant_id,
        version=version,
        revision=owner.revision,
        total=len(cases),
        deployment_id=deployment_id,
        created_by_user=principal.user_id if principal else None,
        created_by_key=principal.key_id if principal else None,
    )
    EvaluationResult.objects.bulk_create(
        [
            EvaluationResult(evaluation_run=run, position=place, case_id=case.id, case=case.snapshot())
            for place, case in enumerate(cases, start=1)
        ],
        batch_size=200,
    )
    return run


@service
def cancel_run(*, principal: Principal, run_id: str) -> EvaluationRun:
    """Call a run off: what is done stays, what is being answered is ended, the rest is not begun.

    :raises ApiError: 404; 400, it is over.
    """
    principal.require(EVALUATIONS_WRITE)
    run = get_run(principal=principal, run_id=run_id)
    if call_off(run) is False:
        raise errors.ApiError(f"Cannot cancel an evaluation run with status '{run.status}'.", code="invalid_status")
    audit.record(principal, "evaluation.run_cancelled", run, evaluation=run.set_id)
    run.refresh_from_db()
    return run


def call_off(run: EvaluationRun) -> bool:
    """False where it is over already; to be called in a transaction, before anything of it is locked."""
    taken = EvaluationRun.objects.select_for_update(no_key=True).filter(pk=run.pk).first()
    if taken is None or taken.is_over:
        if taken is not None:
            run.status = taken.status
        return False
    open_results = taken.results.open()
    answering = list(open_results.filter(status=EvaluationResult.Status.RUNNING).order_by("thread_id"))
    moment = now()
    open_results.update(status=EvaluationResult.Status.CANCELLED, ended_at=moment)
    taken.status, taken.ended_at = EvaluationRun.Status.CANCELLED, moment
    taken.save(update_fields=["status", "ended_at"])
    for result in answering:
        end_answer(taken, result)
    return True


def end_answer(run: EvaluationRun, result: EvaluationResult) -> None:
    """End the run of a case, where it is not over by itself."""
    if result.thread_id is None or result.run_id is None:
        return
    if Run.objects.filter(pk=result.run_id, status__in=control.CANCELLABLE).exists():
        try:
            control.cancel_run(principal=principal_of(run), thread_id=result.thread_id, run_id=result.run_id)
        except errors.ApiError:  # it came to its end in this moment, or its thread was deleted
            return
