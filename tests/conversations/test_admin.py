"""The pages of conversations: what they show, and who may end one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from assistants.models import Assistant
from runs.conversations import services
from runs.conversations.models import Conversation
from runs.conversations.view import ContextView
from sovereign.accounts import services as accounts
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from tests.web.conftest import EVIL, EVIL_MARKS
from threads.models import Message, ThreadSummary

pytestmark = pytest.mark.django_db

LIST = "admin:conversations_conversation_changelist"


def page(one: Conversation, view: str = "change") -> str:
    return reverse(f"admin:conversations_conversation_{view}", args=[quote(one.pk)])


@pytest.fixture
def browser() -> Callable[[User], Client]:
    def make(user: User) -> Client:
        client = Client(headers={"Accept": "text/html,application/xhtml+xml"})
        client.force_login(user)
        return client

    return make


@pytest.fixture
def one(principal: Principal, assistant: Assistant) -> Conversation:
    """Everything in it is meant to break out of the page."""
    said = {"role": "user", "content": f"Hello {EVIL}"}
    made = services.start(
        principal=principal, assistant_id=assistant.id, messages=[said, said], variables={"plan": EVIL, "seats": 3}
    )
    services.rate(principal=principal, conversation_id=made.id, thumb="down", score=2, comment=EVIL)
    ThreadSummary.objects.create(thread_id=made.thread_id, up_to=1, text=f"They greet. {EVIL}", model="tiny")
    Conversation.objects.filter(pk=made.pk).update(summary_error="The engine is down.")
    return made


def test_a_page_shows_what_was_said_and_what_the_model_sees(
    browser: Callable[[User], Client], alice: User, one: Conversation
) -> None:
    client = browser(alice)
    text = client.get(page(one)).content.decode()
    for words in ("What the model sees", "Bad, 2 of 5", "They greet.", "The engine is down.", "End it", "seats"):
        assert words in text, words
    assert not any(mark in text for mark in EVIL_MARKS)
    listed = client.get(reverse(LIST), {"state": "active"}).content.decode()
    assert page(one) in listed
    assert not any(mark in listed for mark in EVIL_MARKS)
    assert page(one) not in client.get(reverse(LIST), {"state": "ended"}).content.decode()


def test_where_the_word_for_word_part_begins_is_marked(
    browser: Callable[[User], Client], alice: User, one: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = Message.objects.of_thread(one.thread_id).latest("position")
    view = ContextView(messages=2, shown_from=newest.id, cut="summary", summarised=1, tokens=9)
    monkeypatch.setattr("runs.conversations.rendering.view_of", lambda _: view)
    text = browser(alice).get(page(one)).content.decode()
    before, _, after = text.partition("From here on the model sees every word.")
    assert (before.count("sv-message sv-user"), after.count("sv-message sv-user")) == (1, 1)


def test_one_is_ended_by_a_button_and_several_by_an_action(
    browser: Callable[[User], Client], bob: User, one: Conversation, principal: Principal, assistant: Assistant
) -> None:
    client = browser(bob)
    assert client.get(page(one, "end")).status_code == 403
    assert client.post(page(one, "end")).headers["Location"] == page(one)
    one.refresh_from_db()
    assert (one.is_over, one.end_reason) == (True, "Ended in the admin.")
    assert "End it" not in client.get(page(one)).content.decode()
    others = [services.start(principal=principal, assistant_id=assistant.id) for _ in range(2)]
    chosen = {"action": "end_them", "_selected_action": [other.pk for other in others]}
    client.post(reverse(LIST), chosen)
    assert not Conversation.objects.active().exists()
    assert AuditEvent.objects.filter(action="conversation.ended", user_id=bob.pk).count() == 3


def test_others_see_and_end_nothing(
    browser: Callable[[User], Client], charlie: User, project: Project, one: Conversation
) -> None:
    viewer = User.objects.create_user("vera")
    accounts.add_member(project=project, user=viewer, role=Role.VIEWER)
    for user in (charlie, viewer):
        answers: list[Any] = [browser(user).get(page(one)), browser(user).post(page(one, "end"))]
        assert all(answer.status_code in (302, 403, 404) for answer in answers)
        assert not any("What the model sees" in answer.content.decode() for answer in answers)
    one.refresh_from_db()
    assert not one.is_over
