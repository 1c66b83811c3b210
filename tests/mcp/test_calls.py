"""A call of an assistant over MCP: the run it makes, what is told meanwhile, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import Client
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.models import Assistant
from inference.chat import InferenceError
from runs.mcp import answering, calls
from runs.mcp.answering import Answering, Progress
from runs.mcp.calls import Following
from runs.mcp.protocol import Question
from runs.models import Run
from runs.services import control, creation
from runs.states import Status
from runs.streaming import rights
from runs.streaming.rights import Rights
from runs.streaming.tailer import Entry
from sovereign.accounts import credentials
from sovereign.accounts.models import ApiKey, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.services import revoke_api_key
from sovereign.core.asgi import LaterResponse, OneHopHandler
from sovereign.core.database import in_database
from sovereign.core.sse import sse_response
from tests.mcp.conftest import Answered, Caller
from tests.runs.support import WEATHER, Gate, Model, call, end, ended, text, until, within, working
from threads import services as threads
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "house-rules"
OLD, NEW = "2025-11-25", "2026-07-28"
JSON = "application/json"


@pytest.fixture(autouse=True)
async def no_connection_stays() -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()


async def answered(caller: Caller, **more: Any) -> Answered:
    async with working():
        return await within(caller.calls(NAME, **more))


@pytest.mark.parametrize("accept", [JSON, "application/json, text/event-stream"])
async def test_a_call_is_answered_with_text_and_where_it_stands(
    caller: Caller, model: Model, offered: Assistant, accept: str
) -> None:
    model.answers(*text("No ", "shoes."), end())
    answer = await answered(caller, message="Which rule is first?", accept=accept)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream" if "stream" in accept else JSON)
    thread = await in_database(Thread.objects.get)
    run = await in_database(Run.objects.get)
    structured = {"answer": "No shoes.", "thread_id": thread.id, "run_id": run.id, "files": []}
    assert answer.messages == [
        {
            "jsonrpc": "2.0",
            "id": 1,
            "result": {
                "content": [{"type": "text", "text": "No shoes."}],
                "structuredContent": structured,
                "isError": False,
            },
        }
    ]
    assert run.created_by_key is not None
    assert thread.owner_id is None


async def test_a_conversation_goes_on(caller: Caller, model: Model, offered: Assistant) -> None:
    model.answers(*text("No shoes."), end())
    first = await answered(caller, message="Which rule is first?")
    model.answers(*text("No shouting."), end())
    thread_id = first.result["structuredContent"]["thread_id"]
    second = await answered(caller, message="And the second?", thread_id=thread_id)
    assert second.result["structuredContent"]["thread_id"] == thread_id
    said = [message["content"] for message in model.requests[1].messages if message["role"] != "system"]
    assert said == ["Which rule is first?", "No shoes.", "And the second?"]


async def test_progress_is_told_to_those_who_ask_for_it(caller: Caller, model: Model, offered: Assistant) -> None:
    model.answers(*text("No ", "shoes."), end())
    answer = await answered(caller, message="Which rule?", meta={"progressToken": "p-1"})
    *signs, last = answer.messages
    assert last["id"] == 1
    assert {sign["method"] for sign in signs} == {"notifications/progress"}
    told = [sign["params"] for sign in signs]
    assert list(dict.fromkeys(one["message"] for one in told)) == ["Waiting", "Thinking", "Writing"]
    assert all(one["progressToken"] == "p-1" for one in told)
    numbers = [one["progress"] for one in told]
    assert numbers == sorted(set(numbers))


def test_signs_of_one_stage_are_told_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 100.0
    monkeypatch.setattr(answering.time, "monotonic", lambda: moment)
    progress = Progress("p")
    writing = [Entry(seq, "thread.message.delta", b"{}") for seq in range(1, 5)]
    assert progress.sign(writing[0])
    assert not progress.sign(writing[1])
    moment = 101.5
    assert progress.sign(writing[2])
    assert not progress.sign(Entry(9, "thread.message.created", b"{}"))
    assert not Progress(None).sign(writing[3])


# ------------------------------------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "Missing required parameter: 'message'"),
        ({"message": ""}, "string too short"),
        ({"message": 5}, "expected a string"),
        ({"message": "a\x00b"}, "not allowed"),
        ({"message": "x" * 256_001}, "string too long"),
        ({"message": "x", "thread_id": "thread_unknown"}, "No thread found"),
        ({"message": "x", "thread_id": 5}, "expected a string"),
        ({"message": "x", "model": "other"}, "Unknown parameter: 'model'"),
    ],
)
def test_wrong_arguments_are_told_to_the_model_that_calls(
    caller: Caller, offer: Callable[..., Assistant], arguments: dict[str, Any], words: str
) -> None:
    offer()
    answer = caller.call(NAME, **arguments)
    assert answer.status == 200
    assert answer.result["isError"] is True
    assert words in answer.result["content"][0]["text"]
    assert not Run.objects.exists()


@pytest.mark.parametrize("arguments", [[], "x", None, 5])
def test_arguments_that_are_no_object(caller: Caller, offer: Callable[..., Assistant], arguments: Any) -> None:
    offer()
    answer = caller.ask("tools/call", {"name": NAME, "arguments": arguments})
    assert answer.result["isError"] is True


@pytest.mark.parametrize(
    "params", [{}, {"name": "nobody"}, {"name": 5}, {"name": NAME, "_meta": {"progressToken": []}}]
)
def test_a_call_of_nothing_is_an_error_of_the_protocol(
    caller: Caller, offer: Callable[..., Assistant], params: Any
) -> None:
    offer()
    answer = caller.ask("tools/call", params)
    assert (answer.status, answer.error["code"]) == (200, -32602)


def test_charlies_key_does_not_go_on_with_alices_thread(
    caller: Caller, offer: Callable[..., Assistant], outsider: APIClient, charlies_key: str, principal: Principal
) -> None:
    thread = threads.create_thread(principal=principal)
    charlie = credentials.principal_of_key(charlies_key)
    own = assistants.create_assistant(principal=charlie, model="tiny", name="House Rules")
    Assistant.objects.filter(pk=own.pk).update(offered_over_mcp=True)
    told = [
        Caller(outsider).call(NAME, message="x", thread_id=identifier).result["content"][0]["text"]
        for identifier in (thread.id, "thread_unknown")
    ]
    assert told[0].replace(thread.id, "thread_unknown") == told[1] == "No thread found with id 'thread_unknown'."
    assert not Message.objects.exists()
    assert not Run.objects.exists()


async def test_a_busy_thread_is_told(caller: Caller, model: Model, offered: Assistant, principal: Principal) -> None:
    thread = await in_database(threads.create_thread, principal=principal)
    run = await in_database(
        lambda: (
            creation.create_run(
                principal=principal,
                thread_id=thread.id,
                assistant_id=offered.id,
                additional_messages=[{"role": "user", "content": "x"}],
            ).run
        )
    )
    answer = await caller.calls(NAME, message="x", thread_id=thread.id)
    assert answer.result["content"][0]["text"] == f"Thread {thread.id} already has an active run {run.id}."


async def test_a_failure_says_what_failed(caller: Caller, model: Model, offered: Assistant) -> None:
    model.answers(InferenceError("The engine is out of memory."))
    answer = await answered(caller, message="x")
    assert answer.result["isError"] is True
    assert "out of memory" in answer.result["content"][0]["text"]
    assert answer.result["structuredContent"]["answer"] == ""


async def test_a_cut_answer_is_an_answer_that_says_so(caller: Caller, model: Model, offered: Assistant) -> None:
    model.answers(*text("No sh"), end("length"))
    answer = await answered(caller, message="x")
    notice = "The answer is not whole: it ended because of 'max_completion_tokens'."
    assert answer.result["isError"] is False
    assert [part["text"] for part in answer.result["content"]] == ["No sh", notice]
    told = answer.result["structuredContent"]
    assert (told["answer"], told["incomplete"]) == ("No sh", "max_completion_tokens")


async def test_functions_of_an_application_end_the_run(
    caller: Caller, model: Model, offer: Callable[..., Assistant]
) -> None:
    await in_database(offer, tools=[WEATHER])
    model.answers(*call(0, "weather"), end("tool_calls"))
    answer = await answered(caller, message="x")
    assert answer.result["isError"] is True
    assert answer.result["content"][0]["text"] == calls.FUNCTIONS
    run = await in_database(Run.objects.get)
    assert run.status in (Status.CANCELLING, Status.CANCELLED)


async def test_a_run_that_somebody_cancels_is_told(
    caller: Caller, model: Model, offered: Assistant, principal: Principal
) -> None:
    gate = Gate()
    model.answers(*text("No "), gate, *text("shoes."), end())
    async with working():
        waiting = asyncio.create_task(caller.calls(NAME, message="x"))
        await within(gate.reached.wait())
        run = await in_database(Run.objects.get)
        await in_database(control.cancel_run, principal=principal, thread_id=run.thread_id, run_id=run.id)
        answer = await within(waiting)
    assert answer.result["isError"] is True
    assert "its status is 'cancelled'" in answer.result["content"][0]["text"]


async def test_a_thread_that_is_deleted_is_told(
    caller: Caller, model: Model, offered: Assistant, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.streaming.reader.PING", 0.05)
    waiting = asyncio.create_task(caller.calls(NAME, message="x"))
    run = await until(Run.objects.first)
    await in_database(threads.delete_thread, principal=principal, thread_id=run.thread_id)
    answer = await within(waiting)
    assert answer.result["isError"] is True
    assert "No run found" in answer.result["content"][0]["text"]


async def test_a_revoked_key_hears_no_more(
    caller: Caller, model: Model, offered: Assistant, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "KEPT", 0.0)
    waiting = asyncio.create_task(caller.calls(NAME, message="x"))
    await until(Run.objects.first)
    key = await in_database(ApiKey.objects.get, pk=principal.key_id)
    await in_database(revoke_api_key, key=key)
    answer = await within(waiting)
    assert answer.result["isError"] is True
    assert "was withdrawn" in answer.result["content"][0]["text"]


def test_a_person_asks_with_their_session_and_its_token(
    bob: User, browser_of: Callable[[User], Client], offer: Callable[..., Assistant]
) -> None:
    offer()
    browser = browser_of(bob)
    call = {"name": "house-rules", "arguments": {"message": "Hello?"}}
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})

    def sent(**headers: str) -> int:
        return browser.post("/mcp", message, content_type="application/json", headers=headers).status_code

    assert sent() == 403
    assert not Thread.objects.exists()
    browser.cookies["sovereign_csrf"] = token = "x" * 32
    assert sent(**{"X-CSRFToken": token, "Accept": "text/event-stream"}) == 200
    assert Thread.objects.get().owner_id == bob.pk


# ------------------------------------------------------------------------------------------------ clients that leave


@pytest.fixture
def answering_of(principal: Principal, offered: Assistant) -> Callable[[str], Answering]:
    """``answering_of(version)``: a call that was begun, of a client that speaks this version."""

    def make(version: str) -> Answering:
        run = calls.begin(principal, offered.id, {"message": "x"})
        question = Question(1, "tools/call", {"name": NAME}, version)
        return Answering(question, Following(run, Rights(principal)))

    return make


async def leave_stream(answering: Answering) -> None:
    async with aclosing(answering.frames("p")) as frames:
        assert b"Waiting" in await within(anext(frames))
    sse_response(frames, answering.close).close()


async def leave_stream_at_once(answering: Answering) -> None:
    """Before anything was read of it."""
    sse_response(answering.frames("p"), answering.close).close()


async def leave_document(answering: Answering) -> None:
    """The client has gone, when its answer is to be waited for."""
    sent: list[Any] = []

    async def leaves() -> None:
        pass

    await OneHopHandler()._send_later(LaterResponse(answering.document, answering.close), leaves, sent.append)
    assert sent == []


@pytest.mark.parametrize("leave", [leave_stream, leave_stream_at_once, leave_document])
async def test_who_leaves_cancels_where_that_is_what_leaving_means(
    model: Model, answering_of: Callable[[str], Answering], leave: Any
) -> None:
    answering = await in_database(answering_of, NEW)
    await leave(answering)
    await until(Run.objects.filter(status=Status.CANCELLING).exists)
    async with working():
        assert (await ended(answering.following.run.id)).status == "cancelled"
    assert model.requests == []


@pytest.mark.parametrize("leave", [leave_stream, leave_document])
async def test_of_older_clients_the_run_goes_on(
    model: Model, answering_of: Callable[[str], Answering], leave: Any
) -> None:
    answering = await in_database(answering_of, OLD)
    await leave(answering)
    model.answers(*text("No shoes."), end())
    async with working():
        assert (await ended(answering.following.run.id)).status == "completed"


async def test_silence_is_broken_by_signs_of_life(
    answering_of: Callable[[str], Answering], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "PING", 0.0)
    waiting = await in_database(answering_of, OLD)
    async with aclosing(waiting.frames(None)) as frames:
        assert await within(anext(frames)) == b": ping\n"


async def test_a_modern_answer_says_that_it_is_complete(model: Model, answering_of: Callable[[str], Answering]) -> None:
    answering = await in_database(answering_of, NEW)
    model.answers(*text("No shoes."), end())
    async with working():
        document = await within(answering.document())
    result = json.loads(document.content)["result"]
    assert result["resultType"] == "complete"
    assert result["structuredContent"]["answer"] == "No shoes."
