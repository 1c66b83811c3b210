"""Waiting for an answer without a thread: everything here runs in the event loop."""

from __future__ import annotations

from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse

from inference.api.answering import json_response
from runs.models import Run
from runs.states import RESTING, Status
from runs.streaming.reader import RESTING_EVENTS, REVOKED, read, rests_at
from runs.streaming.rights import Rights
from sovereign.core.database import in_database
from sovereign.core.errors import INVALID_REQUEST, SERVER_ERROR, ApiError, not_found
from threads.models import Message
from threads.rendering import render_message

#: What a failure of each kind is answered with: ours are worth another try, once whoever runs this has looked at it.
STATUS_OF = {
    "rate_limit_exceeded": HTTPStatus.TOO_MANY_REQUESTS,
    "invalid_prompt": HTTPStatus.BAD_REQUEST,
    "server_error": HTTPStatus.SERVICE_UNAVAILABLE,
}
ENDED_WITH = {
    Status.CANCELLED: (HTTPStatus.CONFLICT, "run_cancelled", "It was cancelled."),
    Status.EXPIRED: (HTTPStatus.SERVICE_UNAVAILABLE, "run_expired", "It was not done in time."),
}
#: The same request again would be answered with the same run.
NO_RETRY = {"x-should-retry": "false"}


async def answered(run_id: str, cursor: int, rights: Rights) -> HttpResponse:
    """The assistant's message, once the run is over.

    :raises ApiError: there is none, since the run failed or waits for the application.
    """
    try:
        if not await in_database(_rests, run_id):
            await _at_rest(run_id, cursor, rights)
        return json_response(await in_database(_answer_of, run_id))
    except Run.DoesNotExist:
        raise not_found("run", run_id) from None


def _rests(run_id: str) -> bool:
    """Of one that is over, nobody has to read the whole log to know that."""
    return Run.objects.filter(pk=run_id, status__in=RESTING).exists()


async def _at_rest(run_id: str, cursor: int, rights: Rights) -> None:
    """:raises ApiError: 401, who waits may not read the run any more."""
    async with aclosing(read(run_id, cursor)) as entries:
        async for entry in entries:
            if not await rights.still_hold():
                raise REVOKED
            if entry is None or entry.type not in RESTING_EVENTS:
                continue
            if await in_database(rests_at, run_id, entry.seq):
                return


def _answer_of(run_id: str) -> dict[str, Any]:
    run = Run.objects.get(pk=run_id)
    if run.status not in (Status.COMPLETED, Status.INCOMPLETE):
        raise _waits(run) if run.status == Status.REQUIRES_ACTION else _failed(run)
    written = Message.objects.of_thread(run.thread_id).filter(run_id=run.id)
    message = written.order_by("-position").first()
    if message is None:
        raise _refusal(run, HTTPStatus.INTERNAL_SERVER_ERROR, "no_answer", "It ended without a message.")
    return render_message(message)


def _waits(run: Run) -> ApiError:
    return _refusal(
        run,
        HTTPStatus.CONFLICT,
        "run_requires_action",
        f"It waits for outputs of the application's tools. Submit them with POST /v1/threads/{run.thread_id}/runs/"
        f"{run.id}/submit_tool_outputs; the answer is then among the conversation's messages.",
    )


def _failed(run: Run) -> ApiError:
    told = run.last_error or {"code": "server_error", "message": ""}
    if run.status in ENDED_WITH:
        status, code, why = ENDED_WITH[Status(run.status)]
        return _refusal(run, status, code, f"{why} {told['message']}")
    return _refusal(run, STATUS_OF[told["code"]], told["code"], told["message"])


def _refusal(run: Run, status: int, code: str, why: str) -> ApiError:
    return ApiError(
        f"The run '{run.id}' on the thread '{run.thread_id}' has not answered. {why}".strip(),
        status=status,
        type=SERVER_ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else INVALID_REQUEST,
        code=code,
        headers=NO_RETRY,
        details={"run_id": run.id, "thread_id": run.thread_id},
    )
