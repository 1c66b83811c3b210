"""What a worker does for a run beside calling its model: tools are carried out, files are waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import orjson
import structlog
from django.db import InterfaceError, OperationalError

from assistants.knowledge.services.pending import files_in_progress
from inference.chat import InferenceError, Usage
from runs import asked
from runs.asked import Approval, Entry, State
from runs.models import Run
from runs.outcomes import Outcome
from runs.services import calls
from runs.services.calls import Result
from runs.services.flushing import CallOutput, Operation
from runs.services.recorder import Recorder
from runs.tools.base import INTERRUPTED, Call, ServerTool, ToolFailed, Work
from runs.tools.functions import with_output
from runs.tools.toolbox import Toolbox
from runs.worker.planning import Search
from runs.worker.writer import Channel, EventWriter, Fenced, Stopping
from sovereign.core.database import in_database, now
from sovereign.core.ids import new_id

log = structlog.get_logger(__name__)

FILES_PATIENCE = timedelta(seconds=60)  # that a run waits for the files of its thread, from its start
FILES_PAUSE = 0.25  # seconds between two looks
TOOL_SECONDS = 300.0  # that all tools of a run may take
SAME_CALLS = 2  # that are carried out in one run; what is asked for once more has been answered
GONE = "There is no such tool any more."
CHANGED = "The tool is not the one any more that was asked for."
REFUSED = "The call was refused."
SAME = "This call was made before, with the same arguments: what came of it is above. It was not made again."
NO_TIME = f"The tools of this run have taken {TOOL_SECONDS:.0f} seconds. No more calls are made; answer now."
CRASHED = "Sorry, something went wrong in the tool."
TOO_LONG = "The call took longer than {:g} seconds and was stopped."


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A step's calls, some of which are to be carried out here.

    :ivar before: what was asked of tools in the run's earlier steps.
    """

    step_id: str
    calls: list[Call]
    asked: dict[str, Entry]
    before: Sequence[Entry]


