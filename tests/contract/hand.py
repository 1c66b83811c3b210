"""A worker's writes about a run, one by one and without a model: what it would do next is the test's decision."""

from __future__ import annotations

from dataclasses import dataclass, field

from inference.chat import Usage
from runs.services import calls, leases
from runs.services.flushing import Batch, CallText, Delta, Operation, Outcome, Text, flush
from runs.services.leases import Lease
from runs.services.recorder import Recorder
from runs.states import Status
from runs.tools.base import begun_function
from sovereign.core.ids import new_id

SPENT = Usage(prompt_tokens=12, completion_tokens=5, cached_tokens=3, reasoning_tokens=1)


@dataclass
class Hand:
    """A worker that holds at most one run."""

    name: str = field(default_factory=lambda: new_id("worker_"))
    lease: Lease | None = None
    number: int = 0
    message_id: str = ""
    step_id: str = ""
    has_text: bool = False
    calls: int = 0

    def claim(self) -> Lease | None:
        """Take the oldest run there is to take."""
        taken = leases.claim(worker_id=self.name, limit=1)
        if taken:
            self.lease, self.number = taken[0], 0
            self.message_id = self.step_id = ""
            self.has_text, self.calls = False, 0
        return self.lease if taken else None

    def write(self, *items: Operation | Delta) -> Outcome | None:
        """What became of the batch, ``None`` where the run is no longer this worker's."""
        assert self.lease is not None
        self.number += 1
        return flush([Batch(self.lease, self.number, list(items))]).get(self.lease.run_id)

    # ------------------------------------------------------------------------------------- messages

    def begin_message(self) -> Outcome | None:
        self.message_id, self.step_id, self.has_text = new_id("msg_"), new_id("step_"), False
        message_id, step_id = self.message_id, self.step_id
        return self.write(Operation(lambda r: r.begin_message(step_id=step_id, message_id=message_id), True))

    def say(self, *pieces: str) -> Outcome | None:
        first, self.has_text = not self.has_text, True
        return self.write(Text(self.message_id, list(pieces), first))

    def complete(self) -> Outcome | None:
        """The answer is whole, and so is the run."""
        step_id = self.step_id

        def whole(recorder: Recorder) -> None:
            recorder.count(SPENT)
            if recorder.run.status != Status.CANCELLING:
                recorder.finish_message(step_id=step_id, spent=SPENT)
            recorder.end(Status.COMPLETED, spent=SPENT)

        return self.write(Operation(whole, locks_thread=True, ends_run=True))

    # ------------------------------------------------------------------------------------- tool calls

    def begin_calls(self) -> Outcome | None:
        """A step of tool calls; a message that is open is complete with it."""
        self.step_id, before, self.calls = new_id("step_"), self.step_id if self.message_id else "", 0
        step_id, self.message_id = self.step_id, ""

        def begin(recorder: Recorder) -> None:
            if before:
                recorder.finish_message(step_id=before, spent=SPENT)
            recorder.begin_tool_calls(step_id=step_id)

        return self.write(Operation(begin, locks_thread=True))

    def call(self, name: str, *arguments: str) -> Outcome | None:
        step_id, index, call_id = self.step_id, self.calls, new_id("call_")
        self.calls += 1
        begin = Operation(lambda r: r.show_call(step_id, index, begun_function(name, call_id)))
        written = [CallText(step_id, index, "function", "arguments", list(arguments))] if arguments else []
        return self.write(begin, *written)

    def hand_over(self) -> Outcome | None:
        """The calls are the client's to answer."""
        step_id = self.step_id

        def ask(recorder: Recorder) -> None:
            recorder.count(SPENT)
            calls.settle(recorder, step_id=step_id, asked={}, spent=SPENT)

        return self.write(Operation(ask))

    # ------------------------------------------------------------------------------------- endings

    def fail(self, code: str = "server_error", message: str = "Sorry, something went wrong.") -> Outcome | None:
        return self.write(Operation(lambda r: r.fail(code, message), True, True))

    def stop(self) -> Outcome | None:
        """What a worker says when it finds its run cancelling."""
        return self.write(Operation(lambda r: r.end(Status.CANCELLED), True, True))

    def run_out(self, reason: str = "max_completion_tokens") -> Outcome | None:
        """A budget is used up."""

        def short(recorder: Recorder) -> None:
            recorder.count(SPENT)
            recorder.end(Status.INCOMPLETE, incomplete_details={"reason": reason}, spent=SPENT)

        return self.write(Operation(short, True, True))
