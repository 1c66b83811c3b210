"""What a worker does for a run beside calling its model: tools are carried out, files are waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson

from assistants.knowledge.services.pending import files_in_progress
from inference.chat import Usage
from runs.models import Run
from runs.services.flushing import Operation
from runs.services.recorder import Recorder
from runs.tools.file_search import FileSearch
from runs.tools.toolbox import Toolbox
from runs.worker.conversation import BEFOREHAND
from runs.worker.planning import Plan
from runs.worker.rebuild import Errand
from sovereign.core.database import in_database, now
from sovereign.core.ids import new_id

FILES_PATIENCE = timedelta(seconds=60)  # that a run waits for the files of its thread, from its start
FILES_PAUSE = 0.25  # seconds between two looks


async def carry_out(errand: Errand, toolbox: Toolbox) -> list[dict[str, Any]]:
    """What comes of the calls that are to be carried out here, one after the other.

    :raises InferenceError: the run cannot go on.
    """
    done: list[dict[str, Any]] = []
    for call in errand.calls:
        tool = toolbox.of_type(call["type"])
        if tool is not None and call["id"] in errand.asked:
            done.append(await tool.carry_out(call, errand.asked[call["id"]]["arguments"], done))
    return done


def search_beforehand(plan: Plan) -> Operation:
    """Record that the files are to be searched before the model is asked: carried out like what a model asks."""
    tool = plan.toolbox.of_type(FileSearch.type)
    assert tool is not None
    step_id, call_id = new_id("step_"), new_id("call_")
    arguments = tool.arguments(orjson.dumps({"query": plan.query}).decode())
    asked = {call_id: {"arguments": arguments, BEFOREHAND: True}}

    def begin(recorder: Recorder) -> None:
        recorder.begin_tool_calls(step_id=step_id)
        recorder.show_call(step_id, 0, tool.begun(call_id))
        recorder.settle_calls(step_id=step_id, asked=asked, spent=Usage(0, 0))

    return Operation(begin)


async def wait_for_files(run: Run, store_ids: Sequence[str]) -> None:
    """Wait until the files of these stores are ready, or for as long as a run does."""
    while await in_database(_waits, run, store_ids):
        await asyncio.sleep(FILES_PAUSE)


def _waits(run: Run, store_ids: Sequence[str]) -> bool:
    return run.started_at is not None and now() < run.started_at + FILES_PATIENCE and files_in_progress(store_ids) > 0