class Errands:
    """Carries a step's calls out, one after the other: what comes of each is committed before the next begins."""

    def __init__(self, errand: Errand, toolbox: Toolbox, writer: EventWriter, channel: Channel) -> None:
        self._errand, self._toolbox = errand, toolbox
        self._writer, self._channel = writer, channel
        self._past = [*errand.before]
        self._done: list[Call] = []

    async def are_for_others(self) -> bool:
        """Whether there is a call that another worker can carry out now, and this one cannot."""
        due = (entry for entry in self._errand.asked.values() if asked.is_due(entry))
        tools = [self._toolbox.named(entry["tool"]) for entry in due]
        return any([tool is not None and await tool.is_for_others() for tool in tools])

    async def run(self) -> None:
        """:raises InferenceError: the run cannot go on."""
        for index, call in enumerate(self._errand.calls):
            entry = self._errand.asked.get(call["id"])
            if entry is None:
                continue
            if asked.is_due(entry):
                call, entry = await self._settle(index, call, entry)
            self._past.append(entry)
            if asked.is_done(entry):
                self._done.append(call)

    async def _settle(self, index: int, call: Call, entry: Entry) -> tuple[Call, Entry]:
        tool, begun = self._toolbox.named(entry["tool"]), time.monotonic()
        try:
            call, outcome = await self._carry_out(self._checked(tool, entry), index, call, entry), Outcome.OK
        except ToolFailed as failure:
            call, outcome = _failed(tool, call, failure.message), failure.outcome
        except (InferenceError, Fenced, Stopping, OperationalError, InterfaceError):
            raise  # it is not about the call
        except Exception:
            log.exception("tool_crashed", tool=entry["tool"])
            call, outcome = _failed(tool, call, CRASHED), Outcome.ERROR
        seconds = max(0.0, time.monotonic() - begun - (tool.waited(call["id"]) if tool else 0.0))
        result = Result(call=call, outcome=outcome, seconds=seconds)
        await self._commit(partial(calls.finish, step_id=self._errand.step_id, result=result))
        return call, {**entry, "state": State.DONE, "seconds": seconds}

    def _checked(self, tool: ServerTool | None, entry: Entry) -> ServerTool:
        """:raises ToolFailed: the call is not to be carried out."""
        if entry.get("approval") == Approval.REFUSED:
            raise ToolFailed(f"{REFUSED} {entry.get('reason', '')}".rstrip(), Outcome.REFUSED)
        if tool is None:
            raise ToolFailed(GONE)
        if entry.get("identity", tool.identity) != tool.identity:  # older workers kept none
            raise ToolFailed(CHANGED)
        if tool.approval(entry["arguments"]) not in (None, entry.get("request")):
            raise ToolFailed(CHANGED)
        if entry["state"] == State.STARTED and not tool.repeatable:
            raise ToolFailed(INTERRUPTED, Outcome.INTERRUPTED)
        if sum(_is_same(entry, other) for other in self._past) >= SAME_CALLS:
            raise ToolFailed(SAME, Outcome.REPEATED)
        if self._seconds_left() <= 0:
            raise ToolFailed(NO_TIME, Outcome.SPENT)
        return tool

    async def _carry_out(self, tool: ServerTool, index: int, call: Call, entry: Entry) -> Call:
        await self._commit(partial(calls.start, step_id=self._errand.step_id, call_id=call["id"]))
        seconds = min(tool.timeout, self._seconds_left())
        show = partial(self._show, index)
        work = Work(step_id=self._errand.step_id, index=index, done=tuple(self._done), show=show)
        try:
            async with asyncio.timeout(seconds):
                return await tool.carry_out(call, entry["arguments"], work)
        except TimeoutError:
            raise ToolFailed(TOO_LONG.format(round(seconds, 1)), Outcome.TIMEOUT) from None

    async def _show(self, index: int, delta: Call) -> None:
        """Let clients see it, of the step's last call; of others they see it when the step is over.

        Official clients know one current call: a delta of an earlier one ends the last one before its time, and begins
        the earlier one again.
        """
        if index < len(self._errand.calls) - 1:
            return
        size = len(orjson.dumps(delta))
        await self._writer.add_delta(self._channel, CallOutput(self._errand.step_id, index, delta, size))

    async def _commit(self, write: Callable[[Recorder], None]) -> None:
        await self._writer.commit(self._channel, Operation(write))

    def _seconds_left(self) -> float:
        return TOOL_SECONDS - sum(float(entry.get("seconds", 0.0)) for entry in self._past)


def _is_same(entry: Entry, other: Entry) -> bool:
    return asked.is_done(other) and (entry["tool"], entry["arguments"]) == (other["tool"], other["arguments"])


def _failed(tool: ServerTool | None, call: Call, message: str) -> Call:
    if tool is not None:
        return tool.failed(call, message)
    return with_output(call, orjson.dumps({"error": message}).decode()) if call["type"] == "function" else call


def search_beforehand(search: Search) -> Operation:
    """Record that the files are to be searched before the model is asked: carried out like what a model asks."""
    step_id, call_id = new_id("step_"), new_id("call_")
    arguments = search.tool.arguments(orjson.dumps({"query": search.query}).decode())
    tool = search.tool
    entry = asked.entry(search.name, arguments, kind=tool.kind, identity=tool.identity) | {asked.BEFOREHAND: True}

    def begin(recorder: Recorder) -> None:
        recorder.begin_tool_calls(step_id=step_id)
        recorder.show_call(step_id, 0, search.tool.begun(search.name, call_id))
        calls.settle(recorder, step_id=step_id, asked={call_id: entry}, spent=Usage(0, 0))

    return Operation(begin)


async def wait_for_files(run: Run, store_ids: Sequence[str]) -> None:
    """Wait until the files of these stores are ready, or for as long as a run does."""
    while await in_database(_waits, run, store_ids):
        await asyncio.sleep(FILES_PAUSE)


def _waits(run: Run, store_ids: Sequence[str]) -> bool:
    return run.started_at is not None and now() < run.started_at + FILES_PATIENCE and files_in_progress(store_ids) > 0
