"""One run's work: model calls until the run rests or is over. All state that matters is in the rows."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from enum import Enum

import structlog
from django.db import InterfaceError, OperationalError

from inference import gateway
from inference.chat import (
    EngineUnavailable,
    Finished,
    InferenceError,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    TooManyCalls,
)
from runs.asked import waiting
from runs.models import Run
from runs.services import calls
from runs.services.flushing import Operation
from runs.services.leases import Lease
from runs.states import Status
from runs.tools.mcp import refresh
from runs.worker.errands import Errand, Errands, search_beforehand, wait_for_files
from runs.worker.planning import Plan
from runs.worker.rebuild import Assignment, lacks_json_word, rebuild
from runs.worker.turn_writer import TurnWriter, stopping_short
from runs.worker.writer import EventWriter, Fenced, Stopping
from sovereign.core.database import in_database

log = structlog.get_logger(__name__)

ENGINE_PATIENCE = 10.0  # seconds a started run waits for an engine that is away
ENGINE_PAUSE = 0.5  # seconds between two looks
DATABASE_PATIENCE = 30.0  # seconds that a database may be away
TURN_PAUSE = 1.0  # seconds until a run is taken again that was too many
UNEXPECTED = "Sorry, something went wrong."
JSON_WORD = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
INTERRUPTED = "The worker stopped in the middle of the answer, and this engine cannot continue it."


class Interruption(Enum):
    """Why an execution is told to stop from outside."""

    CANCEL = "somebody cancelled the run"
    FENCE = "the run is no longer this worker's"
    DRAIN = "the worker is stopping in good order"


class Execution:
    """Runs in a task of its own; ``interrupt`` is the only thing to call from outside."""

    def __init__(self, lease: Lease, writer: EventWriter) -> None:
        self.lease = lease
        self._writer = writer
        self._channel = writer.open(lease)
        self._interruption: Interruption | None = None
        self._refreshed = False
        self.task = asyncio.create_task(self._run(), name=f"run {lease.run_id}")

    def interrupt(self, why: Interruption) -> None:
        if self._interruption is None and not self.task.done():
            self._interruption = why
            self.task.cancel(why.value)

    async def _run(self) -> None:
        try:
            with structlog.contextvars.bound_contextvars(run_id=self.lease.run_id):
                await self._guarded()
        finally:
            self._writer.discard(self._channel)

    async def _guarded(self) -> None:
        try:
            await self._insist()
        except Fenced:
            log.info("run_fenced")
        except Stopping:
            await self._end(Operation(lambda r: r.end(Status.CANCELLED), locks_thread=True, ends_run=True))
        except InferenceError as error:
            await self._fail(error.code, error.message)
        except asyncio.CancelledError:
            await self._interrupted()
        except Run.DoesNotExist:
            log.info("run_deleted")
        except Exception:
            log.exception("run_crashed")
            await self._fail("server_error", UNEXPECTED)

    async def _interrupted(self) -> None:
        match self._interruption:
            case Interruption.CANCEL:
                await self._end(Operation(lambda r: r.end(Status.CANCELLED), locks_thread=True, ends_run=True))
            case Interruption.DRAIN:
                await self._end()
            case _:
                log.info("run_fenced")

    async def _fail(self, code: str, message: str) -> None:
        await self._end(Operation(lambda r: r.fail(code, message), locks_thread=True, ends_run=True))

    async def _end(self, *operations: Operation) -> None:
        """Write the last words; where the run was lost meanwhile, there are none to write."""
        self._channel.failure = None
        try:
            await self._writer.commit(self._channel, *operations)
        except (Fenced, Stopping) as error:
            log.info("run_ended_elsewhere", reason=type(error).__name__)
        except Exception:  # nothing renews the lease any more: another worker tries, and in the end it is poison
            log.exception("run_not_ended")

    # ------------------------------------------------------------------------------------- the work

    async def _insist(self) -> None:
        """Work; where the database was away for a moment, go on from what the rows say."""
        loop, deadline = asyncio.get_running_loop(), None
        while True:
            try:
                await self._work()
                return
            except (OperationalError, InterfaceError) as error:
                deadline = deadline or loop.time() + DATABASE_PATIENCE
                if loop.time() >= deadline:
                    raise
                log.warning("run_without_database", error=str(error))
            await asyncio.sleep(ENGINE_PAUSE)
            await self._writer.commit(self._channel)  # what the model has said so far belongs to the rows

    async def _work(self) -> None:
        while await self._take_step():
            pass

    async def _take_step(self) -> bool:
        """Do what comes next; true where there is more to do."""
        assignment = await in_database(rebuild, self.lease.run_id)
        if step_id := assignment.broken_step_id:  # what was cut has its share of the budget
            await self._writer.commit(self._channel, Operation(lambda r: r.abandon_step(step_id, INTERRUPTED)))
            return True
        if assignment.request.continues and not assignment.can_continue:
            raise InferenceError(INTERRUPTED)
        if reason := _exhausted(assignment):
            await self._writer.commit(self._channel, stopping_short(reason))
            return False
        if lacks_json_word(assignment.request):
            raise InferenceError(JSON_WORD, "invalid_prompt")
        try:
            return await self._act(assignment)
        except TooManyCalls:  # whoever waits for its turn has no worker's place
            await self._give_back()
            return False

    async def _give_back(self) -> None:
        await self._writer.commit(self._channel, Operation(lambda r: r.give_back(TURN_PAUSE)))

    async def _act(self, assignment: Assignment) -> bool:
        if assignment.errand is not None:
            return await self._carry_out(assignment.errand, assignment.plan)
        if assignment.plan.stale and not self._refreshed:
            self._refreshed = True  # what a server does not list now is taken from its last listing
            await refresh(assignment.plan.stale)
            return True
        if assignment.plan.awaited:
            await wait_for_files(assignment.run, assignment.plan.awaited)
        if assignment.plan.search:
            await self._writer.commit(self._channel, search_beforehand(assignment.plan.search))
            return True
        return await self._call_model(assignment)

    async def _carry_out(self, errand: Errand, plan: Plan) -> bool:
        """Call the tools; true where the model may be told at once, and nothing waits for the client."""
        errands = Errands(errand, plan.toolbox, self._writer, self._channel)
        if await errands.are_for_others():
            await self._give_back()
            return False
        await errands.run()
        close = Operation(lambda r: calls.close(r, step_id=errand.step_id))
        await self._writer.commit(self._channel, close)
        return not any(waiting(errand.calls, errand.asked))

    async def _call_model(self, assignment: Assignment) -> bool:
        """One model call; waits for an engine that is away, as long as nothing was begun."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ENGINE_PATIENCE
        while True:
            try:
                return await self._stream(assignment)
            except EngineUnavailable as error:
                pause = max(ENGINE_PAUSE, error.retry_after or 0.0)
                if loop.time() + pause > deadline + ENGINE_PAUSE:
                    raise
            await asyncio.sleep(pause)

    async def _stream(self, assignment: Assignment) -> bool:
        turn = TurnWriter(assignment, self._writer, self._channel)
        async with aclosing(gateway.stream(assignment.request)) as deltas:
            async for delta in deltas:
                if type(delta) is TextDelta or type(delta) is RefusalDelta:
                    await turn.take_text(delta.text)
                elif type(delta) is ToolCallDelta:
                    await turn.take_call(delta)
                elif type(delta) is Finished:
                    return await turn.finish(delta)
        raise InferenceError("The engine's answer ended without being finished.")


def _exhausted(assignment: Assignment) -> str:
    """The budget that is used up before the next model call, if one is."""
    if assignment.completion_budget is not None and assignment.completion_budget <= 0:
        return "max_completion_tokens"
    if assignment.prompt_budget is not None and assignment.prompt_budget <= 0:
        return "max_prompt_tokens"
    return ""
