"""Where code cannot be run the tool is refused, with the reason: workers report whether they can."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError

from assistants import services as assistants
from assistants.models import Assistant
from runs.models import InterpreterReport, Run, ToolUse
from runs.sandbox import probing
from runs.sandbox.probing import Availability
from runs.services.reports import forget_interpreter, note_interpreter
from runs.tools.interpreter import reports
from runs.worker import reporting
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database, now
from sovereign.core.errors import ApiError
from tests.runs.interpreting import TOOL, finished, logs_of, runs_code
from tests.runs.support import Model, until, within, working

pytestmark = pytest.mark.django_db(transaction=True)

WHY = "Code cannot be run safely here: the moon is full."


@pytest.fixture
def coder(principal: Principal, registered: Any) -> Assistant:
    return assistants.create_assistant(principal=principal, model="tiny", instructions="Be brief.", tools=[TOOL])


def refusal(begin: Callable[..., Run], coder: Assistant) -> ApiError:
    with pytest.raises(ApiError) as caught:
        begin(assistant_id=coder.id)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "unsupported_tool", "tools[0].type")
    return caught.value


def test_without_a_report_runs_wait_for_a_worker(begin: Callable[..., Run], coder: Assistant) -> None:
    assert begin(assistant_id=coder.id).status == "queued"
    assert reports.why_unusable() == reports.UNSAID


def test_where_the_operator_wants_none_nobody_waits(begin: Callable[..., Run], coder: Assistant, settings: Any) -> None:
    settings.SOVEREIGN = replace(settings.SOVEREIGN, interpreter="none")
    assert probing.OFF in refusal(begin, coder).message


def test_the_reason_is_told(begin: Callable[..., Run], coder: Assistant) -> None:
    note_interpreter(worker="a", usable=False, reason=WHY)
    message = f"The tool 'code_interpreter' is not available on this server: {WHY}"
    assert refusal(begin, coder).message == message


def test_one_worker_that_can_is_enough(begin: Callable[..., Run], coder: Assistant) -> None:
    note_interpreter(worker="a", usable=False, reason=WHY)
    note_interpreter(worker="b", usable=True, reason="")
    assert begin(assistant_id=coder.id).status == "queued"
    assert reports.reported() == reports.Reported(workers=2, usable=1, reason="")


def test_a_worker_that_is_silent_is_not_believed(begin: Callable[..., Run], coder: Assistant) -> None:
    note_interpreter(worker="a", usable=False, reason=WHY)
    InterpreterReport.objects.update(heartbeat_at=now() - reports.FORGOTTEN - timedelta(seconds=1))
    assert begin(assistant_id=coder.id).status == "queued"
    assert reports.reported() == reports.Reported(workers=0, usable=0, reason=reports.UNSAID)


def test_reports_of_the_dead_are_removed(db: None) -> None:
    note_interpreter(worker="a", usable=True, reason="")
    InterpreterReport.objects.update(heartbeat_at=now() - timedelta(days=1))
    note_interpreter(worker="b", usable=False, reason="x" * 1_000)
    (left,) = InterpreterReport.objects.all()
    assert (left.worker, len(left.reason)) == ("b", 500)
    forget_interpreter(worker="b")
    assert not InterpreterReport.objects.exists()


def test_an_answer_is_remembered_for_a_moment(
    db: None, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(reports, "VALID", 600.0)
    reports.reported()
    with django_assert_num_queries(0):
        reports.why_unusable()


async def test_a_worker_reports_until_it_ends(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [Availability(False, WHY), RuntimeError("broken"), Availability(True)]

    async def probe() -> Availability:
        found = said[0] if len(said) == 1 else said.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    noted = []

    def note(**report: Any) -> None:
        noted.append((report["usable"], report["reason"]))
        if len(noted) == 2:
            raise DatabaseError
        note_interpreter(**report)

    monkeypatch.setattr(reporting, "probe", probe)
    monkeypatch.setattr(reporting, "note_interpreter", note)
    monkeypatch.setattr(reporting, "HEARTBEAT", 0.01)
    task = asyncio.create_task(reporting.report())
    await until(lambda: InterpreterReport.objects.filter(usable=True).exists())
    task.cancel()
    await within(asyncio.wait([task]))
    assert noted[0] == (False, WHY)
    assert noted[1] == (False, reporting.UNTRIED)
    assert set(noted[2:]) == {(True, "")}
    assert not await in_database(InterpreterReport.objects.exists)


async def test_without_a_sandbox_anywhere_the_model_is_told_and_nothing_is_run(
    model: Model, begin: Callable[..., Run], coder: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then the run is left to the worker that can."""

    async def probe() -> Availability:
        return Availability(False, WHY)

    monkeypatch.setattr("runs.sandbox.probing.probe", probe)
    await in_database(note_interpreter, worker="another", usable=True, reason="")
    run = await in_database(begin, assistant_id=coder.id)
    runs_code(model, "print(1)")
    async with working():
        await until(lambda: Run.objects.filter(pk=run.pk, lease_owner=None, status="in_progress").exists())
        assert not await in_database(ToolUse.objects.exists)
        await in_database(forget_interpreter, worker="another")
        over = await finished(run)
    assert over.crash_count == 0
    assert await in_database(logs_of, run.id) == [f"{WHY}\n"]
