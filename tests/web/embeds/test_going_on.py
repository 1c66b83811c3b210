"""*Continue* and *Retry* of a visitor's answer that ended badly: on their own thread, within their own limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assistants.embeds.models import EmbedKey
from runs.models import Run
from runs.services import visiting
from sovereign.core.errors import ApiError
from tests.web.embeds.conftest import INSTRUCTIONS, Browser, end
from threads import services as threads
from threads.models import Message, Thread
from threads.services import open_message

pytestmark = pytest.mark.django_db


def break_off(run: dict[str, Any], text: str = "It is", status: str = "failed") -> None:
    thread = Thread.objects.get(pk=run["thread_id"])
    if text:
        opened = open_message(thread, message_id=f"msg_{run['id']}", run_id=run["id"], assistant_id="asst_secret")
        parts = [{"type": "text", "text": {"value": text, "annotations": []}}]
        Message.objects.filter(pk=opened.pk).update(content=parts, status="incomplete")
    Run.objects.filter(pk=run["id"]).update(status=status)
    Thread.objects.filter(pk=thread.pk).update(active_run_id=None)


def go_on(visitor: Browser, run: dict[str, Any], how: str, **headers: str) -> Any:
    return visitor.call("post", f"{run['thread_id']}/again", {"run": run["id"], "how": how}, **headers)


def test_an_answer_that_broke_off_is_gone_on_with(visitor: Browser) -> None:
    run = visitor.ask().json()
    break_off(run)
    gone_on = go_on(visitor, run, "continue")
    assert gone_on.status_code == 200, gone_on.content
    told = gone_on.json()["run"]
    for secret in (INSTRUCTIONS, '"model"', "asst_", "key_"):
        assert secret not in gone_on.content.decode()
    made = Run.objects.get(pk=told["id"])
    assert (made.continues, made.environment) == (run["id"], "production")
    assert made.created_by_key == visitor.embed.api_key_id
    listed = visitor.call("get", f"{run['thread_id']}/steps.json?run={told['id']}&run={run['id']}").json()
    assert listed.pop("tries") == {told["id"]: {"continues": run["id"]}}
    assert not any(listed.values()), "nothing else is told of what made an answer"


def test_one_that_failed_is_made_anew(visitor: Browser) -> None:
    run = visitor.ask().json()
    break_off(run, text="")
    assert go_on(visitor, run, "continue").json()["error"]["code"] == "nothing_to_continue"
    again = go_on(visitor, run, "retry").json()["run"]
    assert Run.objects.get(pk=again["id"]).retries == run["id"]


def test_it_costs_what_a_question_costs(make: Callable[..., EmbedKey]) -> None:
    visitor = Browser(make(messages_per_hour=2))
    run = visitor.ask().json()
    break_off(run)
    again = go_on(visitor, run, "retry").json()["run"]
    break_off(again, text="")
    refused = go_on(visitor, again, "retry")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 3500
    assert Run.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_what_is_refused_costs_nothing(visitor: Browser) -> None:
    run = visitor.ask().json()
    assert go_on(visitor, run, "retry").json()["error"]["code"] == "run_not_over"
    end(run)
    assert go_on(visitor, run, "retry").json()["error"]["code"] == "run_ended_well"
    for body in ({}, {"run": run["id"]}, {"run": run["id"], "how": "obey"}, {"run": 1, "how": "retry"}):
        assert visitor.call("post", f"{run['thread_id']}/again", body).status_code == 400
    visitor.embed.refresh_from_db()
    assert visitor.embed.day_messages == 1


def test_nobody_goes_on_with_anothers(visitor: Browser, thread: Thread, make: Callable[..., EmbedKey]) -> None:
    run = visitor.ask().json()
    break_off(run)
    own = Browser(visitor.embed)
    neighbours = own.ask().json()
    for who in (own, Browser(make(name="Other"))):
        assert go_on(who, run, "retry").status_code == 404
    assert go_on(own, {**run, "thread_id": neighbours["thread_id"]}, "retry").status_code == 404
    assert go_on(visitor, {"id": run["id"], "thread_id": thread.pk}, "retry").status_code == 404
    assert own.call("get", f"{neighbours['thread_id']}/steps.json?run={run['id']}").json()["tries"] == {}
    assert own.call("get", f"{run['thread_id']}/steps.json?run={run['id']}").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_what_is_sent_again_is_done_once(visitor: Browser) -> None:
    """A page whose answer was lost on the way sends the same request once more."""
    key = {"Idempotency-Key": "one"}
    said = {"assistant_id": visitor.embed.public_key, "thread": {"messages": [{"role": "user", "content": "Where?"}]}}
    first, second = (visitor.call("post", "v1/threads/runs", said, **key) for _ in range(2))
    assert first.json() == second.json()
    neighbour = Browser(visitor.embed)
    other = neighbour.call("post", "v1/threads/runs", said, **key)
    assert other.json()["thread_id"] != first.json()["thread_id"], "the key is each visitor's own"
    break_off(first.json())
    told = [go_on(visitor, first.json(), "retry", **{"Idempotency-Key": "two"}).json() for _ in range(2)]
    assert told[0] == told[1]
    assert Run.objects.count() == 3
    visitor.embed.refresh_from_db()
    assert visitor.embed.day_messages == 3


def test_a_conversation_that_is_full_is_told_so_in_plain_words(
    visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = visitor.ask().json()
    end(run)
    monkeypatch.setattr(threads, "MAXIMUM_MESSAGES", 2)
    refused = visitor.ask(thread=run["thread_id"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "thread_too_long")
    assert refused.json()["error"]["message"] == "This conversation is full. Begin a new one."


def test_what_fails_inside_has_a_code_that_the_frame_has_words_for() -> None:
    with pytest.raises(ApiError) as told, visiting.concealed():
        raise ApiError("The queue at 10.0.0.1 is full.", status=500, code="server_error")
    assert (told.value.status, told.value.code) == (500, "service_unavailable")
    assert "10.0.0.1" not in told.value.message


def test_one_visitor_does_not_keep_every_worker_busy(visitor: Browser) -> None:
    runs = [visitor.ask() for _ in range(visiting.MOST_AT_ONCE)]
    refused = visitor.ask()
    assert (refused.status_code, refused["Retry-After"]) == (429, "5")
    assert Browser(visitor.embed).ask().status_code == 200
    end(runs[0].json())
    assert visitor.ask().status_code == 200
