"""What the chat says of what stands in the way of an answer, and of how full a model's context is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from assistants.models import Assistant
from assistants.services import create_assistant, update_assistant
from inference.models import Engine
from runs.models import Run, RunStep
from runs.services.queueing import place_of
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.core.ids import new_id
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db

Ask = Callable[..., Any]


@pytest.fixture
def state(visit: Callable[[User], Client], alice: User) -> Ask:
    """``state(assistant=…, thread=…, user=…)`` as a page asks for it."""

    def ask(user: User = alice, **query: str) -> Any:
        return visit(user).get("/chat/state.json", query)

    return ask


def again(run: Run, *, minutes: int, **changes: Any) -> Run:
    """Another run that waits, so many minutes later, on a thread of its own."""
    thread = Thread.objects.create(project_id=changes.get("project_id", run.project_id))
    other = Run.objects.get(pk=run.pk)
    other.pk, other.thread_id = new_id("run"), thread.pk
    for name, value in changes.items():
        setattr(other, name, value)
    other.save(force_insert=True)
    Run.objects.filter(pk=other.pk).update(created_at=run.created_at + timedelta(minutes=minutes))
    return other


def test_a_run_has_its_place_among_those_that_go_before_it(run: Run, charlies_project: Project) -> None:
    older = again(run, minutes=-2)
    urgent = again(run, minutes=1, priority=5)
    elsewhere = again(run, minutes=-1, project_id=charlies_project.pk)
    again(run, minutes=2, project_id=charlies_project.pk, priority=9)  # more urgent to its own project alone
    again(run, minutes=-3, model="another")
    again(run, minutes=-4, status="in_progress")
    assert [place_of(Run.objects.get(pk=one.pk)) for one in (urgent, older, elsewhere, run)] == [2, 2, 3, 4]
    Run.objects.filter(pk=run.pk).update(status="in_progress")
    assert place_of(Run.objects.get(pk=run.pk)) is None


def test_a_waiting_run_is_told_its_place_and_its_engine(
    state: Ask, run: Run, assistant: Assistant, engine: Callable[..., Engine]
) -> None:
    engine(state="loading", seconds=40, reason="Loading the weights (40 %).")
    told = state(assistant=assistant.id, thread=run.thread_id).json()
    assert told["place"] == 1
    assert told["engine"]["state"] == "loading"
    assert told["engine"]["sentence"].startswith(("Loading fake, 40 %: 4", "Loading fake, 40 %: 5"))
    Engine.objects.update(state="ready", reason="", last_token_at=timezone.now())
    assert state(assistant=assistant.id).json()["engine"] == {"state": "ready", "sentence": ""}


def test_who_is_no_staff_hears_that_an_engine_is_down_and_not_why(
    state: Ask, assistant: Assistant, engine: Callable[..., Engine], alice: User
) -> None:
    engine(state="down", reason="10.0.0.7:8001 refused the connection.")
    User.objects.update(is_staff=False)
    sentence = state(User.objects.get(pk=alice.pk), assistant=assistant.id).json()["engine"]["sentence"]
    assert sentence.startswith("Down since")
    assert "10.0.0.7" not in sentence


def test_looking_wakes_no_engine(state: Ask, assistant: Assistant, engine: Callable[..., Engine]) -> None:
    asleep = engine(state="asleep")
    assert state(assistant=assistant.id).json()["engine"]["state"] == "asleep"
    asleep.refresh_from_db()
    assert asleep.wanted_at is None


@pytest.mark.parametrize(
    ("fields", "sees", "takes"),
    [
        ({}, True, {"images": True, "tools": []}),
        ({}, False, {"images": False, "tools": []}),
        ({"capabilities": ["tools"]}, True, {"images": False, "tools": []}),
        ({"tools": [{"type": "file_search"}, {"type": "code_interpreter"}]}, False,
         {"images": False, "tools": ["file_search", "code_interpreter"]}),
    ],
)  # fmt: skip
def test_what_an_assistant_takes_is_what_its_model_and_tools_can_use(
    fields: dict[str, Any], sees: bool, takes: dict[str, Any],
    state: Ask, assistant: Assistant, engine: Callable[..., Engine], principal: Principal,
) -> None:  # fmt: skip
    served = [{"id": "fake", "context_length": 2048, "abilities": {"vision": sees}}]
    Engine.objects.filter(pk=engine(state="ready", token_age=0).pk).update(served=served)
    update_assistant(principal=principal, assistant_id=assistant.id, **fields)
    assert state(assistant=assistant.id).json()["takes"] == takes


def test_nothing_is_told_of_what_is_not_theirs(
    state: Ask, assistant: Assistant, run: Run, charlie: User, principal: Principal
) -> None:
    assert state(charlie, assistant=assistant.id).status_code == 404
    private = create_assistant(principal=principal, model="fake", name="Mine", visibility="private")
    assert state(charlie, assistant=private.id).status_code == 404
    assert state(assistant="asst_unknown").status_code == state().status_code == 404
    assert state(assistant="a\x00b").status_code in (400, 404)
    Thread.objects.update(owner_id=charlie.pk)
    assert state(assistant=assistant.id, thread=run.thread_id).json()["place"] is None


def test_the_context_is_measured_by_the_last_call(
    visit: Callable[[User], Client], alice: User, charlie: User, run: Run, engine: Callable[..., Engine]
) -> None:
    engine(state="ready", token_age=0)
    path = f"/chat/{run.thread_id}/context.json"
    assert visit(alice).get(path).json() == {"context": None}
    Run.objects.update(status="completed", prompt_tokens=3000, completion_tokens=90)
    usage = {"prompt_tokens": 1400, "completion_tokens": 75, "total_tokens": 1475}
    RunStep.objects.create(run=run, position=1, type="tool_calls", status="completed", step_details={}, usage=usage)
    told = visit(alice).get(path).json()["context"]
    assert told == {"used": 1475, "length": 2048, "percent": 72, "cut": None}
    assert visit(charlie).get(path).status_code == 404


def test_a_thread_that_is_longer_than_the_context_says_what_becomes_of_the_rest(
    visit: Callable[[User], Client], alice: User, run: Run, engine: Callable[..., Engine]
) -> None:
    engine(state="ready", token_age=0)
    Run.objects.update(status="completed", prompt_tokens=2000, completion_tokens=100)
    content = [{"type": "text", "text": {"value": "word " * 600, "annotations": []}}]
    for position in range(2, 6):
        Message.objects.create(
            project_id=run.project_id, thread_id=run.thread_id, position=position, role="user", content=content
        )
    told = visit(alice).get(f"/chat/{run.thread_id}/context.json").json()["context"]
    assert (told["percent"], told["cut"]) == (100, "left_out")
