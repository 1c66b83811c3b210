"""What the tests of the code interpreter share: a sandbox that is really there, and looks at what a run made."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from assistants.knowledge.models import File
from assistants.knowledge.services import files
from inference.chat import Delta, Usage
from runs.models import Run
from runs.sandbox import probing
from runs.services.reports import note_interpreter
from runs.tools.interpreter import hosting
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.support import Model, call, end, ended, payloads, steps_of, text
from tests.support.fixtures import skip_ring

NAME = "code_interpreter"
TOOL = {"type": NAME}


@pytest_asyncio.fixture
async def sandbox(transactional_db: None) -> AsyncIterator[None]:
    """Code can be run here, and a worker has said so."""
    found = await probing.probe()
    if not found.usable:
        skip_ring(found.reason)
    await in_database(note_interpreter, worker="w", usable=True, reason="")
    yield
    await hosting.close()


def runs_code(model: Model, *codes: str, answer: tuple[str, ...] = ("Done.",)) -> None:
    """The model has these codes run, each in a turn of its own, and answers."""
    for code in codes:
        model.answers(*calls_code(code), end("tool_calls", Usage(20, 5)))
    model.answers(*text(*answer), end("stop", Usage(30, 6)))


def calls_code(code: str, index: int = 0) -> list[Delta]:
    written = json.dumps({"code": code})
    return call(index, NAME, *(written[start : start + 7] for start in range(0, len(written), 7)))


def work_of(run_id: str) -> list[dict[str, Any]]:
    """What came of each code of a run."""
    steps = [step for step in steps_of(run_id) if step.type == "tool_calls"]
    return [made[NAME] for step in steps for made in step.tool_calls if made["type"] == NAME]


def logs_of(run_id: str) -> list[str]:
    """What each code of a run printed."""
    return ["".join(output.get("logs", "") for output in work["outputs"]) for work in work_of(run_id)]


def shown_logs(run_id: str) -> list[str]:
    """What each code of a run printed, as clients saw it come."""
    shown: dict[tuple[str, int], str] = {}
    for delta in payloads(run_id, "run.step.delta"):
        for made in delta["delta"]["step_details"]["tool_calls"]:
            place = delta["id"], made["index"]
            outputs = made[NAME].get("outputs", ())
            shown[place] = shown.get(place, "") + "".join(output.get("logs", "") for output in outputs)
    return list(shown.values())


def told_by(model: Model) -> list[str]:
    """What the model was told of its calls before its last answer."""
    return [message["content"] for message in model.requests[-1].messages if message["role"] == "tool"]


async def finished(run: Run) -> Run:
    over = await ended(run.id)
    assert (over.status, over.last_error) == ("completed", None)
    return over


def make_file(principal: Principal, name: str, content: bytes) -> File:
    return files.store_file(principal=principal, purpose="assistants", filename=name, chunks=[content])


def content_of(file_id: str) -> bytes:
    with files.open_content(File.objects.get(pk=file_id)) as stream:
        return stream.read()
