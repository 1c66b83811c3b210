"""The WebSocket of a thread: who may open it, what may be asked, what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.db import DatabaseError, connections
from django.test import Client

from assistants.models import Assistant
from runs.models import Run
from runs.services import creation
from runs.streaming import consumer, guard, rights
from sovereign.accounts import credentials, services
from sovereign.accounts.models import ApiKey, Project, User
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from sovereign.urls import websocket_urlpatterns
from tests.runs.support import PATIENCE, Model, call, end, ended, outputs_for, sequence, text, working
from threads import services as threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fresh_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "_verdicts", {})


@asynccontextmanager
async def socket(
    thread_id: str, *, key: str = "", ticket: str = "", origin: str = ""
) -> AsyncIterator[tuple[WebsocketCommunicator, bool, int | None]]:
    """``(socket, accepted, close code)``."""
    headers = [(b"host", b"localhost:8000")]
    headers += [(b"authorization", f"Bearer {key}".encode())] if key else []
    headers += [(b"origin", origin.encode())] if origin else []
    query = f"?ticket={ticket}" if ticket else ""
    communicator = WebsocketCommunicator(URLRouter(websocket_urlpatterns), f"/ws/threads/{thread_id}{query}", headers)
    accepted, code = await communicator.connect(timeout=PATIENCE)
    try:
        yield communicator, accepted, code
    finally:
        await communicator.disconnect(timeout=PATIENCE)


async def frame(communicator: WebsocketCommunicator) -> dict[str, Any]:
    return orjson.loads(await communicator.receive_from(timeout=PATIENCE))  # type: ignore[no-any-return]


async def frames_until(communicator: WebsocketCommunicator, event: str) -> list[dict[str, Any]]:
    received = [await frame(communicator)]
    while received[-1]["event"] != event:
        received.append(await frame(communicator))
    return received


async def test_a_run_is_followed_to_its_end_across_tool_calls(
    model: Model, begin: Callable[..., Run], tooled: Assistant, api_key: str, principal: Principal
) -> None:
    from runs.services import control

    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather"), end("tool_calls"))
    model.answers(*text("Sunny"), end())
    async with working(), socket(run.thread_id, key=api_key) as (viewer, accepted, _):
        assert accepted
        await viewer.send_json_to({"subscribe": run.id, "after": 1})
        asked = await frames_until(viewer, "thread.run.requires_action")
        waiting = await ended(run.id)
        await in_database(
            control.submit_tool_outputs,
            principal=principal,
            thread_id=run.thread_id,
            run_id=run.id,
            tool_outputs=outputs_for(waiting),
        )
        answered = await frames_until(viewer, "thread.run.completed")
        received = asked + answered
        assert [item["seq"] for item in received] == (await in_database(sequence, run.id))[1:]
        assert {item["run"] for item in received} == {run.id}
        assert answered[-1]["data"]["status"] == "completed"
        await viewer.send_json_to({"subscribe": run.id, "after": received[-1]["seq"] - 1})  # still open
        assert (await frame(viewer))["seq"] == received[-1]["seq"]
        assert await viewer.receive_nothing(timeout=0.05)


async def test_a_ticket_opens_one_socket(principal: Principal, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    _, ticket = await in_database(services.issue_ticket, principal=principal)
    async with socket(run.thread_id, ticket=ticket) as (viewer, accepted, _):
        assert accepted
        await viewer.send_json_to({"subscribe": run.id})
        assert (await frame(viewer))["seq"] == 1
    async with socket(run.thread_id, ticket=ticket) as (_, accepted, _code):
        assert not accepted
    async with socket(run.thread_id, ticket="forged") as (_, accepted, _code):
        assert not accepted
    async with socket(run.thread_id) as (_, accepted, _code):
        assert not accepted


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:8000", True),
        ("http://127.0.0.1:8000", True),
        ("http://localhost:3000", False),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("null", False),
        ("http://[", False),
    ],
)
async def test_a_page_from_elsewhere_is_refused(
    begin: Callable[..., Run], api_key: str, origin: str, allowed: bool
) -> None:
    run = await in_database(begin)
    async with socket(run.thread_id, key=api_key, origin=origin) as (_, accepted, _code):
        assert accepted is allowed


async def test_a_key_that_may_not_read_runs_is_refused(project: Project, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    _, secret = await in_database(services.create_api_key, project=project, name="narrow", scopes=["models:read"])
    async with socket(run.thread_id, key=secret) as (_, accepted, _code):
        assert not accepted


async def test_another_tenants_run_is_an_unknown_one(
    begin: Callable[..., Run], charlies_key: str, api_key: str, principal: Principal, assistant: Assistant
) -> None:
    run = await in_database(begin)
    other = await in_database(
        lambda: creation.create_thread_and_run(principal=principal, assistant_id=assistant.id, thread={}).run
    )

    async def answer(thread_id: str, key: str, run_id: str) -> dict[str, Any]:
        async with socket(thread_id, key=key) as (viewer, accepted, _):
            assert accepted
            await viewer.send_json_to({"subscribe": run_id})
            told = await frame(viewer)
            assert told["event"] == "error"
            return told["data"]["error"]  # type: ignore[no-any-return]

    charlies = await in_database(credentials.principal_of_key, charlies_key)
    own = await in_database(threads.create_thread, principal=charlies)
    for thread_id, key, run_id in (
        (run.thread_id, charlies_key, run.id),
        (own.id, charlies_key, run.id),
        (run.thread_id, api_key, other.id),  # a run of another thread
        (run.thread_id, api_key, "run_nobody"),
        (run.thread_id, api_key, "run_\x00"),
        ("thread_%00", api_key, run.id),
    ):
        assert (await answer(thread_id, key, run_id))["message"] == f"No run found with id '{run_id}'."


@pytest.mark.parametrize(
    "sent",
    [
        " ",
        "no json",
        "[]",
        "5",
        "{}",
        '{"subscribe": 5}',
        '{"subscribe": "\\ud800"}',
        '{"subscribe": "run_x", "after": "1"}',
        '{"subscribe": "run_x", "after": -1}',
        '{"subscribe": "run_x", "after": true}',
        '{"subscribe": "run_x", "after": 99999999999999999999}',
        '{"subscribe": "run_x", "after": 2147483648}',
        "[" * 5_000,
    ],
)
async def test_a_malformed_frame_is_told_and_the_socket_stays(
    begin: Callable[..., Run], api_key: str, sent: str
) -> None:
    run = await in_database(begin)
    async with socket(run.thread_id, key=api_key) as (viewer, accepted, _):
        assert accepted
        await viewer.send_to(text_data=sent)
        told = await frame(viewer)
        assert told["event"] == "error"
        assert told["data"]["error"]["type"] == "invalid_request_error"
        await viewer.send_json_to({"subscribe": run.id})
        assert (await frame(viewer))["seq"] == 1


@pytest.mark.parametrize("sent", [{"bytes_data": b"{}"}, {"text_data": "x" * 70_000}])
async def test_a_frame_nobody_would_send_closes_the_socket(
    begin: Callable[..., Run], api_key: str, sent: dict[str, Any]
) -> None:
    run = await in_database(begin)
    async with socket(run.thread_id, key=api_key) as (viewer, _, _code):
        await viewer.send_to(**sent)
        closed = await viewer.receive_output(timeout=PATIENCE)
    assert closed == {"type": "websocket.close", "code": consumer.TOO_LARGE}


async def test_one_socket_follows_a_bounded_number_of_runs(
    begin: Callable[..., Run], api_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "SUBSCRIPTIONS", 0)
    run = await in_database(begin)
    async with socket(run.thread_id, key=api_key) as (viewer, _, _code):
        await viewer.send_json_to({"subscribe": run.id})
        assert (await frame(viewer))["data"]["error"]["code"] == "too_many"


async def test_a_revoked_key_closes_the_socket(
    begin: Callable[..., Run], api_key: str, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "KEPT", 0.02)
    monkeypatch.setattr(guard, "GLANCE", 0.02)
    run = await in_database(begin)
    async with socket(run.thread_id, key=api_key) as (viewer, accepted, _):
        assert accepted
        await viewer.send_json_to({"subscribe": run.id, "after": 1})
        assert (await frame(viewer))["seq"] == 2
        await in_database(lambda: services.revoke_api_key(key=ApiKey.objects.get(pk=principal.key_id)))
        closed = await viewer.receive_output(timeout=PATIENCE)
    assert (closed["type"], closed["code"]) == ("websocket.close", consumer.REVOKED)


async def test_a_logout_closes_the_socket(
    begin: Callable[..., Run], alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "KEPT", 0.02)
    monkeypatch.setattr(guard, "GLANCE", 0.02)
    run, browser = await in_database(begin), Client()
    await in_database(browser.force_login, alice)
    cookie = f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"
    headers = [(b"host", b"localhost:8000"), (b"cookie", cookie.encode())]
    application = AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
    viewer = WebsocketCommunicator(application, f"/ws/threads/{run.thread_id}", headers)
    accepted, _ = await viewer.connect(timeout=PATIENCE)
    assert accepted
    await viewer.send_json_to({"subscribe": run.id, "after": 1})
    assert (await frame(viewer))["seq"] == 2
    await in_database(browser.logout)
    assert (await viewer.receive_output(timeout=PATIENCE))["code"] == consumer.REVOKED
    await viewer.disconnect(timeout=PATIENCE)
    await sync_to_async(connections.close_all)()


async def test_the_guard_outlives_a_database_that_is_away(
    begin: Callable[..., Run], api_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def away_and_back(*args: object) -> bool:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise DatabaseError
        return False

    monkeypatch.setattr(credentials, "still_valid", away_and_back)
    monkeypatch.setattr(rights, "KEPT", 0.0)
    monkeypatch.setattr(guard, "GLANCE", 0.01)
    run = await in_database(begin)
    async with socket(run.thread_id, key=api_key) as (viewer, accepted, _):
        assert accepted
        closed = await viewer.receive_output(timeout=PATIENCE)
    assert (closed["type"], closed["code"], asked) == ("websocket.close", consumer.REVOKED, 3)


async def test_a_subscription_the_database_cannot_answer_is_told_and_closes(
    begin: Callable[..., Run], api_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object) -> None:
        raise DatabaseError

    run = await in_database(begin)
    async with socket(run.thread_id, key=api_key) as (viewer, _, _code):
        monkeypatch.setattr(consumer.ThreadConsumer, "_check_visible", away)
        await viewer.send_json_to({"subscribe": run.id})
        assert (await frame(viewer))["data"]["error"]["code"] == "service_unavailable"
        assert (await viewer.receive_output(timeout=PATIENCE))["code"] == consumer.FAILED


async def test_a_socket_that_breaks_leaves_no_task_behind(
    begin: Callable[..., Run], api_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Channels raises what a handler raised, and then does not tell the consumer that the socket is gone."""

    async def breaks(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    run = await in_database(begin)
    headers = [(b"host", b"localhost:8000"), (b"authorization", f"Bearer {api_key}".encode())]
    viewer = WebsocketCommunicator(URLRouter(websocket_urlpatterns), f"/ws/threads/{run.thread_id}", headers)
    before = asyncio.all_tasks()
    await viewer.connect(timeout=PATIENCE)
    await viewer.send_json_to({"subscribe": run.id})
    await frame(viewer)
    monkeypatch.setattr(consumer.ThreadConsumer, "receive", breaks)
    await viewer.send_json_to({"subscribe": run.id})
    with pytest.raises(RuntimeError):
        await viewer.wait(timeout=PATIENCE)
    left = [task for task in asyncio.all_tasks() - before if "ThreadConsumer" in repr(task.get_coro())]
    assert left == []
