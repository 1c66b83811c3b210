"""What clients send on a thread's WebSocket, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from runs.services import approvals
from sovereign.core.errors import ApiError

EXPECTED = 'Expected a frame like {"subscribe": "run_…", "after": 0}.'
EXPECTED_WATCH = 'Expected a frame like {"watch": true}.'
EXPECTED_CALLS = 'Expected "calls" like [{"call_id": "call_…", "approve": false, "reason": "…"}].'
MOST_CALLS = 128


@dataclass(frozen=True, slots=True)
class Subscription:
    """``{"subscribe": run_id, "after": seq}``"""

    run_id: str
    after: int


@dataclass(frozen=True, slots=True)
class Answers:
    """``{"approve": run_id, "calls": […]}``: a person's answers to the calls of a run that wait for their consent.

    :ivar outputs: the same as outputs of tools.
    """

    run_id: str
    outputs: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Watch:
    """``{"watch": true}``: tell what changes on the thread itself."""


def read(text: str) -> Subscription | Answers | Watch:
    """:raises ApiError: 400, the frame is none of them."""
    try:
        frame: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        frame = None
    if isinstance(frame, dict) and isinstance(frame.get("subscribe"), str):
        return Subscription(frame["subscribe"], _after(frame.get("after", 0)))
    if isinstance(frame, dict) and isinstance(frame.get("approve"), str):
        return Answers(frame["approve"], _outputs(frame.get("calls")))
    if isinstance(frame, dict) and "watch" in frame:
        if frame["watch"] is not True:
            raise ApiError(EXPECTED_WATCH, param="watch", code="invalid_type")
        return Watch()
    raise ApiError(EXPECTED, code="invalid_frame")


def _after(after: Any) -> int:
    if isinstance(after, bool) or not isinstance(after, int) or not 0 <= after < 2**31:
        raise ApiError("'after' must be the number of an event.", param="after", code="invalid_type")
    return after


def _outputs(calls: Any) -> list[dict[str, Any]]:
    if not isinstance(calls, list) or not 0 < len(calls) <= MOST_CALLS:
        raise ApiError(EXPECTED_CALLS, param="calls", code="invalid_type")
    return [_output(call) for call in calls]


def _output(call: Any) -> dict[str, Any]:
    fields = call if isinstance(call, dict) else {}
    call_id, approve, reason = fields.get("call_id"), fields.get("approve"), fields.get("reason") or ""
    if not isinstance(call_id, str) or not isinstance(approve, bool) or not isinstance(reason, str):
        raise ApiError(EXPECTED_CALLS, param="calls", code="invalid_type")
    return {"tool_call_id": call_id, "output": approvals.answer(approve=approve, reason=reason)}
