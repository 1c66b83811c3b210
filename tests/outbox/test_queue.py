"""What waits on a chat: who may put it there and change it, and that nobody else sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from assistants.models import Assistant
from runs.models import Run
from runs.outbox import services as outbox
from runs.outbox.models import QueuedMessage
from runs.services import reaping
from runs.streaming.watcher import look_at
from sovereign.accounts.models import User
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from tests.runs.support import age_run
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db

IMAGE = [{"type": "text", "text": "See"}, {"type": "image_file", "image_file": {"file_id": "file-none"}}]


class Page:
    """The chat's page of a thread, as its script asks."""

    def __init__(self, user: User, thread: Thread) -> None:
        self._client, self._path = Client(), f"/chat/{thread.pk}/"
        self._client.force_login(user)

    def ask(self, method: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, dict[str, Any]]:
        data = "" if body is None else json.dumps(body)
        response = self._client.generic(
            method, self._path + path, data, content_type="application/json", headers=headers
        )
        return response.status_code, response.json()


@pytest.fixture
def page(alice: User, chat: Thread, ask: Callable[[], Run], assistant: Assistant) -> Page:
    ask()
    return Page(alice, chat)


def body(assistant: Assistant, text: Any = "And then?", **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, "assistant_id": assistant.id, **more}


def previews(told: dict[str, Any]) -> list[str]:
    return [message["preview"] for message in told["queue"]]


def test_a_message_whose_answer_was_lost_waits_once_and_the_repeat_tells_the_queue_of_now(
    page: Page, assistant: Assistant
) -> None:
    key = {"Idempotency-Key": "one"}
    _, told = page.ask("POST", "queue.json", body(assistant, "First"), key)
    page.ask("POST", "queue.json", body(assistant, "Second"))
    status, again = page.ask("POST", "queue.json", body(assistant, "First"), key)
    assert (status, previews(again)) == (200, ["First", "Second"])
    assert again["queue"][0]["id"] == told["queue"][0]["id"]
    status, refused = page.ask("POST", "queue.json", body(assistant, "Another"), key)
    assert (status, refused["error"]["code"]) == (400, "idempotency_key_reused")


def test_messages_wait_in_order_are_changed_moved_and_taken_back(
    page: Page, assistant: Assistant, chat: Thread
) -> None:
    for number in range(3):
        status, told = page.ask("POST", "queue.json", body(assistant, f"Question {number}"))
        assert status == 200
    first, second, third = (message["id"] for message in told["queue"])
    assert previews(told) == ["Question 0", "Question 1", "Question 2"]

    _, told = page.ask("POST", f"queue/{third}", {"place": 0})
    assert previews(told) == ["Question 2", "Question 0", "Question 1"]
    version = next(message["version"] for message in told["queue"] if message["id"] == first)
    _, told = page.ask("POST", f"queue/{first}", {"content": "Changed " + "x" * 500})
    changed = told["queue"][1]
    assert changed["preview"] == ("Changed " + "x" * 500)[:200]
    assert changed["version"] != version
    _, told = page.ask("DELETE", f"queue/{second}")
    assert [message["id"] for message in told["queue"]] == [third, first]

    _, listed = page.ask("GET", "queue.json")
    assert [message["content"][:8] for message in listed["data"]] == ["Question", "Changed "]
    _, watched = page.ask("GET", "watch.json")
    assert watched["thread"]["queue"] == told["queue"]
    assert Message.objects.count() == 1  # the thread knows nothing of it


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"content": ""}, "content"),
        ({"content": "x" * 256_001}, "content"),
        ({"content": []}, "content"),
        ({"content": "\x00"}, None),
        ({"role": "assistant"}, "role"),
        ({"metadata": {}}, "metadata"),
        ({"environment": "nowhere"}, "environment"),
        ({"place": 0}, "place"),
    ],
)
def test_what_no_message_can_be_is_refused(page: Page, assistant: Assistant, change: Any, param: str | None) -> None:
    status, told = page.ask("POST", "queue.json", {**body(assistant), **change})
    assert (status, told["error"]["param"]) == (400, param)
    assert not QueuedMessage.objects.exists()


def test_files_and_assistants_that_are_not_there_are_told_at_once(page: Page, assistant: Assistant) -> None:
    attached = [{"file_id": "file-none", "tools": [{"type": "file_search"}]}]
    for wrong in ({"content": IMAGE}, {"attachments": attached}, {"assistant_id": "asst_none"}):
        assert page.ask("POST", "queue.json", {**body(assistant), **wrong})[0] == 404
    assert not QueuedMessage.objects.exists()


def test_the_longest_message_waits_and_the_one_too_many_is_refused(
    page: Page, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MOST_WAITING", 2)
    assert page.ask("POST", "queue.json", body(assistant, "é" * 256_000))[0] == 200
    assert page.ask("POST", "queue.json", body(assistant))[0] == 200
    status, told = page.ask("POST", "queue.json", body(assistant))
    assert (status, told["error"]["code"]) == (400, "queue_full")


def test_what_waits_is_its_persons_alone(
    page: Page, assistant: Assistant, chat: Thread, bob: User, charlie: User, principal: Principal
) -> None:
    _, told = page.ask("POST", "queue.json", body(assistant))
    waiting = told["queue"][0]["id"]
    for other in (bob, charlie):
        for method, path in [("GET", "queue.json"), ("POST", f"queue/{waiting}"), ("DELETE", f"queue/{waiting}")]:
            assert Page(other, chat).ask(method, path, {} if method == "POST" else None)[0] in (403, 404)
    seen = look_at([chat.pk])[chat.pk]
    assert seen.to(bob.pk)["queue"] == seen.to(None)["queue"] == []
    with pytest.raises(ApiError, match="No thread found"):  # a key that sees the chat does not speak there
        outbox.add(principal=principal, thread_id=chat.pk, content="Hi", assistant_id=assistant.id)
    assert QueuedMessage.objects.count() == 1


def test_a_message_that_was_sent_or_never_was_is_not_there(page: Page, chat: Thread) -> None:
    assert page.ask("DELETE", "queue/qmsg_none")[0] == 404
    assert page.ask("POST", "queue/qmsg_none", {"content": "Hi"})[0] == 404
    assert page.ask("POST", "queue/send")[0] == 404


def test_a_bad_answer_is_tried_again_from_its_page(
    ask: Callable[[], Run], alice: User, bob: User, chat: Thread, model: object
) -> None:
    run = ask()
    age_run(run.pk)
    reaping.end_overdue(run.pk)
    page, retry = Page(alice, chat), {"run": run.pk, "how": "retry"}
    assert page.ask("POST", "again", {**retry, "how": "forget"})[1]["error"]["param"] == "how"
    assert page.ask("POST", "again", {**retry, "how": "continue"})[1]["error"]["code"] == "nothing_to_continue"
    assert Page(bob, chat).ask("POST", "again", retry)[0] == 404
    status, told = page.ask("POST", "again", retry)
    assert (status, told["run"]["status"], told["run"]["thread_id"]) == (200, "queued", chat.pk)
    _, steps = page.ask("GET", f"steps.json?run={told['run']['id']}&run={run.pk}")
    assert steps["tries"] == {told["run"]["id"]: {"retries": run.pk}}
    assert page.ask("POST", "again", retry)[1]["error"]["code"] == "run_not_newest"
