"""A tool that repeats what it is told, and runs that have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest

from assistants.models import Assistant
from runs.models import Run, RunStep, ToolUse
from runs.services import control
from runs.tools import EXTENSIONS
from runs.tools.base import Surroundings, ToolFailed
from runs.tools.functions import FunctionTool
from sovereign.accounts.principals import Principal
from tests.runs.support import Gate, asked_calls, call

ECHO = {"type": "echo"}
ASKED = call(0, "echo", '{"say"', ': "hello"}')


class Echo(FunctionTool):
    """Says what it is told, as the test wants it."""

    kind: ClassVar[str] = "echo"
    name, description = "echo", "Repeat a text."
    parameters: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"say": {"type": "string", "pattern": "^(a+)+$"}},
        "required": ["say"],
        "additionalProperties": False,
    }
    answered: ClassVar[list[str]] = []
    gate: ClassVar[Gate | None] = None

    def __init__(self, settings: dict[str, Any], surroundings: Surroundings) -> None:
        super().__init__(settings, surroundings)
        self.repeatable = settings.get("repeatable", True)
        self.timeout = settings.get("timeout", 60.0)

    def approval(self, arguments: dict[str, Any]) -> dict[str, Any] | None:
        wanted = self.settings.get("approval")
        if not wanted or "given" not in arguments:
            return None
        return {"server_label": wanted, "name": "echo", "arguments": arguments["given"]}

    async def answer(self, arguments: dict[str, Any]) -> str:
        self.answered.append(arguments["say"])
        if self.gate is not None:
            self.gate.reached.set()
            await self.gate.opened.wait()
        if arguments["say"] == "fail":
            raise ToolFailed("There is nothing to say.")
        return arguments["say"] * self.settings.get("times", 1)


@pytest.fixture(autouse=True)
def echo(monkeypatch: pytest.MonkeyPatch) -> type[Echo]:
    def make(entry: dict[str, Any], surroundings: Surroundings) -> Sequence[FunctionTool]:
        return [Echo(entry, surroundings)]

    monkeypatch.setitem(EXTENSIONS, "echo", make)
    monkeypatch.setattr(Echo, "answered", [])
    return Echo


@pytest.fixture
def ask(begin: Callable[..., Run], assistant: Assistant) -> Callable[..., Run]:
    """``ask(entry, *tools)``: a queued run that has the echo, and tools of the contract."""

    def make(entry: dict[str, Any] = ECHO, *tools: dict[str, Any]) -> Run:
        Assistant.objects.filter(pk=assistant.pk).update(server_tools=[entry], tools=[*tools])
        return begin()

    return make


def output_of(step: RunStep, index: int = 0) -> str:
    return str(step.tool_calls[index]["function"]["output"])


def uses() -> list[tuple[str, str, str]]:
    return list(ToolUse.objects.order_by("created_at", "id").values_list("kind", "tool", "outcome"))


def submit(principal: Principal, run: Run, **outputs: str) -> None:
    """Answer what the run waits for, by the names of the functions."""
    given = [{"tool_call_id": asked["id"], "output": outputs[asked["function"]["name"]]} for asked in asked_calls(run)]
    control.submit_tool_outputs(principal=principal, thread_id=run.thread_id, run_id=run.id, tool_outputs=given)
