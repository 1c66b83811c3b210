"""What the chat asks of the tools behind an answer: the person's own threads, bounded, and nothing that still moves."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from runs.models import Run, RunStep
from runs.services import feedback
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import User
from sovereign.web.chat.steps import SHOWN

pytestmark = pytest.mark.django_db

NOTHING: dict[str, Any] = {"data": [], "requests": [], "ratings": {}, "comments": {}, "origins": {}}


def step(run: Run, position: int, *, status: str = "completed", output: str = "42", **asked: Any) -> RunStep:
    function = {"name": "calculator", "arguments": '{"of": "6*7"}', "output": output}
    call = {"id": f"call_{position}", "type": "function", "function": function}
    return RunStep.objects.create(
        run=run, position=position, type="tool_calls", status=status,
        step_details={"type": "tool_calls", "tool_calls": [call]},
        asked={call["id"]: {"tool": "calculator", "arguments": {"given": {"of": "6*7"}}, "state": "done", **asked}},
    )  # fmt: skip


def steps_of(client: Client, run: Run, **query: Any) -> Any:
    return client.get(f"/chat/{run.thread_id}/steps.json", {"run": run.pk, **query})


def test_ended_steps_are_told_in_order_with_what_events_do_not_say(
    alice: User, run: Run, visit: Callable[[User], Client]
) -> None:
    step(run, 2, seconds=0.25, approval="given")
    step(run, 1, seconds=0.5)
    step(run, 3, status="in_progress")
    answer = steps_of(visit(alice), run)
    first, second = answer.json()["data"]
    assert [first["asked"], second["asked"]] == [
        {"call_1": {"seconds": 0.5}},
        {"call_2": {"seconds": 0.25, "approval": "given"}},
    ]
    assert (first["run_id"], first["status"]) == (run.pk, "completed")
    assert first["step_details"]["tool_calls"][0]["function"]["output"] == "42"
    assert answer["Cache-Control"] == "no-store"


def test_what_came_of_a_call_is_told(alice: User, run: Run, visit: Callable[[User], Client]) -> None:
    step(run, 1, seconds=0.5, outcome="raised")
    assert steps_of(visit(alice), run).json()["data"][0]["asked"] == {"call_1": {"seconds": 0.5, "outcome": "raised"}}


def test_what_was_searched_for_is_told(alice: User, run: Run, visit: Callable[[User], Client]) -> None:
    searched = step(run, 1)
    RunStep.objects.filter(pk=searched.pk).update(asked={"call_1": {"arguments": {"query": "trains"}}})
    assert steps_of(visit(alice), run).json()["data"][0]["asked"] == {"call_1": {"query": "trains"}}


def test_what_is_to_be_approved_is_told_by_what_the_step_keeps(
    alice: User, run: Run, visit: Callable[[User], Client]
) -> None:
    """A model may call a function of the application by any name."""
    waiting = step(run, 1, status="in_progress", approval="needed", request={"name": "add_event"})
    forged = {"name": "mcp_approval_request", "arguments": '{"name": "add_event"}', "output": None}
    waiting.step_details["tool_calls"].append({"id": "call_2", "type": "function", "function": forged})
    waiting.save()
    assert steps_of(visit(alice), run).json() == {
        "data": [],
        "requests": [],
        "ratings": {},
        "comments": {},
        "origins": {},
        "tries": {},
    }  # it goes on
    Run.objects.filter(pk=run.pk).update(status="requires_action")
    assert steps_of(visit(alice), run).json() == {
        "data": [],
        "requests": ["call_1"],
        "ratings": {},
        "comments": {},
        "origins": {},
        "tries": {},
    }


def test_long_texts_are_cut(alice: User, run: Run, visit: Callable[[User], Client]) -> None:
    step(run, 1, output="x" * (SHOWN + 7))
    output = steps_of(visit(alice), run).json()["data"][0]["step_details"]["tool_calls"][0]["function"]["output"]
    assert output == "x" * SHOWN + "…\n[7 more characters]"


def test_the_steps_of_others_do_not_exist(
    alice: User, bob: User, charlie: User, run: Run, visit: Callable[[User], Client]
) -> None:
    step(run, 1)
    for person in (bob, charlie):
        assert steps_of(visit(person), run).status_code == 404
    other = visit(alice).get(f"/chat/{run.thread_id}/steps.json", {"run": "run_other"})
    assert other.json()["data"] == []
    assert Client().get(f"/chat/{run.thread_id}/steps.json").status_code == 401


def test_what_the_person_thinks_of_the_runs_that_are_over_is_told(
    alice: User, bob: User, run: Run, visit: Callable[[User], Client]
) -> None:
    client = visit(alice)
    assert steps_of(client, run).json()["ratings"] == {}, "it is not over"
    Run.objects.filter(pk=run.pk).update(status="completed")
    feedback.rate(principal=principal_of_person(bob.pk), run_id=run.pk, rating="down")
    assert steps_of(client, run).json()["ratings"] == {run.pk: None}, "what others think is theirs"
    feedback.rate(principal=principal_of_person(alice.pk), run_id=run.pk, rating="up")
    assert steps_of(client, run).json()["ratings"] == {run.pk: "up"}


def test_what_the_person_said_and_what_made_the_answer_are_told(
    alice: User, bob: User, run: Run, visit: Callable[[User], Client]
) -> None:
    client = visit(alice)
    Run.objects.filter(pk=run.pk).update(status="completed", environment="production")
    for person, comment in ((alice, "Too long."), (bob, "Mine.")):
        feedback.rate(principal=principal_of_person(person.pk), run_id=run.pk, rating="down", comment=comment)
    told = steps_of(client, run).json()
    assert told["comments"] == {run.pk: "Too long."}
    assert told["origins"] == {run.pk: "Draft: nothing was deployed in Production"}
    Run.objects.filter(pk=run.pk).update(environment=None)
    assert steps_of(client, run).json()["origins"] == {run.pk: "Draft"}
