"""A call of an assistant: the run that is made of it, what is told while it runs, and what came of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from rest_framework.serializers import ValidationError

from runs.mcp.answers import Result, answered, failed
from runs.models import Run
from runs.services import control, creation
from runs.states import Status
from runs.streaming.reader import RESTING_EVENTS, REVOKED, read
from runs.streaming.rights import Rights
from runs.streaming.tailer import Entry
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import RUNS_READ, RUNS_WRITE, THREADS_READ, THREADS_WRITE
from sovereign.core.api.validation import StrictSerializer, StrictString, validation_error
from sovereign.core.errors import ApiError, not_found
from threads.models import Message
from threads.services import note_reading
from threads.shapes import TEXT_LENGTH

NEEDED = (THREADS_WRITE, THREADS_READ, RUNS_WRITE, RUNS_READ)  # of the scopes, for a call
FUNCTIONS = (
    "The assistant asked for something that only its own application can do (a function, or an approval). MCP clients "
    "cannot, so the run was cancelled."
)
STOPPED = "The run was stopped before there was an answer: its status is '{}'."


class Arguments(StrictSerializer):
    message = StrictString(min_length=1, max_length=TEXT_LENGTH)
    thread_id = StrictString(max_length=64, min_length=1, required=False)


@dataclass(frozen=True, slots=True)
class Following:
    """A run that somebody waits for, as they are told of it."""

    run: Run
    rights: Rights

    async def entries(self) -> AsyncGenerator[Entry | None, None]:
        """Its events, until it rests; ``None`` after every silent second.

        :raises ApiError: 404, it was deleted; 401, the right to follow it was withdrawn.
        """
        try:
            async with aclosing(read(self.run.id, 0)) as entries:
                async for entry in entries:
                    if not await self.rights.still_hold():
                        raise REVOKED
                    yield entry
                    if entry is not None and entry.type in RESTING_EVENTS:
                        return
        except Run.DoesNotExist:
            raise not_found("run", self.run.id) from None


def begin(principal: Principal, assistant_id: str, arguments: Any) -> Run:
    """Queue the run that answers a call, in its own new thread or in the one that is named.

    :raises ApiError: a scope is missing, the arguments are wrong, or no run can be made.
    """
    for scope in NEEDED:
        principal.require(scope)
    try:
        given = Arguments.checked(arguments)
    except ValidationError as error:
        raise validation_error(error) from None
    message = {"role": Message.Role.USER.value, "content": given["message"]}
    if (thread_id := given.get("thread_id")) is None:
        thread = {"messages": [message]}
        return creation.create_thread_and_run(principal=principal, assistant_id=assistant_id, thread=thread).run
    run = creation.create_run(
        principal=principal, thread_id=thread_id, assistant_id=assistant_id, additional_messages=[message]
    ).run
    note_reading(principal=principal, thread=run.thread)
    return run


def cancel(principal: Principal, run: Run) -> None:
    """End a run that nobody waits for any more; one that is over stays as it is."""
    with suppress(ApiError):
        control.cancel_run(principal=principal, thread_id=run.thread_id, run_id=run.id)


def outcome(principal: Principal, begun: Run) -> Result:
    """What came of a run that rests. One that waits for its application is cancelled: none will come.

    :raises ApiError: 404, it was deleted meanwhile.
    """
    run = control.get_run(principal=principal, thread_id=begun.thread_id, run_id=begun.id)
    if run.status == Status.REQUIRES_ACTION:
        cancel(principal, run)
        return failed(FUNCTIONS, run)
    if run.status in (Status.COMPLETED, Status.INCOMPLETE):
        return answered(principal, run)
    return failed((run.last_error or {}).get("message") or STOPPED.format(run.status), run)
