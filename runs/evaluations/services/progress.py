"""How a run goes on: cases become runs, their answers are taken, and at the end it is counted.

Everything is in rows, so that any worker goes on where another one died: each step is one transaction under the lock of
the evaluation's run, and what it made is committed with what it noted.
"""

from __future__ import annotations

import random
from collections import defaultdict
from http import HTTPStatus
from itertools import chain
from typing import Any

from django.db import transaction
from django.db.models import Count, Q

from assistants.models import Deployment
from runs.evaluations.models import EvaluationResult, EvaluationRun
from runs.evaluations.services.running import call_off, end_answer, principal_of
from runs.models import Run
from runs.services.creation import try_version
from runs.states import TERMINAL, Status
from sovereign.accounts import audit
from sovereign.accounts.models import ApiKey
from sovereign.core import errors
from sovereign.core.database import now, service
from threads.models import Message

AT_ONCE = 4  # cases of a run that are answered at the same time
RUNS_OF_PROJECT = 4  # that go on at the same time
LOOKED_AT = 64  # at once: where there are more, chance says which
ERROR_LENGTH = 500
ANSWERED = (Status.COMPLETED, Status.INCOMPLETE)
EVALUATION_RUN, CASE = "evaluation_run", "evaluation_case"  # in the metadata of runs and threads of cases
WAITS = "The run waits for the application's functions or for somebody's approval, which nobody gives in an evaluation."
GONE = "The run that was to answer was deleted."
KEY_GONE = "The key that began it was revoked, or has expired."
NOBODY_WAITS = "The deployment that it was begun for ended."
WAITING = (Deployment.Status.SCHEDULED, Deployment.Status.AWAITING_APPROVAL, Deployment.Status.VALIDATING)
NOTHING_SAID = "The run ended with the status '{}' and no answer."


def due_runs() -> list[str]:
    """The ids of those that a step would change. Of a project the oldest few go on, and the others wait for them."""
    rows = EvaluationRun.objects.active().order_by("created_at", "id").values_list("id", "project_id")
    of_project: defaultdict[str, list[str]] = defaultdict(list)
    for run_id, project_id in rows:
        if len(of_project[project_id]) < RUNS_OF_PROJECT:
            of_project[project_id].append(run_id)
    looked_at = list(chain.from_iterable(of_project.values()))
    if len(looked_at) > LOOKED_AT:
        looked_at = random.sample(looked_at, LOOKED_AT)
    if not looked_at:
        return []
    due = EvaluationRun.objects.filter(pk__in=looked_at).with_something_to_do(AT_ONCE)
    return list(due.order_by().values_list("id", flat=True))


@service
def advance(run_id: str) -> bool:
    """One step of a run; false where nothing of it changed, or another worker is at it."""
    locked = EvaluationRun.objects.active().select_for_update(skip_locked=True, no_key=True, of=("self",))
    run: EvaluationRun | None = locked.select_related("version__assistant").filter(pk=run_id).first()
    if run is None:
        return False
    if reason := _why_not(run):
        call_off(run)
        audit.record(None, "evaluation.run_cancelled", run, evaluation=run.set_id, reason=reason)
        return True
    taken = _take_answers(run)
    begun = _begin_cases(run)
    return _count(run) or bool(taken or begun)


def _why_not(run: EvaluationRun) -> str:
    """Why it does not go on; empty where it does. It spends tokens: for a key that is good, or somebody who waits."""
    if run.created_by_key is not None and not ApiKey.objects.in_force(now()).filter(pk=run.created_by_key).exists():
        return KEY_GONE
    if run.deployment_id is not None:
        waiting = Deployment.objects.filter(version_id=run.version_id, status__in=WAITING)
        return "" if waiting.exists() else NOBODY_WAITS
    return ""


