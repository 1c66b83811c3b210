"""How a person's consent is asked for: as a call of a function, so that every client of the contract can carry it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from assistants.catalog.models import APPROVAL_FUNCTION
from runs.asked import Approval, Entry, needs_approval
from runs.models import RunStep
from runs.states import Status
from sovereign.core import errors

WORDS = {"approve": True, "refuse": False}
REASON_LENGTH = 1_000  # characters
NO_ANSWER = (
    "The output of call '{}' has to answer a request for approval: {{\"approve\": true}}, or "
    '{{"approve": false, "reason": "…"}}.'
)


def pending(run_ids: Iterable[str]) -> dict[str, dict[str, Entry]]:
    """By the ids of the runs that wait for somebody: the entries of the calls to be approved, by the calls' ids.

    What its step keeps says what a run asks; models may call functions by any name.
    """
    steps = RunStep.objects.filter(
        run__in=run_ids, run__status=Status.REQUIRES_ACTION, status=RunStep.StepStatus.IN_PROGRESS
    )
    found = {step.run_id: {key: entry for key, entry in step.asked.items() if needs_approval(entry)} for step in steps}
    return {run_id: requests for run_id, requests in found.items() if requests}


def as_function(entry: Entry) -> dict[str, str]:
    """The function call in which a client is asked, of an entry of ``RunStep.asked``."""
    return {"name": APPROVAL_FUNCTION, "arguments": orjson.dumps(entry["request"]).decode()}


def answer(*, approve: bool, reason: str = "") -> str:
    """The output with which a person answers.

    :param reason: of a refusal, which the model is told.
    """
    return orjson.dumps(
        {"approve": approve} if approve or not reason else {"approve": approve, "reason": reason}
    ).decode()


def answered(call_id: str, entry: Entry, output: str) -> Entry:
    """The entry with a client's answer.

    :raises ApiError: 400, the output is no answer.
    """
    approved, reason = _read(output, call_id)
    if approved:
        return {**entry, "approval": Approval.GIVEN}
    return {**entry, "approval": Approval.REFUSED, "reason": reason.replace("\x00", "")[:REASON_LENGTH]}


def _read(output: str, call_id: str) -> tuple[bool, str]:
    if (word := output.strip().lower()) in WORDS:
        return WORDS[word], ""
    try:
        answer: Any = orjson.loads(output)
    except orjson.JSONDecodeError:
        answer = None
    if isinstance(answer, dict) and answer.keys() <= {"approve", "reason"}:
        approve, reason = answer.get("approve"), answer.get("reason") or ""
        if isinstance(approve, bool) and isinstance(reason, str):
            return approve, reason
    raise errors.ApiError(NO_ANSWER.format(call_id), param="tool_outputs", code="invalid_value")
