"""A page that has not heard yet of what waits, or of an answer that was begun elsewhere, overtakes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from assistants import services as assistants
from assistants.models import Assistant
from runs.models import Run
from runs.outbox import services as outbox
from runs.outbox.models import Hold, QueuedMessage
from sovereign.accounts import services as accounts
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.services.quotas import Limits
from sovereign.core.database import now
from tests.outbox.test_queue import Page, body, previews
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(alice: User, chat: Thread, model: object) -> Page:
    return Page(alice, chat)


def said() -> list[str]:
    return [message.text for message in Message.objects.order_by("position")]


def end_of(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(status="completed")
    Thread.objects.filter(pk=run.thread_id).update(active_run_id=None)


def test_what_is_asked_of_a_free_thread_is_answered_by_whom_the_page_says(
    page: Page, assistant: Assistant, principal: Principal
) -> None:
    other = assistants.create_assistant(principal=principal, model="tiny")
    status, told = page.ask("POST", "ask", body(other, "And then?", environment="draft"))
    run = Run.objects.get()
    assert (status, told["run"]["id"], told["run"]["status"]) == (200, run.pk, "queued")
    assert (run.assistant_id, run.environment, said()) == (other.pk, None, ["Hello?", "And then?"])
    assert not QueuedMessage.objects.exists()


def test_what_a_tab_asks_that_has_not_heard_of_the_queue_comes_behind_it(
    page: Page, assistant: Assistant, queue: Callable[..., QueuedMessage], chat: Thread
) -> None:
    queue("First")  # by another tab; the answer before it has just ended, and nobody has sent it yet
    key = {"Idempotency-Key": "one"}
    status, told = page.ask("POST", "ask", body(assistant, "Second"), key)
    assert (status, previews(told), Run.objects.count()) == (200, ["First", "Second"], 0)
    _, again = page.ask("POST", "ask", body(assistant, "Second"), key)
    assert again == told, "whose answer was lost"

    for _ in range(2):
        run = outbox.send_due(chat.pk)
        assert run is not None
        end_of(run)
    assert said() == ["Hello?", "First", "Second"]
    assert page.ask("POST", "ask", body(assistant, "Second"), key)[1] == {"queue": []}


def test_while_an_answer_is_written_it_waits(page: Page, assistant: Assistant, ask: Callable[[], Run]) -> None:
    ask()
    _, told = page.ask("POST", "ask", body(assistant, "Second"))
    assert (previews(told), Run.objects.count()) == (["Second"], 1)


@pytest.mark.parametrize(
    ("hold", "waits", "goes_before"),
    [(Hold.FAILED, False, False), (Hold.REFUSED, False, False), (Hold.REFUSED, True, True), (Hold.EXPIRED, None, True)],
)
def test_what_is_held_until_its_person_acts_holds_nothing_else(
    page: Page, assistant: Assistant, queue: Callable[..., QueuedMessage], hold: Hold, waits: bool | None,
    goes_before: bool,
) -> None:  # fmt: skip
    """``waits``: for a limit, after which it is tried by itself; ``None``: another answer has ended well since."""
    held_at = now() + timedelta(seconds=0 if waits is None else 60)
    first = queue("First")
    if waits is None:
        held_at = first.thread.last_activity_at - timedelta(seconds=1)
    QueuedMessage.objects.update(hold=hold, held_at=held_at, not_before=now() + timedelta(minutes=1) if waits else None)
    _, told = page.ask("POST", "ask", body(assistant, "Second"))
    assert ("run" in told) is not goes_before
    assert QueuedMessage.objects.count() == 1 + goes_before


def test_a_question_counts_once_for_the_limits_whenever_it_is_sent(
    page: Page, assistant: Assistant, project: Project, chat: Thread, queue: Callable[..., QueuedMessage]
) -> None:
    accounts.set_project_limits(project=project, limits=Limits(requests_per_minute=2))
    queue("First")
    page.ask("POST", "ask", body(assistant, "Second"))
    for _ in range(2):
        run = outbox.send_due(chat.pk)
        assert run is not None
        end_of(run)
    status, told = page.ask("POST", "ask", body(assistant, "Third"))
    assert (status, told["error"]["code"]) == (429, "rate_limit_exceeded")
    assert said() == ["Hello?", "First", "Second"]


def test_what_is_refused_leaves_nothing(page: Page, assistant: Assistant, bob: User, chat: Thread) -> None:
    for wrong, status in ({"assistant_id": "asst_none"}, 404), ({"content": ""}, 400), ({"environment": "x"}, 400):
        assert page.ask("POST", "ask", {**body(assistant), **wrong})[0] == status
    assert Page(bob, chat).ask("POST", "ask", body(assistant))[0] == 404
    assert (said(), QueuedMessage.objects.count()) == (["Hello?"], 0)


@pytest.mark.django_db(transaction=True)
def test_whoever_comes_first_to_the_thread_the_order_is_that_of_the_queue(
    assistant: Assistant, queue: Callable[..., QueuedMessage], person: Principal, chat: Thread, model: object
) -> None:
    queue("First")
    barrier, made = threading.Barrier(2), []

    def do(act: Callable[[], Any]) -> None:
        barrier.wait()
        made.append(act())
        connections.close_all()

    asked = {"principal": person, "thread_id": chat.pk, "assistant_id": assistant.pk, "content": "Second"}
    acts = [lambda: outbox.send_due(chat.pk), lambda: outbox.say(**asked)]
    both = [threading.Thread(target=do, args=(act,)) for act in acts]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(made) == 2
    assert said() == ["Hello?", "First"]
    assert [message.preview for message in QueuedMessage.objects.all()] == ["Second"]
