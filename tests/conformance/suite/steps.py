"""The two operations of run steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.conformance.expectations import Expectation, Need
from tests.conformance.matching import require
from tests.conformance.objects import CALL_ID, page, step
from tests.conformance.reasons import (
    STEP_FIELDS,
)
from tests.conformance.suite.shared import lists
from tests.conformance.suite.vocabulary import (
    SPELLINGS,
    does,
    including,
    unknown_include,
)
from tests.conformance.world import World, path_of

# ------------------------------------------------------------------------------------------------------ steps


def expectations() -> Iterator[Expectation]:
    yield from lists(
        "listRunSteps",
        lambda world: path_of(_looped(world), "/steps"),
        lambda world: [one["id"] for one in _looped(world)["steps"]],
        Need.ENGINE,
    )
    for reason in (STEP_FIELDS,):
        yield does("listRunSteps", "a message step, the whole object", _whole_message_step, reason=reason)
        yield does("getRunStep", "a tool step, the whole object", _whole_tool_step, reason=reason, needs=Need.ENGINE)
    yield does("getRunStep", "a tool step while the run waits: in progress", _open_tool_step, needs=Need.ENGINE)
    for label, query in SPELLINGS.items():
        yield does("listRunSteps", label, including("GET", "/steps", query), "include[]")
        yield does("getRunStep", label, including("GET", "/steps/one", query), "include[]")
    yield from unknown_include("listRunSteps")
    yield from unknown_include("getRunStep")


def _looped(world: World) -> dict[str, Any]:
    """A completed run with its five steps, oldest first: four rounds of tools, and an answer."""

    def make() -> dict[str, Any]:
        run = world.new_waiting_run("rounds=4")
        while run["status"] == "requires_action":
            world.post(path_of(run, "/submit_tool_outputs"), world.outputs_for(run))
            run = world.rested(run)
        return {**run, "steps": world.get(path_of(run, "/steps?order=asc"))["data"]}

    return world.cached("looped run", make)


def _whole_message_step(world: World) -> None:
    run = world.completed_run
    found = world.get(path_of(run, "/steps"))
    (only,) = found["data"]
    require(step(run), only, "the step")
    require(page([only], more=False), found, "the answer")
    message = only["step_details"]["message_creation"]["message_id"]
    require(run["id"], world.get(f"/threads/{run['thread_id']}/messages/{message}")["run_id"], "the message's run_id")


def _whole_tool_step(world: World) -> None:
    run = world.new_waiting_run()
    world.post(path_of(run, "/submit_tool_outputs"), world.outputs_for(run))
    world.rested(run)
    oldest = world.get(path_of(run, "/steps?order=asc"))["data"][0]
    found = world.get(path_of(run, f"/steps/{oldest['id']}"))
    require(step(run, type="tool_calls", step_details=_calls("42")), found, "the answer")


def _calls(output: str | None) -> dict[str, Any]:
    calls = [
        {
            "id": CALL_ID,
            "type": "function",
            "function": {"name": "look_up", "arguments": f'{{"number": {number}}}', "output": output},
        }
        for number in range(2)
    ]
    return {"type": "tool_calls", "tool_calls": calls}


def _open_tool_step(world: World) -> None:
    run = world.waiting_run
    (only,) = world.get(path_of(run, "/steps"))["data"]
    opened = {"status": "in_progress", "completed_at": None, "expires_at": run["expires_at"], "usage": None}
    require(step(run, type="tool_calls", **opened, step_details=_calls(None)), only, "the step")
