"""An assistant's conversations as they go on: a tab of its page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from assistants.models import Assistant
from runs.conversations import services
from runs.models import Feedback, Run, RunStep
from runs.services import creation
from sovereign.accounts import services as accounts
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from sovereign.core.database import now
from tests.web.conftest import EVIL, EVIL_MARKS, visit
from threads.models import Thread
from threads.services import create_thread

pytestmark = pytest.mark.django_db

__all__ = ["visit"]


def page(assistant: Assistant) -> str:
    return reverse("admin:assistant_conversations", args=[quote(assistant.pk)])


def ask(principal: Principal, assistant: Assistant, words: str, **fields: Any) -> Run:
    message = {"role": "user", "content": words}
    run = creation.create_thread_and_run(
        principal=principal, assistant_id=assistant.pk, thread={"messages": [message]}
    ).run
    over = fields.get("status", "queued") not in ("queued", "in_progress", "requires_action")
    Run.objects.filter(pk=run.pk).update(**fields)
    if over:
        Thread.objects.filter(pk=run.thread_id).update(active_run_id=None)
    run.refresh_from_db()
    return run


def rows(client: Client, assistant: Assistant, **query: str) -> dict[str, dict[str, Any]]:
    answer: Any = client.get(page(assistant), query)
    assert answer.status_code == 200
    return {row["title"]: row for row in answer.context_data["rows"]}


def test_each_says_what_it_is_doing_now(
    principal: Principal, assistant: Assistant, tooled: Assistant, alice: User, project: Project,
    visit: Callable[[User], Client],
) -> None:  # fmt: skip
    client = visit(alice)
    assert "Nobody has asked this assistant anything yet" in client.get(page(assistant)).content.decode()
    ask(principal, assistant, "Waits", waiting_reason="The engine is loading.")
    writes = ask(principal, assistant, "Writes", status="in_progress")
    calls = ask(principal, assistant, "Calls", status="in_progress")
    done = ask(principal, assistant, "Done", status="completed", completed_at=now(), environment="production")
    ask(principal, assistant, "Failed", status="failed", last_error={"code": "server_error", "message": "It broke."})
    ask(principal, tooled, "Another assistant's")
    step = {"type": "message_creation", "message_creation": {"message_id": "msg_1"}}
    RunStep.objects.create(run=writes, position=1, type="message_creation", step_details=step)
    RunStep.objects.create(
        run=calls, position=1, type="tool_calls", step_details={"type": "tool_calls", "tool_calls": []},
        asked={"call_1": {"tool": "look_up", "state": "started"}},
    )  # fmt: skip
    Feedback.objects.create(project=project, run=done, key_id="key_1", rating="up")
    Feedback.objects.create(project=project, run=done, user_id=alice.pk, rating="down")
    found = rows(client, assistant)
    assert list(found) == ["Failed", "Done", "Calls", "Writes", "Waits"]  # the newest first
    assert {title: row["doing"] or row["failure"] for title, row in found.items()} == {
        "Failed": "It broke.", "Done": "", "Calls": "It uses look_up.", "Writes": "It writes its answer.",
        "Waits": "The engine is loading.",
    }  # fmt: skip
    assert (found["Done"]["up"], found["Done"]["down"], found["Done"]["environment"]) == (1, 1, "production")
    assert list(rows(client, assistant, environment="production")) == ["Done"]
    assert "Done" not in rows(client, assistant, environment="none")
    content = client.get(page(assistant)).content.decode()
    assert 'id="conversations" data-refresh=' in content
    assert 'aria-current="page">Conversations</a>' in content


def test_a_conversation_is_led_to_as_such_and_stands_once(
    principal: Principal, assistant: Assistant, alice: User, visit: Callable[[User], Client]
) -> None:
    made = services.start(principal=principal, assistant_id=assistant.pk, title="Talk")
    for words in ("One?", "Two?"):
        run = services.say(principal=principal, conversation_id=made.pk, content=words).run
        Run.objects.filter(pk=run.pk).update(status="completed")
        Thread.objects.filter(pk=made.thread_id).update(active_run_id=None)
    services.rate(principal=principal, conversation_id=made.pk, thumb="up", score=5)
    [row] = rows(visit(alice), assistant).values()
    assert row["address"] == reverse("admin:conversations_conversation_change", args=[quote(made.pk)])
    assert (row["messages"], row["thumb"], row["score"]) == (2, "up", 5)


def test_it_takes_few_queries_however_many_there_are(
    principal: Principal, assistant: Assistant, alice: User, visit: Callable[[User], Client],
    django_assert_max_num_queries: Any, remembered_registry: Callable[[], None],
) -> None:  # fmt: skip
    for number in range(30):
        ask(principal, assistant, f"Question {number}")
    client = visit(alice)
    remembered_registry()
    with django_assert_max_num_queries(20):
        assert len(rows(client, assistant)) == 25


def test_who_sees_it(
    principal: Principal, assistant: Assistant, project: Project, alice: User, bob: User, charlie: User,
    visit: Callable[[User], Client],
) -> None:  # fmt: skip
    ask(principal, assistant, "Secret question")
    assert list(rows(visit(bob), assistant)) == ["Secret question"]
    viewer = User.objects.create_user("vera")
    accounts.add_member(project=project, user=viewer, role=Role.VIEWER)
    User.objects.filter(pk=viewer.pk).update(is_staff=True)
    viewer.refresh_from_db()
    for other, status in ((charlie, 404), (viewer, 403)):
        answer = visit(other).get(page(assistant))
        assert answer.status_code == status
        assert "Secret question" not in answer.content.decode()
    unknown = reverse("admin:assistant_conversations", args=["asst_5Fnone"])
    assert visit(alice).get(unknown).status_code == 404


def test_what_was_said_stands_escaped(
    principal: Principal, assistant: Assistant, alice: User, visit: Callable[[User], Client]
) -> None:
    made = create_thread(principal=principal, messages=[{"role": "user", "content": EVIL}], title=EVIL)
    run = creation.create_run(principal=principal, thread_id=made.pk, assistant_id=assistant.pk).run
    Run.objects.filter(pk=run.pk).update(waiting_reason=EVIL)
    Assistant.objects.filter(pk=assistant.pk).update(name=EVIL)
    content = visit(alice).get(page(assistant)).content.decode()
    assert "&lt;script&gt;" in content
    assert not any(mark in content for mark in EVIL_MARKS)
