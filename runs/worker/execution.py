"""One run's work: model calls until the run rests or is over. All state that matters is in the rows."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
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
    Usage,
)
from runs.models import Run
from runs.services.flushing import Arguments, Operation, Text
from runs.services.leases import Lease
from runs.services.recorder import Recorder
from runs.states import Status
from runs.worker.rebuild import Assignment, lacks_json_word, rebuild
from runs.worker.writer import EventWriter, Fenced, Stopping
from sovereign.core.database import in_database
from sovereign.core.ids import new_id

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


@dataclass(slots=True)
class Turn:
    """What one model call has opened so far.

    Its tokens are known at its end only; until then the pieces of its output are what is counted.
    """

    message_id: str = ""
    message_step_id: str = ""
    tool_step_id: str = ""
    started_text: bool = False
    blanks: str = ""  # leading white space, held back until there is text: engines send it before tool calls
    calls: dict[int, str] = field(default_factory=dict)
    carried: int = 0  # pieces of the message that earlier workers wrote: they stand in this call's prompt
    written: int = 0  # pieces of the message, theirs and ours
    counted: int = 0  # pieces that were counted with the message before tool calls


class Execution:
    """Runs in a task of its own; ``interrupt`` is the only thing to call from outside."""

    def __init__(self, lease: Lease, writer: EventWriter) -> None:
        self.lease = lease
        self._writer = writer
        self._channel = writer.open(lease)
        self._interruption: Interruption | None = None
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
        assignment = await in_database(rebuild, self.lease.run_id)
        if assignment.broken_step_id:
            step_id = assignment.broken_step_id
            await self._writer.commit(self._channel, Operation(lambda r: r.abandon_step(step_id, INTERRUPTED)))
            assignment = await in_database(rebuild, self.lease.run_id)  # what was cut has its share of the budget
        if assignment.request.continues and not assignment.can_continue:
            raise InferenceError(INTERRUPTED)
        if reason := _exhausted(assignment):
            await self._incomplete(reason)
            return
        if lacks_json_word(assignment.request):
            raise InferenceError(JSON_WORD, "invalid_prompt")
        await self._call_model(assignment)

    async def _call_model(self, assignment: Assignment) -> None:
        """One model call; waits for an engine that is away, as long as nothing was begun.

        Where as many calls run as may at once the run is given back: whoever waits for its turn has no worker's place.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ENGINE_PATIENCE
        while True:
            try:
                await self._stream(assignment)
                return
            except TooManyCalls:
                await self._writer.commit(self._channel, Operation(lambda r: r.give_back(TURN_PAUSE)))
                return
            except EngineUnavailable as error:
                pause = max(ENGINE_PAUSE, error.retry_after or 0.0)
                if loop.time() + pause > deadline + ENGINE_PAUSE:
                    raise
            await asyncio.sleep(pause)

    async def _stream(self, assignment: Assignment) -> None:
        turn = _turn_of(assignment)
        async with aclosing(gateway.stream(assignment.request)) as deltas:
            async for delta in deltas:
                if type(delta) is TextDelta or type(delta) is RefusalDelta:
                    await self._on_text(turn, delta.text)
                elif type(delta) is ToolCallDelta:
                    await self._on_call(turn, delta, parallel=assignment.request.parallel_tool_calls)
                elif type(delta) is Finished:
                    await self._on_finished(turn, delta, assignment.prompt_budget)
                    return
        raise InferenceError("The engine's answer ended without being finished.")

    async def _on_text(self, turn: Turn, text: str) -> None:
        text = text.replace("\x00", "")
        if turn.tool_step_id or not text:
            return  # text behind tool calls belongs to no step of the contract
        if not turn.message_id:
            turn.blanks += text
            if turn.blanks.isspace():
                return
            text = turn.blanks
            self._begin_message(turn)
        turn.written += 1
        first, turn.started_text = not turn.started_text, True
        await self._writer.add_delta(self._channel, Text(turn.message_id, [text], first))

    def _begin_message(self, turn: Turn) -> None:
        turn.message_id, turn.message_step_id = message_id, step_id = new_id("msg_"), new_id("step_")
        begin = Operation(lambda r: r.begin_message(step_id=step_id, message_id=message_id), locks_thread=True)
        self._writer.add(self._channel, begin)

    async def _on_call(self, turn: Turn, delta: ToolCallDelta, *, parallel: bool) -> None:
        if delta.index not in turn.calls:
            if turn.calls and not parallel:
                return
            self._begin_call(turn, delta)
        index = list(turn.calls).index(delta.index)
        if arguments := delta.arguments.replace("\x00", ""):
            await self._writer.add_delta(self._channel, Arguments(turn.tool_step_id, index, [arguments]))

    def _begin_call(self, turn: Turn, delta: ToolCallDelta) -> None:
        name = (delta.name or "").replace("\x00", "")
        if not name:
            raise InferenceError("The engine began a tool call without a name.")
        if not turn.tool_step_id:
            self._begin_tool_step(turn)
        index, call_id, step_id = len(turn.calls), new_id("call_"), turn.tool_step_id
        turn.calls[delta.index] = call_id
        self._writer.add(self._channel, Operation(lambda r: r.begin_call(step_id, index, call_id, name)))

    def _begin_tool_step(self, turn: Turn) -> None:
        turn.tool_step_id = step_id = new_id("step_")
        message_step_id, turn.counted = turn.message_step_id, turn.written
        spent = Usage(0, turn.written)

        def begin(recorder: Recorder) -> None:
            if message_step_id:
                recorder.count(spent)
                recorder.finish_message(step_id=message_step_id, spent=spent)
            recorder.begin_tool_calls(step_id=step_id)

        self._writer.add(self._channel, Operation(begin, locks_thread=bool(message_step_id)))

    async def _on_finished(self, turn: Turn, finished: Finished, prompt_budget: int | None) -> None:
        spent = _spent(turn, finished.usage)
        if finished.reason == "length":
            await self._incomplete("max_completion_tokens", spent)
        elif turn.calls:
            await self._require_action(turn.tool_step_id, spent)
        else:
            if not turn.message_id:
                self._begin_message(turn)
            exceeded = prompt_budget is not None and spent.prompt_tokens > prompt_budget
            await self._complete(turn.message_step_id, spent, "max_prompt_tokens" if exceeded else "")

    async def _complete(self, step_id: str, spent: Usage, exceeded: str) -> None:
        """The answer is whole; the run is complete unless a budget was ``exceeded`` by it."""

        def complete(recorder: Recorder) -> None:
            recorder.count(spent)
            if recorder.run.status != Status.CANCELLING:
                recorder.finish_message(step_id=step_id, spent=spent)
            if exceeded:
                recorder.end(Status.INCOMPLETE, incomplete_details={"reason": exceeded}, spent=spent)
            else:
                recorder.end(Status.COMPLETED, spent=spent)

        await self._writer.commit(self._channel, Operation(complete, locks_thread=True, ends_run=True))

    async def _incomplete(self, reason: str, spent: Usage | None = None) -> None:
        def stop_short(recorder: Recorder) -> None:
            if spent is not None:
                recorder.count(spent)
            recorder.end(Status.INCOMPLETE, incomplete_details={"reason": reason}, spent=spent)

        await self._writer.commit(self._channel, Operation(stop_short, locks_thread=True, ends_run=True))

    async def _require_action(self, step_id: str, spent: Usage) -> None:
        def hand_over(recorder: Recorder) -> None:
            recorder.count(spent)
            recorder.require_action(step_id=step_id, spent=spent)

        await self._writer.commit(self._channel, Operation(hand_over))


def _turn_of(assignment: Assignment) -> Turn:
    """A fresh turn, or the one another worker had begun."""
    opened = assignment.open_message
    if opened is None:
        return Turn()
    return Turn(
        message_id=opened.message_id,
        message_step_id=opened.step_id,
        started_text=bool(opened.text),
        carried=opened.pieces,
        written=opened.pieces,
    )


def _spent(turn: Turn, usage: Usage) -> Usage:
    """The engine's count as if the answer had never been cut, less what was counted with the turn's message."""
    prompt = max(0, usage.prompt_tokens - turn.carried)
    completion = max(0, usage.completion_tokens + turn.carried - turn.counted)
    return Usage(prompt, completion, min(usage.cached_tokens, prompt), usage.reasoning_tokens)


def _exhausted(assignment: Assignment) -> str:
    """The budget that is used up before the next model call, if one is."""
    if assignment.completion_budget is not None and assignment.completion_budget <= 0:
        return "max_completion_tokens"
    if assignment.prompt_budget is not None and assignment.prompt_budget <= 0:
        return "max_prompt_tokens"
    return ""
