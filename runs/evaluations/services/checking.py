"""The answers that wait to be checked: taken under a lease, for checks may take a while and their worker may die."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F

from runs.evaluations.models import EvaluationResult
from runs.evaluations.services.progress import ERROR_LENGTH
from sovereign.core.database import now, service

LEASE = timedelta(seconds=20)
MOST_ATTEMPTS = 3
DIED = "Three workers ended while they checked this answer."


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An answer that this worker checks, by ``token``."""

    result_id: str
    token: str
    attempt: int
    project_id: str
    key_id: str | None
    assistant_id: str
    thread_id: str | None
    run_id: str | None
    case: dict[str, Any]
    answer: str


def claim(limit: int) -> list[Claimed]:
    """Take some answers, each of which no other worker has. Where there are none, this is one small query."""
    return _claim(limit) if EvaluationResult.objects.to_be_checked().exists() else []


@service
def _claim(limit: int) -> list[Claimed]:
    free = EvaluationResult.objects.to_be_checked().order_by("created_at", "id")
    claimed = []
    for result in free.select_related("evaluation_run")[:limit]:
        if result.attempts >= MOST_ATTEMPTS:
            _ended(result.pk, result.lease_owner, EvaluationResult.Status.ERROR, error=result.error or DIED)
            continue
        token = secrets.token_hex(16)
        mine = EvaluationResult.objects.to_be_checked().filter(pk=result.pk)
        if mine.update(lease_owner=token, lease_expires_at=now() + LEASE, attempts=F("attempts") + 1):
            claimed.append(_claimed(result, token))
    return claimed


def _claimed(result: EvaluationResult, token: str) -> Claimed:
    run = result.evaluation_run
    return Claimed(
        result_id=result.id,
        token=token,
        attempt=result.attempts + 1,
        project_id=run.project_id,
        key_id=run.created_by_key,
        assistant_id=run.assistant_id,
        thread_id=result.thread_id,
        run_id=result.run_id,
        case=result.case,
        answer=result.answer,
    )


@service
def renew(tokens: Sequence[str]) -> None:
    """Say that the worker lives."""
    held = EvaluationResult.objects.filter(status=EvaluationResult.Status.CHECKING, lease_owner__in=tokens)
    held.update(lease_expires_at=now() + LEASE)


@service
def give_back(claimed: Claimed, *, error: str = "", after: timedelta = timedelta(0), counts: bool = True) -> None:
    """Leave the answer to whoever takes it next.

    :param error: why it could not be checked: what is told when nobody can.
    :param counts: as one of the attempts.
    """
    held = _held(claimed.result_id, claimed.token)
    held.update(
        lease_expires_at=now() + after, error=error[:ERROR_LENGTH], attempts=F("attempts") - (0 if counts else 1)
    )


@service
def conclude(claimed: Claimed, verdicts: list[dict[str, Any]], *, error: str = "") -> bool:
    """Keep what the checks found; false where the answer is not this worker's any more, or its run was cancelled."""
    status = EvaluationResult.Status.ERROR if error else (
        EvaluationResult.Status.PASSED
        if all(verdict["passed"] for verdict in verdicts)
        else EvaluationResult.Status.FAILED
    )  # fmt: skip
    return _ended(claimed.result_id, claimed.token, status, verdicts=verdicts, error=error)


def _ended(result_id: str, token: str | None, status: str, *, error: str = "", verdicts: Sequence[Any] = ()) -> bool:
    ended = _held(result_id, token).update(
        status=status,
        verdicts=[*verdicts],
        error=error[:ERROR_LENGTH],
        ended_at=now(),
        lease_owner=None,
        lease_expires_at=None,
    )
    return bool(ended)


def _held(result_id: str, token: str | None) -> Any:
    return EvaluationResult.objects.filter(pk=result_id, status=EvaluationResult.Status.CHECKING, lease_owner=token)
