"""What the tests of runs share: the scripted model, a worker in this loop, and looks at the database."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from inference.chat import (
    Availability,
    Capabilities,
    ChatRequest,
    Delta,
    Finished,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from runs.models import Run, RunEvent, RunStep
from runs.rendering import head_of, payload_of
from runs.worker.execution import Interruption
from runs.worker.worker import Worker
from sovereign.core.database import in_database, now
from threads.models import Message

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": None, "parameters": {"type": "object", "properties": {}}},
}
SPENT = Usage(prompt_tokens=10, completion_tokens=4, cached_tokens=2)
PATIENCE = 60.0  # seconds after which a condition is taken for never true


@dataclass
class Gate:
    """A point in a scripted answer where the model waits to be let on."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)


class Model:
    """Answers each call with the next script: deltas, an exception to raise, a gate to wait at."""

    def __init__(self) -> None:
        self.scripts: list[list[Any]] = []
        self.requests: list[ChatRequest] = []
        self.closed = 0  # calls that ended, in whatever way
        self.ready = True
        self.reason = ""
        self.capabilities = Capabilities(continuation=True, context_length=8_192)

    def answers(self, *script: Any) -> None:
        self.scripts.append(list(script))

    def availability(self, name: str, **_: Any) -> Availability:
        return Availability(ready=self.ready, reason=self.reason, capabilities=self.capabilities)

    def availabilities(self, names: Iterable[str], **_: Any) -> dict[str, Availability]:
        return {name: self.availability(name) for name in names}

    async def stream(self, request: ChatRequest) -> AsyncIterator[Delta]:
        self.requests.append(request)
        try:
            for step in self.scripts.pop(0):
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, Gate):
                    step.reached.set()
                    await step.opened.wait()
                else:
                    yield step
        finally:
            self.closed += 1


def text(*pieces: str) -> list[Delta]:
    return [TextDelta(piece) for piece in pieces]


def call(index: int, name: str | None, *arguments: str) -> list[Delta]:
    """One tool call, its arguments in pieces."""
    pieces = arguments or ("{}",)
    first = ToolCallDelta(index, f"engine-{index}", name, "")
    return [first, *(ToolCallDelta(index, None, None, piece) for piece in pieces)]


def end(reason: Any = "stop", spent: Usage = SPENT) -> Finished:
    return Finished(reason, spent)


@contextlib.asynccontextmanager
async def working(*, drain: float = 0.0, concurrency: int = 8) -> AsyncIterator[Worker]:
    """A worker in the running loop, stopped in good order at the end."""
    stop, worker = asyncio.Event(), Worker(concurrency=concurrency, drain=drain)
    task = asyncio.create_task(worker.run(stop))
    try:
        yield worker
    finally:
        stop.set()
        await task


async def until(condition: Callable[[], Any]) -> Any:
    """Wait for what the database (or the loop) will show; the condition runs as the ORM's code does."""
    async with asyncio.timeout(PATIENCE):
        while not (value := await in_database(condition)):
            await asyncio.sleep(0.01)
        return value


async def within(awaitable: Awaitable[Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await awaitable


async def ended(run_id: str) -> Run:
    """The run once it rests: over, or waiting for tool outputs."""
    resting = ("completed", "incomplete", "failed", "cancelled", "expired", "requires_action")
    return await until(lambda: Run.objects.filter(pk=run_id, status__in=resting).first())  # type: ignore[no-any-return]


async def kill(worker: Worker, run_id: str) -> None:
    """What a worker's death leaves: no last word, a lease that runs out (here at once)."""
    execution = worker._executions[run_id]
    execution.interrupt(Interruption.FENCE)
    await asyncio.wait([execution.task])
    await in_database(age_lease, run_id)


def age_lease(run_id: str) -> None:
    Run.objects.filter(pk=run_id).update(lease_expires_at=now() - timedelta(seconds=1))


def age_run(run_id: str) -> None:
    """The run's end of life has come."""
    Run.objects.filter(pk=run_id).update(expires_at=now() - timedelta(seconds=1))


def names(run_id: str) -> list[str]:
    """The run's event types, without the common prefix, repeated deltas as one."""
    types = [row.removeprefix("thread.") for row in types_of(run_id)]
    return [name for index, name in enumerate(types) if not (name.endswith("delta") and types[index - 1] == name)]


def types_of(run_id: str) -> list[str]:
    return list(RunEvent.objects.after(run_id, 0).values_list("type", flat=True))


def payloads(run_id: str, kind: str = "") -> list[dict[str, Any]]:
    """The run's events as they are sent, of one type or all."""
    head = head_of(Run.objects.select_related("configuration").get(pk=run_id))
    rows = RunEvent.objects.after(run_id, 0)
    return [payload_of(head, row.type, row.data) for row in rows if not kind or row.type == f"thread.{kind}"]


def streamed_text(run_id: str) -> str:
    """All text deltas of the run, put together as a client does."""
    deltas = payloads(run_id, "message.delta")
    parts = (part for delta in deltas for part in delta["delta"]["content"])
    return "".join(part["text"]["value"] for part in parts if part["type"] == "text")


def sequence(run_id: str) -> list[int]:
    return list(RunEvent.objects.after(run_id, 0).values_list("seq", flat=True))


def answer_of(run_id: str) -> Message:
    return Message.objects.get(run_id=run_id, role="assistant")


def steps_of(run_id: str) -> list[RunStep]:
    return list(RunStep.objects.of_run(run_id).order_by("position"))


def asked_calls(run: Run) -> list[dict[str, Any]]:
    """The calls a run waits for."""
    calls: list[dict[str, Any]] = run.required_action["submit_tool_outputs"]["tool_calls"]
    return calls


def outputs_for(run: Run, **outputs: Any) -> list[dict[str, Any]]:
    return [
        {"tool_call_id": asked["id"], "output": outputs.get("output", json.dumps(index))}
        for index, asked in enumerate(asked_calls(run))
    ]
