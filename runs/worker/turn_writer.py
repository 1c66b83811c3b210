"""From what a model says, delta by delta, to the rows of its message and of its tool calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

from inference.chat import Finished, InferenceError, ToolCallDelta, Usage
from runs.asked import MOST_CALLS
from runs.citations import Piece
from runs.services import calls
from runs.services.flushing import CallText, Operation, Text
from runs.services.recorder import Recorder
from runs.states import Status
from runs.tools.base import FUNCTION, begun_function
from runs.worker.rebuild import Assignment
from runs.worker.turn import ServerCall, Turn
from runs.worker.writer import Channel, EventWriter
from sovereign.core.ids import new_id

TOO_MANY = f"The model made more than {MOST_CALLS} calls in one turn."
UNWANTED = "The model called a tool, which its assistant does not do."
ENDLESS = "The model called tools again and again and did not answer."


class TurnWriter:
    """Takes one model call's deltas, in order."""

    def __init__(self, assignment: Assignment, writer: EventWriter, channel: Channel) -> None:
        self._assignment = assignment
        self._turn = Turn.of(assignment.open_message, assignment.sources, assignment.made)
        self._writer, self._channel = writer, channel

    async def take_text(self, text: str) -> None:
        turn, text = self._turn, text.replace("\x00", "")
        if turn.tool_step_id or not text:
            return  # text behind tool calls belongs to no step of the contract
        if not turn.message_id:
            turn.blanks += text
            if turn.blanks.isspace():
                return
            text = turn.blanks
            self._begin_message()
        turn.written += 1
        await self._write(turn.citing.take(text))

    async def take_call(self, delta: ToolCallDelta) -> None:
        turn = self._turn
        if delta.index not in turn.calls:
            if turn.calls and not self._assignment.request.parallel_tool_calls:
                return
            await self._begin_call(delta)
        type, field, written = FUNCTION, "arguments", delta.arguments.replace("\x00", "")
        if (call := turn.calls[delta.index]) is not None:
            call.written.append(written)
            type, field, written = call.tool.type, call.tool.shown, call.hear(written)
        if field and written:
            index = list(turn.calls).index(delta.index)
            await self._writer.add_delta(self._channel, CallText(turn.tool_step_id, index, type, field, [written]))

    async def finish(self, finished: Finished) -> bool:
        """Record the end of the model call; true where calls are to be carried out here."""
        turn, budget = self._turn, self._assignment.prompt_budget
        spent = turn.spent(finished.usage)
        if turn.message_id and not turn.tool_step_id:
            await self._write(turn.citing.rest())
        if finished.reason == "length":
            await self._commit(stopping_short("max_completion_tokens", spent))
        elif turn.calls:
            return await self._end_of_calls(spent)
        else:
            if not turn.message_id:
                self._begin_message()
            exceeded = budget is not None and spent.prompt_tokens > budget
            await self._complete(turn.message_step_id, spent, "max_prompt_tokens" if exceeded else "")
        return False

    async def _write(self, pieces: Iterable[Piece]) -> None:
        turn = self._turn
        for piece in pieces:
            first, produced = not turn.started_text, turn.written - turn.given
            turn.started_text, turn.given = True, turn.written
            text = Text(turn.message_id, [piece.text], first, turn.parts, piece.annotation, produced)
            await self._writer.add_delta(self._channel, text)

    def _begin_message(self) -> None:
        turn = self._turn
        turn.message_id, turn.message_step_id = message_id, step_id = new_id("msg_"), new_id("step_")
        begin = partial(Recorder.begin_message, step_id=step_id, message_id=message_id, made=turn.made)
        self._writer.add(self._channel, Operation(begin, locks_thread=True))

    async def _begin_call(self, delta: ToolCallDelta) -> None:
        turn, plan, name = self._turn, self._assignment.plan, (delta.name or "").replace("\x00", "")
        if not name:
            raise InferenceError("The engine began a tool call without a name.")
        if not plan.calls_tools:
            raise InferenceError(UNWANTED)
        tool = plan.toolbox.named(name)
        if tool is not None and plan.must_answer:
            raise InferenceError(ENDLESS)
        if not turn.tool_step_id:
            await self._write(turn.citing.rest())
            self._begin_tool_step()
        if len(turn.calls) >= MOST_CALLS:
            raise InferenceError(TOO_MANY)
        index, call_id, step_id = len(turn.calls), new_id("call_"), turn.tool_step_id
        turn.calls[delta.index] = ServerCall(call_id, name, tool, tool.listener()) if tool is not None else None
        shown = tool.begun(name, call_id) if tool is not None else begun_function(name, call_id)
        self._writer.add(self._channel, Operation(lambda r: r.show_call(step_id, index, shown)))

    def _begin_tool_step(self) -> None:
        turn = self._turn
        turn.tool_step_id = step_id = new_id("step_")
        message_step_id, turn.counted = turn.message_step_id, turn.written
        spent = Usage(0, turn.written)

        def begin(recorder: Recorder) -> None:
            if message_step_id:
                recorder.count(spent)
                recorder.finish_message(step_id=message_step_id, spent=spent)
            recorder.begin_tool_calls(step_id=step_id)

        self._writer.add(self._channel, Operation(begin, locks_thread=bool(message_step_id)))

    async def _end_of_calls(self, spent: Usage) -> bool:
        step_id, asked = self._turn.tool_step_id, await asyncio.to_thread(self._turn.asked)  # schemas take their time

        def settle(recorder: Recorder) -> None:
            recorder.count(spent)
            calls.settle(recorder, step_id=step_id, asked=asked, spent=spent)

        await self._commit(Operation(settle))
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

        await self._commit(Operation(complete, locks_thread=True, ends_run=True))

    async def _commit(self, operation: Operation) -> None:
        await self._writer.commit(self._channel, operation)


def stopping_short(reason: str, spent: Usage | None = None) -> Operation:
    """The run ends without being complete.

    :param spent: by the model call that it ends with, where that was finished.
    """

    def stop_short(recorder: Recorder) -> None:
        if spent is not None:
            recorder.count(spent)
        recorder.end(Status.INCOMPLETE, incomplete_details={"reason": reason}, spent=spent)

    return Operation(stop_short, locks_thread=True, ends_run=True)
