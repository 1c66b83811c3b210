"""The worker's watch over its executions: who lost a run, and who has just ended it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from assistants.models import Assistant
from runs.models import Run
from runs.services import flushing
from runs.worker import writer as writing
from sovereign.core.database import in_database
from tests.runs.support import Model, call, end, ended, text, until, working

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ([*text("Once"), end()], "completed"),
        ([*call(0, "weather"), end("tool_calls")], "requires_action"),
    ],
)
async def test_an_execution_that_has_ended_its_run_is_not_taken_for_fenced(
    model: Model,
    begin: Callable[..., Run],
    tooled: Assistant,
    monkeypatch: pytest.MonkeyPatch,
    said: list[Any],
    status: str,
) -> None:
    """Its last commit is in the database, and its answer has not come back yet: nobody holds the run any more."""
    committed, go_on = threading.Event(), threading.Event()

    def slowly(batches: Any) -> Any:
        outcomes = flushing.flush(batches)
        if any(outcome.status == status for outcome in outcomes.values()):
            committed.set()
            go_on.wait(60)
        return outcomes

    monkeypatch.setattr(writing, "flush", slowly)
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*said)
    async with working() as worker:
        try:
            await until(committed.is_set)
            execution = worker._executions[run.id]
            await worker._watch()
            assert execution._interruption is None
        finally:
            go_on.set()
        assert (await ended(run.id)).status == status
        await until(lambda: not worker._executions)