def _take_answers(run: EvaluationRun) -> int:
    """Of the cases whose runs rest: what they said, or why they said nothing."""
    running = list(run.results.filter(status=EvaluationResult.Status.RUNNING))
    if not running:
        return 0
    found = Run.objects.in_bulk([result.run_id for result in running])
    taken = 0
    for result in running:
        answering = found.get(result.run_id)
        if answering is None:
            _fail(result, GONE)
        elif answering.status == Status.REQUIRES_ACTION:
            _fail(result, WAITS)
            end_answer(run, result)
        elif answering.status in TERMINAL:
            _take(result, answering)
        else:
            continue
        taken += 1
    return taken


def _take(result: EvaluationResult, answering: Run) -> None:
    ended = answering.completed_at or answering.failed_at or answering.cancelled_at
    begun = answering.started_at or answering.created_at
    result.milliseconds = max(0, round((ended - begun).total_seconds() * 1000)) if ended else None
    result.prompt_tokens, result.completion_tokens = answering.prompt_tokens, answering.completion_tokens
    said = Message.objects.filter(
        thread_id=answering.thread_id, run_id=answering.id, role=Message.Role.ASSISTANT
    ).order_by("position")
    result.answer = "\n\n".join(text for message in said if (text := message.text)).replace("\x00", "")
    if answering.status not in ANSWERED:
        told = (answering.last_error or {}).get("message") or NOTHING_SAID.format(answering.status)
        _fail(result, str(told))
        return
    result.status = EvaluationResult.Status.CHECKING
    result.save()


def _fail(result: EvaluationResult, reason: str) -> None:
    result.status, result.error, result.ended_at = EvaluationResult.Status.ERROR, reason[:ERROR_LENGTH], now()
    result.save()


def _begin_cases(run: EvaluationRun) -> int:
    busy = run.results.filter(status__in=[EvaluationResult.Status.RUNNING, EvaluationResult.Status.CHECKING]).count()
    if busy >= AT_ONCE:
        return 0
    waiting = run.results.filter(status=EvaluationResult.Status.WAITING).order_by("position")
    begun = 0
    for result in waiting[: AT_ONCE - busy]:
        try:
            with transaction.atomic():
                _begin(run, result)
        except errors.ApiError as error:
            if error.status == HTTPStatus.TOO_MANY_REQUESTS:  # it is asked for again, later
                break
            _fail(result, error.message)
        begun += 1
    return begun


def _begin(run: EvaluationRun, result: EvaluationResult) -> None:
    """A run of the case. It is committed with the note that it is this case's: no case is answered twice."""
    case: dict[str, Any] = result.case
    metadata = {**case.get("variables", {}), EVALUATION_RUN: run.id, CASE: result.case_id or ""}
    answering = try_version(
        principal=principal_of(run), version=run.version, messages=case["messages"], metadata=metadata
    ).run
    result.status, result.run_id, result.thread_id = (
        EvaluationResult.Status.RUNNING,
        answering.id,
        answering.thread_id,
    )
    result.save(update_fields=["status", "run_id", "thread_id"])


def _count(run: EvaluationRun) -> bool:
    """Write down how far the run is, where that changed; a run of which nothing is open is over."""
    statuses = EvaluationResult.Status
    counted = run.results.aggregate(
        passed=Count("pk", filter=Q(status=statuses.PASSED)),
        failed=Count("pk", filter=Q(status=statuses.FAILED)),
        errored=Count("pk", filter=Q(status=statuses.ERROR)),
        waiting=Count("pk", filter=Q(status=statuses.WAITING)),
        all=Count("pk"),
    )
    before = (run.status, run.passed, run.failed, run.errored)
    run.passed, run.failed, run.errored = counted["passed"], counted["failed"], counted["errored"]
    if run.passed + run.failed + run.errored == counted["all"]:
        run.status, run.ended_at = EvaluationRun.Status.COMPLETED, now()
    elif counted["waiting"] < counted["all"]:
        run.status = EvaluationRun.Status.IN_PROGRESS
    if run.status != EvaluationRun.Status.QUEUED and run.started_at is None:
        run.started_at = now()
    if before == (run.status, run.passed, run.failed, run.errored):
        return False
    run.save(update_fields=["status", "passed", "failed", "errored", "started_at", "ended_at"])
    return True
