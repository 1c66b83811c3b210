"""Saying something in a conversation: the answer, as a whole and as a stream, and what is told where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from assistants.models import Assistant
from inference.chat import InferenceError
from runs.conversations import services
from runs.conversations.api import answering
from runs.conversations.models import Conversation
from runs.models import Run
from runs.services import control
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.conversations.conftest import ROOT
from tests.inference.asking import Answer, Asker
from tests.runs.support import Gate, Model, age_run, call, end, ended, outputs_for, text, until, within, working
from threads import services as threads
from threads.models import Message

pytestmark = pytest.mark.django_db(transaction=True)

Say = Callable[..., Awaitable[Answer]]
HELLO = {"content": "Hello?"}


@pytest.fixture(autouse=True)
async def no_connection_stays() -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture
def asker(api_key: str) -> Asker:
    return Asker(api_key)


@pytest.fixture
def conversation(principal: Principal, assistant: Assistant) -> Conversation:
    return services.start(principal=principal, assistant_id=assistant.id)


@pytest.fixture
def place(conversation: Conversation) -> str:
    return f"{ROOT}/{conversation.id}/messages"


@pytest.fixture
def say(asker: Asker, place: str) -> Say:
    """``await say(body, **headers)``: what the conversation answers."""

    async def ask(body: dict[str, Any] = HELLO, **headers: str) -> Answer:
        return await within(asker.ask("POST", place, body, **headers))

    return ask


async def said(conversation: Conversation) -> list[tuple[str, str]]:
    """Who said what on the thread."""
    rows = Message.objects.of_thread(conversation.thread_id).order_by("position")
    return await in_database(lambda: [(message.role, message.text) for message in rows])


async def begun(conversation: Conversation) -> Run:
    return await until(lambda: Run.objects.filter(thread_id=conversation.thread_id).first())  # type: ignore[no-any-return]


async def test_the_answer_is_the_assistants_message(model: Model, say: Say, conversation: Conversation) -> None:
    model.answers(*text("Good", " morning."), end())
    async with working():
        answer = await say({"content": "Hello?", "metadata": {"from": "phone"}})
    assert answer.status == 200, answer.content
    assert answer.body["object"] == "thread.message"
    assert answer.body["content"][0]["text"]["value"] == "Good morning."
    assert (answer.body["role"], answer.body["status"]) == ("assistant", "completed")
    assert answer.headers["x-sovereign-run"] == answer.body["run_id"]
    assert await said(conversation) == [("user", "Hello?"), ("assistant", "Good morning.")]
    first = await in_database(lambda: Message.objects.of_thread(conversation.thread_id).earliest("position"))
    assert first.metadata == {"from": "phone"}
    now = await in_database(lambda: Conversation.objects.get(pk=conversation.pk))
    assert now.last_activity_at > conversation.last_activity_at


async def test_a_stream_is_the_runs_events(model: Model, say: Say) -> None:
    model.answers(*text("Good", " morning."), end())
    async with working():
        answer = await say({**HELLO, "stream": True})
    frames = answer.content.decode().split("\n\n")
    names = [frame.partition("event: ")[2].partition("\n")[0] for frame in frames if "event: " in frame]
    assert names[0] == "thread.run.created"
    assert names[-3:] == ["thread.run.step.completed", "thread.run.completed", "done"]
    assert answer.headers["x-sovereign-run"] in answer.content.decode()


async def test_a_retry_waits_for_the_same_answer(
    model: Model, asker: Asker, place: str, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    model.answers(gate, *text("Once."), end())
    key = {"idempotency-key": "k"}
    async with working():
        first = asyncio.create_task(asker.ask("POST", place, HELLO, **key))
        await within(gate.reached.wait())
        again = asyncio.create_task(asker.ask("POST", place, HELLO, **key))
        gate.opened.set()
        answers = [await within(one) for one in (first, again)]
    monkeypatch.setattr(answering, "read", None)  # of a run that is over, nobody reads the log
    later = await within(asker.ask("POST", place, HELLO, **key))
    assert [one.status for one in (*answers, later)] == [200, 200, 200]
    assert {one.content for one in (*answers, later)} == {answers[0].content}
    assert "idempotent-replayed" not in answers[0].headers
    assert [one.headers["idempotent-replayed"] for one in (answers[1], later)] == ["true", "true"]
    assert await said(conversation) == [("user", "Hello?"), ("assistant", "Once.")]


async def test_who_leaves_stops_nothing(model: Model, asker: Asker, place: str, conversation: Conversation) -> None:
    gate = Gate()
    model.answers(gate, *text("Still there?"), end())
    connection = asker.connection("POST", place, HELLO)
    async with working():
        asking = asyncio.create_task(asker.handler(connection.scope, connection._incoming.get, connection._send))
        await within(gate.reached.wait())
        connection.leave()
        await within(asking)
        assert connection.sent == []
        gate.opened.set()
        assert (await ended((await begun(conversation)).id)).status == "completed"
    assert await said(conversation) == [("user", "Hello?"), ("assistant", "Still there?")]


async def test_one_that_is_busy_is_refused_as_by_the_contract(
    model: Model, say: Say, asker: Asker, place: str, conversation: Conversation
) -> None:
    gate = Gate()
    model.answers(gate, *text("Yes?"), end())
    async with working():
        first = asyncio.create_task(asker.ask("POST", place, HELLO))
        await within(gate.reached.wait())
        run = await begun(conversation)
        refused = await say({"content": "And?"})
        gate.opened.set()
        await within(first)
    assert refused.status == 400
    assert refused.error == {
        "message": f"Thread {conversation.thread_id} already has an active run {run.id}.",
        "type": "invalid_request_error", "param": None, "code": None,
    }  # fmt: skip
    assert await said(conversation) == [("user", "Hello?"), ("assistant", "Yes?")]


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("rate_limit_exceeded", 429, "invalid_request_error"),
        ("invalid_prompt", 400, "invalid_request_error"),
        ("server_error", 503, "server_error"),
    ],
)
async def test_a_run_that_fails_is_told_with_its_own_code(
    model: Model, say: Say, conversation: Conversation, code: str, status: int, kind: str
) -> None:
    model.answers(*text("So far"), InferenceError("The engine said no.", code))
    async with working():
        answer = await say()
    run = await begun(conversation)
    assert answer.status == status
    assert answer.error == {
        "message": f"The run '{run.id}' on the thread '{conversation.thread_id}' has not answered. The engine said no.",
        "type": kind, "param": None, "code": code, "run_id": run.id, "thread_id": conversation.thread_id,
    }  # fmt: skip
    assert (answer.headers["x-sovereign-run"], answer.headers["x-should-retry"]) == (run.id, "false")
    assert await said(conversation) == [("user", "Hello?"), ("assistant", "So far")]


async def test_one_that_nothing_took_in_time_is_told(
    say: Say, asker: Asker, place: str, model: Model, conversation: Conversation
) -> None:
    model.ready, model.reason = False, "The engine is starting."
    asking = asyncio.create_task(asker.ask("POST", place, HELLO))
    run = await begun(conversation)
    await in_database(age_run, run.id)
    async with working():
        answer = await within(asking)
    assert (answer.status, answer.error["code"]) == (503, "run_expired")
    assert "It was not done in time." in answer.error["message"]


async def test_one_that_is_cancelled_is_told(
    model: Model, asker: Asker, place: str, conversation: Conversation, principal: Principal
) -> None:
    gate = Gate()
    model.answers(gate)
    async with working():
        asking = asyncio.create_task(asker.ask("POST", place, HELLO))
        await within(gate.reached.wait())
        run = await begun(conversation)
        await in_database(control.cancel_run, principal=principal, thread_id=run.thread_id, run_id=run.id)
        answer = await within(asking)
    assert (answer.status, answer.error["code"]) == (409, "run_cancelled")


async def test_a_run_that_waits_for_the_application_is_named(
    model: Model, asker: Asker, principal: Principal, tooled: Assistant
) -> None:
    model.answers(*call(0, "weather"), end("tool_calls"))
    model.answers(*text("Rain."), end())
    conversation = await in_database(services.start, principal=principal, assistant_id=tooled.id)
    place, key = f"{ROOT}/{conversation.id}/messages", {"idempotency-key": "k"}
    async with working():
        answer = await within(asker.ask("POST", place, HELLO, **key))
        run = await begun(conversation)
        assert (answer.status, answer.error["code"]) == (409, "run_requires_action")
        assert (answer.error["run_id"], answer.error["thread_id"]) == (run.id, conversation.thread_id)
        outputs = {"tool_outputs": outputs_for(run)}
        beta = {"openai-beta": "assistants=v2"}
        submit = f"/v1/threads/{conversation.thread_id}/runs/{run.id}/submit_tool_outputs"
        assert (await within(asker.ask("POST", submit, outputs, **beta))).status == 200
        again = await within(asker.ask("POST", place, HELLO, **key))  # the same request waits for the answer now
    assert (again.status, again.body["content"][0]["text"]["value"]) == (200, "Rain.")
    listed = await within(asker.get(place))
    assert [one["role"] for one in listed.body["data"]] == ["assistant", "user"]


async def test_one_whose_thread_is_deleted_meanwhile_is_told(
    model: Model, asker: Asker, place: str, conversation: Conversation, principal: Principal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("runs.streaming.reader.PING", 0.05)
    asking = asyncio.create_task(asker.ask("POST", place, HELLO))
    run = await begun(conversation)
    await in_database(threads.delete_thread, principal=principal, thread_id=conversation.thread_id)
    answer = await within(asking)
    assert (answer.status, answer.error["message"]) == (404, f"No run found with id '{run.id}'.")
    gone = await in_database(lambda: Conversation.objects.filter(pk=conversation.pk).exists())
    assert not gone


async def test_a_right_that_is_withdrawn_ends_the_waiting(
    asker: Asker, place: str, conversation: Conversation, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.streaming.rights.KEPT", 0.0)
    monkeypatch.setattr("runs.streaming.rights.credentials.still_valid", lambda *_: False)
    answer = await within(asker.ask("POST", place, HELLO))
    assert (answer.status, answer.error["code"]) == (401, "access_revoked")
