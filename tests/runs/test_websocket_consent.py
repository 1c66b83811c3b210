"""A person's answers over the WebSocket, to calls that wait for their consent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runs.events import EventLog
from runs.models import Run, RunStep
from runs.services import calls
from runs.services.recorder import Recorder
from runs.streaming import rights
from sovereign.accounts import services
from sovereign.accounts.models import AuditEvent, Project
from sovereign.core.database import in_database
from tests.runs.test_websocket import frame, frames_until, socket

pytestmark = pytest.mark.django_db(transaction=True)

REQUEST = {"server_label": "calendar", "name": "add_event", "arguments": {"title": "Review"}}


@pytest.fixture(autouse=True)
def fresh_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "_verdicts", {})


@pytest.fixture
def wait(begin: Callable[..., Run]) -> Callable[..., Run]:
    """``wait("call_1", …)``: a run whose calls wait for somebody's consent."""

    def make(*call_ids: str) -> Run:
        run = begin()
        Run.objects.filter(pk=run.pk).update(status="in_progress")
        run.refresh_from_db()
        function = {"name": "calendar__add_event", "arguments": "{}", "output": None}
        asked = {"tool": "calendar__add_event", "arguments": {}, "state": "asked", "approval": "needed"}
        step = RunStep.objects.create(
            run=run, position=1, type="tool_calls", asked={name: {**asked, "request": REQUEST} for name in call_ids},
            step_details={"type": "tool_calls", "tool_calls": [
                {"id": name, "type": "function", "function": function} for name in call_ids]},
        )  # fmt: skip
        with EventLog() as log:
            calls.close(Recorder(log, run), step_id=step.pk)
        return run

    return make


def kept(run: Run) -> dict[str, Any]:
    return dict(RunStep.objects.get(run=run).asked)


async def test_answers_are_taken_and_told_to_those_who_follow(wait: Callable[..., Run], api_key: str) -> None:
    run = await in_database(wait, "call_1", "call_2")
    async with socket(run.thread_id, key=api_key) as (viewer, _, _code):
        await viewer.send_json_to({"subscribe": run.id, "after": run.last_seq})
        answers = [{"call_id": "call_1", "approve": True}, {"call_id": "call_2", "approve": False, "reason": "Not now"}]
        await viewer.send_json_to({"approve": run.id, "calls": answers})
        told = await frames_until(viewer, "thread.run.queued")
    assert told[-1]["data"]["required_action"] is None
    entries = await in_database(kept, run)
    assert [(entry["approval"], entry.get("reason")) for entry in entries.values()] == [
        ("given", None),
        ("refused", "Not now"),
    ]
    noted = await in_database(lambda: sorted(AuditEvent.objects.values_list("action", flat=True)))
    assert [action for action in noted if action.startswith("run.call")] == ["run.call_approved", "run.call_refused"]


@pytest.mark.parametrize(
    ("calls_given", "words"),
    [
        (None, 'Expected "calls"'),
        ([], 'Expected "calls"'),
        ([{"call_id": "call_1"}], 'Expected "calls"'),
        ([{"call_id": "call_1", "approve": "yes"}], 'Expected "calls"'),
        ([{"call_id": "call_1", "approve": False, "reason": 7}], 'Expected "calls"'),
        (["call_1"], 'Expected "calls"'),
        ([{"call_id": "call_1", "approve": True}] * 129, 'Expected "calls"'),
        ([{"call_id": "call_9", "approve": True}], "Expected tool outputs for call_ids ['call_1', 'call_2']"),
        ([{"call_id": "call_1", "approve": True}], "Expected tool outputs for call_ids ['call_1', 'call_2']"),
    ],
)
async def test_what_is_wrong_is_told_and_changes_nothing(
    wait: Callable[..., Run], api_key: str, calls_given: Any, words: str
) -> None:
    run = await in_database(wait, "call_1", "call_2")
    async with socket(run.thread_id, key=api_key) as (viewer, _, _code):
        await viewer.send_json_to({"approve": run.id, "calls": calls_given})
        assert words in (await frame(viewer))["data"]["error"]["message"]
    await in_database(run.refresh_from_db)
    assert run.status == "requires_action"


async def test_who_may_only_read_runs_or_is_somebody_else_answers_nothing(
    wait: Callable[..., Run], project: Project, charlies_key: str
) -> None:
    run = await in_database(wait, "call_1")
    _, reader = await in_database(services.create_api_key, project=project, name="reader", scopes=["runs:read"])
    for key, words in ((reader, "runs:write"), (charlies_key, "No run found")):
        async with socket(run.thread_id, key=key) as (viewer, _, _code):
            await viewer.send_json_to({"approve": run.id, "calls": [{"call_id": "call_1", "approve": True}]})
            assert words in (await frame(viewer))["data"]["error"]["message"]
    assert (await in_database(kept, run))["call_1"]["approval"] == "needed"
