"""One run's work: model calls until the run rests or is over. All state that matters is in the rows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
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
    Usage,
)
from runs.citations import Piece
from runs.models import Run
from runs.services.flushing import Arguments, Operation, Text
from runs.services.leases import Lease
from runs.services.recorder import Recorder
from runs.states import Status
from runs.worker.errands import carry_out, search_beforehand, wait_for_files
from runs.worker.planning import Plan
from runs.worker.rebuild import Assignment, Errand, lacks_json_word, rebuild
from runs.worker.turn import ServerCall, Turn
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
ENDLESS = "The model called tools again and again and did not answer."
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
            await self._incomplete(reason)
            return False
        if lacks_json_word(assignment.request):
            raise InferenceError(JSON_WORD, "invalid_prompt")
        try:
            return await self._act(assignment)
        except TooManyCalls:  # whoever waits for its turn has no worker's place
            await self._writer.commit(self._channel, Operation(lambda r: r.give_back(TURN_PAUSE)))
            return False

    async def _act(self, assignment: Assignment) -> bool:
        if assignment.errand is not None:
            return await self._carry_out(assignment.errand, assignment.plan)
        if assignment.plan.awaited:
            await wait_for_files(assignment.run, assignment.plan.awaited)
        if assignment.plan.query:
            await self._writer.commit(self._channel, search_beforehand(assignment.plan))
            return True
        return await self._call_model(assignment)

    async def _carry_out(self, errand: Errand, plan: Plan) -> bool:
        """Call the tools; true where the model may be told at once, and none of the calls is the client's."""
        done = await carry_out(errand, plan.toolbox)
        finish = Operation(lambda r: r.finish_server_calls(step_id=errand.step_id, done=done))
        await self._writer.commit(self._channel, finish)
        return all(call["type"] != "function" for call in errand.calls)

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
        turn = Turn.of(assignment.open_message, assignment.sources)
        async with aclosing(gateway.stream(assignment.request)) as deltas:
            async for delta in deltas:
                if type(delta) is TextDelta or type(delta) is RefusalDelta:
                    await self._on_text(turn, delta.text)
                elif type(delta) is ToolCallDelta:
                    await self._on_call(turn, delta, assignment)
                elif type(delta) is Finished:
                    return await self._on_finished(turn, delta, assignment.prompt_budget)
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
        await self._write(turn, turn.citing.take(text))

    async def _write(self, turn: Turn, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            first, produced = not turn.started_text, turn.written - turn.given
            turn.started_text, turn.given = True, turn.written
            text = Text(turn.message_id, [piece.text], first, piece.annotation, produced)
            await self._writer.add_delta(self._channel, text)

    def _begin_message(self, turn: Turn) -> None:
        turn.message_id, turn.message_step_id = message_id, step_id = new_id("msg_"), new_id("step_")
        begin = Operation(lambda r: r.begin_message(step_id=step_id, message_id=message_id), locks_thread=True)
        self._writer.add(self._channel, begin)

    async def _on_call(self, turn: Turn, delta: ToolCallDelta, assignment: Assignment) -> None:
        if delta.index not in turn.calls:
            if turn.calls and not assignment.request.parallel_tool_calls:
                return
            await self._begin_call(turn, delta, assignment.plan)
        arguments = delta.arguments.replace("\x00", "")
        if (call := turn.calls[delta.index]) is not None:
            call.written.append(arguments)
        elif arguments:
            index = list(turn.calls).index(delta.index)
            await self._writer.add_delta(self._channel, Arguments(turn.tool_step_id, index, [arguments]))

    async def _begin_call(self, turn: Turn, delta: ToolCallDelta, plan: Plan) -> None:
        name = (delta.name or "").replace("\x00", "")
        if not name:
            raise InferenceError("The engine began a tool call without a name.")
        tool = plan.toolbox.named(name)
        if tool is not None and plan.must_answer:
            raise InferenceError(ENDLESS)
        if not turn.tool_step_id:
            await self._write(turn, turn.citing.rest())
            self._begin_tool_step(turn)
        index, call_id, step_id = len(turn.calls), new_id("call_"), turn.tool_step_id
        turn.calls[delta.index] = ServerCall(call_id, tool) if tool is not None else None
        if tool is None:
            begin = Operation(lambda r: r.begin_call(step_id, index, call_id, name))
        else:
            shown = tool.begun(call_id)
            begin = Operation(lambda r: r.show_call(step_id, index, shown))
        self._writer.add(self._channel, begin)

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

    async def _on_finished(self, turn: Turn, finished: Finished, prompt_budget: int | None) -> bool:
        """Record the end of a model call; true where calls are to be carried out here."""
        spent = turn.spent(finished.usage)
        if turn.message_id and not turn.tool_step_id:
            await self._write(turn, turn.citing.rest())
        if finished.reason == "length":
            await self._incomplete("max_completion_tokens", spent)
        elif turn.calls:
            return await self._end_of_calls(turn, spent)
        else:
            if not turn.message_id:
                self._begin_message(turn)
            exceeded = prompt_budget is not None and spent.prompt_tokens > prompt_budget
            await self._complete(turn.message_step_id, spent, "max_prompt_tokens" if exceeded else "")
        return False

    async def _end_of_calls(self, turn: Turn, spent: Usage) -> bool:
        step_id, asked = turn.tool_step_id, turn.asked()

        def settle(recorder: Recorder) -> None:
            recorder.count(spent)
            if asked:
                recorder.settle_calls(step_id=step_id, asked=asked, spent=spent)
            else:
                recorder.require_action(step_id=step_id, spent=spent)

        await self._writer.commit(self._channel, Operation(settle))
        return bool(asked)

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


def _exhausted(assignment: Assignment) -> str:
    """The budget that is used up before the next model call, if one is."""
    if assignment.completion_budget is not None and assignment.completion_budget <= 0:
        return "max_completion_tokens"
    if assignment.prompt_budget is not None and assignment.prompt_budget <= 0:
        return "max_prompt_tokens"
    return ""
