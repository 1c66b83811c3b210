"""What the tests of the built-in tools share: one call, as a worker makes it."""

from __future__ import annotations

import json
from typing import Any

from inference.chat import Attribution
from runs.tools.base import Call, Surroundings, ToolFailed, Work
from runs.tools.functions import FunctionTool


def surroundings(
    *, project_id: str = "proj_x", thread_id: str = "thread_x", user_id: int | None = None, key_id: str | None = None
) -> Surroundings:
    return Surroundings(
        project_id=project_id,
        thread_id=thread_id,
        run_id="run_x",
        model="tiny",
        resources=({}, {}),
        attribution=Attribution(project=project_id, key=key_id, user=None if user_id is None else str(user_id)),
    )


async def called(tool: FunctionTool, text: str) -> tuple[str, str]:
    """``text``: what the model wrote. Gives what it is told: an answer and "", or "" and what is wrong."""

    async def show(delta: Call) -> None:
        raise AssertionError("nothing is shown while it works")

    call = tool.begun(tool.name, "call_x")
    try:
        done = await tool.carry_out(call, tool.arguments(text), Work(step_id="step_x", index=0, done=(), show=show))
    except ToolFailed as failure:
        return "", failure.message
    return tool.told(done, position=0, earlier=(), room=65_536), ""


async def asked(tool: FunctionTool, **arguments: Any) -> str:
    """The answer to a call with these arguments."""
    answer, wrong = await called(tool, json.dumps(arguments))
    assert not wrong
    return answer


async def refused(tool: FunctionTool, **arguments: Any) -> str:
    """Why there is no answer."""
    answer, wrong = await called(tool, json.dumps(arguments))
    assert not answer
    return wrong
