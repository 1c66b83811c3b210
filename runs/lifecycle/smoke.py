"""A version's first conversation, before it serves anybody: it has to answer, in words and in time."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from assistants.deployments.activation import REASON_LENGTH
from assistants.deployments.checks import Finding, failed, passed, pending
from assistants.kinds import GUARDED
from assistants.models import Assistant, Deployment
from runs.models import Run
from runs.querysets import MAXIMUM_CRASHES
from runs.services import control, creation
from runs.states import Status
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import RUNS_WRITE, THREADS_WRITE
from sovereign.core.database import now, service
from sovereign.core.errors import ApiError
from threads.models import Message

QUESTION = (
    "This is a test before people talk to you. Please say in one or two sentences who you are and what you help with."
)
PATIENCE = timedelta(seconds=60)
PATIENCE_AGAIN = timedelta(seconds=60)  # for what keeps the question from being asked again
ATTEMPTS = 2  # a worker that dies while it answers is no version's fault, once
SHOWN = 200  # characters of an answer
PURPOSE = "sovereign_purpose"  # names of metadata; all that is made here has them
ATTEMPT = "sovereign_attempt"

ASK_ADMIN = (
    "See in the admin's pages of health whether a worker runs and the model's engine is ready, and deploy again."
)


class SmokeConversation:
    """One question, asked as anybody would, but without tools: what they do in the world is not done for a test."""

    name = "smoke_conversation"
    title = "First conversation"
    environments = GUARDED

    def begin(self, deployment: Deployment) -> Finding:
        deployment.smoke_run_id = _ask(deployment, attempt=1).id
        return pending(self, "A first question was asked.")

    def look(self, deployment: Deployment) -> Finding:
        if deployment.smoke_run_id is None:
            return pending(self, "A first question is to be asked.")
        run = Run.objects.filter(pk=deployment.smoke_run_id).first()
        if run is None:
            return failed(self, "The conversation was deleted.", "Deploy again.")
        if is_to_be_asked_again(run):
            return pending(self, "The worker died while it answered; the question is asked again.")
        if run.status in (Status.COMPLETED, Status.INCOMPLETE):
            return self._answered(run)
        if is_late(run):
            why = run.waiting_reason or "No worker has come to its end."
            return failed(self, f"There was no answer within {PATIENCE.seconds} seconds. {why}", ASK_ADMIN)
        if run.status in (Status.QUEUED, Status.IN_PROGRESS):
            return pending(self, run.waiting_reason or "The first question is being answered.")
        return self._unanswered(run, deployment.reason)

    def _answered(self, run: Run) -> Finding:
        answer = " ".join(message.text for message in Message.objects.filter(run_id=run.id, role="assistant")).strip()
        if answer:
            return passed(self, f"It said: {answer if len(answer) <= SHOWN else answer[:SHOWN] + ' …'}")
        if run.status == Status.INCOMPLETE:
            return failed(
                self,
                "The tokens that it may generate were used up before it said a word.",
                "Raise the assistant's default of tokens, publish, and deploy again.",
            )
        return failed(
            self,
            f"The answer of its run {run.id} was empty.",
            "Look at the run in the admin; have its instructions or prompts say what to answer, publish, deploy again.",
        )

    def _unanswered(self, run: Run, refused: str) -> Finding:
        """:param refused: why it could not be asked again, if it was to be."""
        if run.status == Status.REQUIRES_ACTION:
            return failed(
                self,
                "It called a function although it was told to answer without.",
                "Have its instructions say that it may answer without its functions, or take another model.",
            )
        if run.status != Status.FAILED:
            return failed(self, f"Its run {run.id} is {run.status}: somebody ended it.", "Deploy again.")
        error = run.last_error or {}
        fix = {
            "rate_limit_exceeded": "Wait until the limit allows it or raise it, and deploy again.",
            "invalid_prompt": "Mend what its instructions or its response format ask for, publish, and deploy again.",
        }
        told = f"Its run {run.id} failed: {error.get('message')} {refused}".strip()
        return failed(self, told, fix.get(error.get("code", ""), ASK_ADMIN))


def is_late(run: Run) -> bool:
    """Whether it has taken, or took, longer than anybody waits for."""
    ended = run.completed_at or run.failed_at or run.cancelled_at
    return (ended or now()) - run.created_at > PATIENCE


def is_to_be_asked_again(run: Run) -> bool:
    """Whether a worker's death ended it, and not what was asked: a run that kills every worker is not asked again."""
    died = run.status == Status.FAILED and 0 < run.crash_count < MAXIMUM_CRASHES - 1
    is_in_time = now() - run.created_at <= PATIENCE + PATIENCE_AGAIN
    return died and is_in_time and int(run.metadata.get(ATTEMPT, ATTEMPTS)) < ATTEMPTS


def ask_again(deployment_id: str) -> None:
    """Do so where a worker's death ended the conversation; of many at once one does it.

    What refuses the question is noted as the reason why the deployment waits, and may pass: it is tried again until
    :func:`is_to_be_asked_again` says no.
    """
    if _died_in(deployment_id) is None:
        return
    try:
        _ask_again(deployment_id)
    except ApiError as refused:
        reason = f"It could not be asked again: {refused.message}"[:REASON_LENGTH]
        waiting = Deployment.objects.filter(pk=deployment_id, status=Deployment.Status.VALIDATING)
        waiting.exclude(reason=reason).update(reason=reason)


@service
def _ask_again(deployment_id: str) -> None:
    assistant_id = Deployment.objects.filter(pk=deployment_id).values_list("assistant_id", flat=True).first()
    list(Assistant.objects.select_for_update(no_key=True).filter(pk=assistant_id).values_list("pk"))
    if (found := _died_in(deployment_id)) is None:
        return
    deployment, run = found
    again = _ask(deployment, attempt=int(run.metadata[ATTEMPT]) + 1)
    Deployment.objects.filter(pk=deployment_id).update(smoke_run_id=again.id, reason="")


def _died_in(deployment_id: str) -> tuple[Deployment, Run] | None:
    """A deployment that is being tried, and its conversation, where that is to be asked again."""
    rows = Deployment.objects.filter(pk=deployment_id, status=Deployment.Status.VALIDATING)
    deployment = rows.select_related("version__assistant").first()
    run = deployment and Run.objects.filter(pk=deployment.smoke_run_id).first()
    return (deployment, run) if deployment is not None and run is not None and is_to_be_asked_again(run) else None


def leave(deployment: Deployment) -> None:
    """Have nobody work any longer on an answer that is of no use."""
    run = Run.objects.filter(pk=deployment.smoke_run_id, status__in=control.CANCELLABLE).first()
    if run is not None:
        with contextlib.suppress(ApiError):  # it ended just now
            control.cancel_run(principal=_product(run.project_id), thread_id=run.thread_id, run_id=run.id)


def _ask(deployment: Deployment, *, attempt: int) -> Run:
    """:raises ApiError: what keeps the version from being asked at all; nothing is left behind."""
    begun = creation.try_version(
        principal=_product(deployment.project_id),
        version=deployment.version,
        messages=[{"role": "user", "content": QUESTION}],
        metadata={PURPOSE: SmokeConversation.name, ATTEMPT: str(attempt), "deployment": deployment.id},
        overrides={"tool_choice": "none"},
    )
    return begun.run


def _product(project_id: str) -> Principal:
    """Nobody in particular: the conversation is in no person's list, and counts for the project alone."""
    return Principal(project_id=project_id, scopes=frozenset({RUNS_WRITE, THREADS_WRITE}))
