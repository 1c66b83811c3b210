"""The answers that wait to be checked: taken under a lease, for checks may take a while and their worker may die."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F

from runs.evaluations.models import EvaluationResult
from runs.evaluations.services.progress import ERROR_LENGTH
from sovereign.core.database import now, service
from sovereign.core.visible import storable

LEASE = timedelta(seconds=20)
MOST_ATTEMPTS = 3
MOST_OF_PROJECT = 3  # answers of one project that a worker checks at the same time
LOOKED_AT = 256  # answers that wait, of which some are chosen
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


def claim(limit: int, in_hand: Mapping[str, int] | None = None) -> list[Claimed]:
    """Take some answers, each of which no other worker has. Where there are none, this is one small query.

    :param in_hand: how many the worker checks already, by project: those of whom it has the fewest are taken first, and
        of nobody more than ``MOST_OF_PROJECT``. A judge that hangs must not hold up everybody's.
    """
    free = EvaluationResult.objects.to_be_checked().order_by("created_at", "id")
    rows = list(free.values_list("pk", "evaluation_run__project_id")[:LOOKED_AT])
    chosen = _chosen(rows, limit, Counter(in_hand or {}))
    return _claim(chosen) if chosen else []


def _chosen(rows: Sequence[tuple[str, str]], limit: int, in_hand: Counter[str]) -> list[str]:
    """:param rows: results and their projects, the oldest first."""
    left, chosen = list(rows), list[str]()
    while left and len(chosen) < limit:
        place = min(range(len(left)), key=lambda number: (in_hand[left[number][1]], number))
        result, project = left.pop(place)
        if in_hand[project] >= MOST_OF_PROJECT:
            break
        in_hand[project] += 1
        chosen.append(result)
    return chosen


@service
def _claim(chosen: Sequence[str]) -> list[Claimed]:
    free = EvaluationResult.objects.to_be_checked().filter(pk__in=chosen).order_by("created_at", "id")
    claimed = []
    for result in free.select_related("evaluation_run"):
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
        lease_expires_at=now() + after,
        error=storable(error, ERROR_LENGTH),
        attempts=F("attempts") - (0 if counts else 1),
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
        error=storable(error, ERROR_LENGTH),
        ended_at=now(),
        lease_owner=None,
        lease_expires_at=None,
    )
    return bool(ended)


def _held(result_id: str, token: str | None) -> Any:
    return EvaluationResult.objects.filter(pk=result_id, status=EvaluationResult.Status.CHECKING, lease_owner=token)
