"""Another member's chat is read by a role that may, and that is noted, whichever door it is read through."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from assistants.models import Assistant
from runs.models import Run, RunStep
from runs.services import creation
from runs.streaming.consumer import ThreadConsumer
from runs.streaming.rights import Rights
from sovereign.accounts import credentials
from sovereign.accounts.models import AuditEvent, User
from sovereign.accounts.principals import Principal
from threads.models import Message, Thread
from threads.services import NOTED_FOR, note_reading

pytestmark = pytest.mark.django_db

PATHS = (
    "",
    "/messages",
    "/messages/{message}",
    "/runs",
    "/runs/{run}",
    "/runs/{run}/steps",
    "/runs/{run}/steps/{step}",
)


@pytest.fixture
def chat(alice: User, assistant: Assistant) -> Run:
    """A run in Alice's own chat."""
    messages = [{"role": "user", "content": "Between us"}]
    person = credentials.principal_of_person(alice.pk)
    return creation.create_thread_and_run(
        principal=person, assistant_id=assistant.id, thread={"messages": messages}
    ).run


def paths(run: Run) -> list[str]:
    step = RunStep.objects.create(run=run, position=1, type="tool_calls", step_details={"type": "tool_calls"})
    message = Message.objects.get(thread_id=run.thread_id)
    names = {"run": run.pk, "step": step.pk, "message": message.pk}
    return [f"/v1/threads/{run.thread_id}{path.format(**names)}" for path in PATHS]


def readings() -> list[tuple[int | None, str, str]]:
    found = AuditEvent.objects.filter(action="thread.read")
    return list(found.values_list("user_id", "object_type", "object_id"))


@pytest.mark.parametrize("number", range(len(PATHS)))
def test_every_door_notes_who_reads_anothers_chat(
    number: int, chat: Run, bob: User, alice: User, browser_of: Callable[[User], Client]
) -> None:
    path = paths(chat)[number]
    assert browser_of(alice).get(path).status_code == 200
    assert readings() == []
    for _ in range(3):
        assert browser_of(bob).get(path).status_code == 200
    assert readings() == [(bob.pk, "thread", chat.thread_id)]  # and not once a poll


CHANGES = {
    "": "in_progress",
    "/messages/{message}": "in_progress",
    "/runs": "completed",
    "/runs/{run}": "in_progress",
    "/runs/{run}/cancel": "in_progress",
    "/runs/{run}/submit_tool_outputs": "requires_action",
}


@pytest.mark.parametrize("path", CHANGES)
def test_so_does_a_change_whose_answer_shows_it(path: str, chat: Run, bob: User, client: Client) -> None:
    calls = [{"id": "call_x", "type": "function", "function": {"name": "f", "arguments": "{}", "output": None}}]
    RunStep.objects.create(
        run=chat, position=1, type="tool_calls", step_details={"type": "tool_calls", "tool_calls": calls}
    )
    Run.objects.update(status=CHANGES[path])
    Thread.objects.update(active_run_id=None if path == "/runs" else chat.pk)
    bodies: dict[str, Any] = {
        "/runs": {"assistant_id": chat.assistant_id},
        "/runs/{run}/submit_tool_outputs": {"tool_outputs": [{"output": "x"}]},
    }
    names = {"run": chat.pk, "message": Message.objects.get().pk}
    client.force_login(bob)
    url = f"/v1/threads/{chat.thread_id}{path.format(**names)}"
    answer = client.post(url, bodies.get(path, {}), content_type="application/json")
    assert answer.status_code == 200, answer.content
    assert readings() == [(bob.pk, "thread", chat.thread_id)]


def test_so_does_the_websocket(chat: Run, bob: User) -> None:
    consumer: Any = ThreadConsumer()
    consumer.rights = Rights(credentials.principal_of_person(bob.pk))
    consumer._thread_id = chat.thread_id
    for _ in range(2):
        consumer._check_visible(chat.pk)
    assert readings() == [(bob.pk, "thread", chat.thread_id)]


def test_after_an_hour_a_reading_is_noted_again(chat: Run, bob: User, browser_of: Callable[[User], Client]) -> None:
    browser, path = browser_of(bob), f"/v1/threads/{chat.thread_id}"
    browser.get(path)
    AuditEvent.objects.update(created_at=timezone.now() - NOTED_FOR - timedelta(seconds=1))
    browser.get(path)
    assert len(readings()) == 2


def test_threads_of_programs_cost_nothing(
    begin: Callable[..., Run], api: APIClient, principal: Principal, django_assert_num_queries: Any
) -> None:
    run = begin()
    thread = Thread.objects.get(pk=run.thread_id)
    with django_assert_num_queries(0):
        note_reading(principal=principal, thread=thread)
    for path in paths(run):
        assert api.get(path).status_code == 200
    assert readings() == []
