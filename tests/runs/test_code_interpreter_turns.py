"""Code among the other calls of one turn: in which order clients see what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assistants import services as assistants
from runs.models import Run
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.interpreting import NAME, TOOL, calls_code, finished, logs_of, sandbox
from tests.runs.support import WEATHER, Model, call, end, ended, payloads, text, working

__all__ = ["sandbox"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def run(begin: Callable[..., Run], principal: Principal, registered: Any) -> Run:
    tools = [TOOL, WEATHER]
    return begin(assistant_id=assistants.create_assistant(principal=principal, model="tiny", tools=tools).id)


def shown(run_id: str) -> list[dict[str, Any]]:
    """The calls' deltas, in order."""
    deltas = payloads(run_id, "run.step.delta")
    return [made for delta in deltas for made in delta["delta"]["step_details"]["tool_calls"]]


def shown_outputs(run_id: str) -> list[tuple[int, str]]:
    """The outputs that clients saw come: the call's place, and what was printed."""
    return [
        (made["index"], output["logs"])
        for made in shown(run_id)
        if made["type"] == NAME
        for output in made[NAME].get("outputs", ())
    ]


async def test_no_delta_is_of_an_earlier_call_than_the_one_before(model: Model, run: Run) -> None:
    model.answers(*calls_code("print('a')"), *call(1, "weather"), end("tool_calls"))
    async with working():
        over = await ended(run.id)
    assert (over.status, over.last_error) == ("requires_action", None)
    places = [made["index"] for made in await in_database(shown, run.id)]
    assert places == sorted(places)
    assert await in_database(shown_outputs, run.id) == []
    assert await in_database(logs_of, run.id) == ["a\n"]


async def test_of_several_codes_the_last_ones_output_is_shown_while_it_comes(model: Model, run: Run) -> None:
    model.answers(*calls_code("print('a')"), *calls_code("print('b')", 1), end("tool_calls"))
    model.answers(*text("Done."), end())
    async with working():
        await finished(run)
    places = [made["index"] for made in await in_database(shown, run.id)]
    assert places == sorted(places)
    assert await in_database(shown_outputs, run.id) == [(1, "b\n")]
    assert await in_database(logs_of, run.id) == ["a\n", "b\n"]
