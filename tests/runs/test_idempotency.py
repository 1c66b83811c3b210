"""The same ``POST`` again, where runs are concerned: every route, streams, expiry, and waking the workers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test import AsyncClient
from rest_framework.test import APIClient

from assistants.models import Assistant
from inference import gateway
from inference.chat import Availability
from inference.models import RegisteredModel
from runs.models import Run, RunEvent
from runs.services import control, creation
from sovereign.accounts import services
from sovereign.accounts.models import AuditEvent, IdempotencyRecord, Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES
from sovereign.core import bus
from sovereign.core.database import in_database
from tests.runs.life_routes import CONVERSATION
from tests.runs.support import Model, age_run, call, end, ended, outputs_for, text, until, within, working
from tests.runs.test_readers import parsed
from tests.runs.test_tenancy import ALL, BY_ID, belongings, request_of, snapshot
from threads.models import Message, Thread

RECORDED = [(route, view) for method, route, view in ALL if method == "POST" and view.is_recorded]
#: those that store a content have tests of their own (tests/knowledge): their bodies are forms, or about parts; and so
#: has the one that is answered when its run is (tests/conversations)
POSTS = sorted({route for route, view in RECORDED if not hasattr(view, "keep")} - {f"{CONVERSATION}/messages"})
#: bodies of routes that name no object, where one has to be
BODIES: dict[str, dict[str, Any]] = {
    "assistants": {"model": "tiny"},
    "uploads": {"purpose": "assistants", "filename": "a.txt", "bytes": 1, "mime_type": "text/plain"},
    "api/v1/prompts": {"name": "Farewell", "template": "Say goodbye."},
}
#: what calls a model and changes nothing is done as often as it is asked for
UNRECORDED = {
    *(f"{root}chat/completions{rest}" for root, rest in (("", ""), ("api/v1/", ""), ("api/v1/", "/stream"))),
    *("completions", "embeddings", "moderations"),
    "vector_stores/<str:vector_store_id>/search",
    "api/v1/prompts/<str:prompt_id>/preview",
    "api/v1/assistants/compare",
    "mcp",  # whose calls have ids of their own
}
HEADERS = {"OpenAI-Beta": "assistants=v2"}


@pytest.fixture(autouse=True)
async def no_connection_stays() -> AsyncIterator[None]:
    """The test client keeps its view's thread, and that thread its connection."""
    yield
    await sync_to_async(connections.close_all)()


# ------------------------------------------------------------------------------------------------- every route


@pytest.fixture
def api_key(project: Project) -> str:
    """A key that may call every route."""
    return services.create_api_key(project=project, name="test", scopes=sorted(ALL_SCOPES))[1]


@pytest.fixture
def alices(api_key: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    RegisteredModel.objects.create(name="tiny", created_at="2026-01-01T00:00:00Z")
    monkeypatch.setattr(gateway, "availability", lambda *_, **__: Availability(ready=True))  # what is deployed has one
    return belongings(api_key)


def waits_for_output(ids: dict[str, str]) -> None:
    """What ``OUTPUTS`` of the tenancy test is right for."""
    calls = [{"id": "call_x", "type": "function", "function": {"name": "f", "arguments": "{}", "output": None}}]
    run = Run.objects.get(pk=ids["run_id"])
    run.steps.filter(pk=ids["step_id"]).update(
        status="in_progress", step_details={"type": "tool_calls", "tool_calls": calls}
    )
    Run.objects.filter(pk=run.pk).update(status="requires_action")


def is_over(ids: dict[str, str]) -> None:
    """What can be rated, and made a case of; its thread takes messages and runs again."""
    run = Run.objects.get(pk=ids["run_id"])
    content = [{"type": "text", "text": {"value": "Bob.", "annotations": []}}]
    Message.objects.create(
        project_id=run.project_id, thread_id=run.thread_id, run_id=run.pk, role="assistant", position=2, content=content
    )
    Run.objects.filter(pk=run.pk).update(status="completed")
    Thread.objects.filter(pk=run.thread_id).update(active_run_id=None, last_position=2)


def test_only_calls_of_models_are_not_recorded() -> None:
    assert {route for method, route, view in ALL if method == "POST" and not view.is_recorded} == UNRECORDED


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["HTTP_IDEMPOTENCY_KEY", "HTTP_X_STAINLESS_RETRY_COUNT"])
@pytest.mark.parametrize("route", POSTS)
def test_every_route_answers_twice_and_does_it_once(
    api: APIClient, project: Project, alices: dict[str, str], route: str, header: str
) -> None:
    """Generated from the URL table: a route that forgot it fails."""
    if route.endswith("/submit_tool_outputs"):
        waits_for_output(alices)
    elif route.endswith(("/messages", "/runs", "/feedback", "/from_run", "/replay")):  # not while a run is at it
        is_over(alices)
    address, filled = request_of(route, BY_ID.get(("POST", route)) or BODIES.get(route, {}), alices)
    body = json.loads(filled)

    first = api.post(address, body, format="json", **{header: "1"})
    assert first.status_code == 200, first.content
    before, audited = snapshot(project), AuditEvent.objects.count()
    again = api.post(address, body, format="json", **{header: "1"})
    assert (again.status_code, again.content, again["idempotent-replayed"]) == (200, first.content, "true")
    assert again.get("openai-poll-after-ms") == first.get("openai-poll-after-ms")
    assert (snapshot(project), AuditEvent.objects.count()) == (before, audited)


# ----------------------------------------------------------------------------------------------------- expiry


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("action", ["", "/cancel", "/submit_tool_outputs"])
def test_a_run_past_its_time_is_expired_although_the_request_with_a_key_is_refused(
    api: APIClient, begin: Callable[..., Run], action: str
) -> None:
    run = begin()
    age_run(run.id)
    body = {"": {"metadata": {"a": "b"}}, "/submit_tool_outputs": {"tool_outputs": []}}.get(action, {})
    answer = api.post(
        f"/v1/threads/{run.thread_id}/runs/{run.id}{action}", body, format="json", HTTP_IDEMPOTENCY_KEY="k"
    )
    assert answer.status_code == (400 if action else 200)
    assert Run.objects.get(pk=run.id).status == "expired"
    assert Thread.objects.get(pk=run.thread_id).active_run_id is None
    assert IdempotencyRecord.objects.exists() == (action == "")


# ------------------------------------------------------------------------------------------- waking the workers


@pytest.mark.django_db(transaction=True)
def test_workers_are_woken_when_everything_is_committed(
    api: APIClient, assistant: Assistant, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    def publish(topic: str, payload: dict[str, Any]) -> None:
        if topic == bus.RUN_WAITING:
            told.append((connection.in_atomic_block, Run.objects.filter(pk=payload["run"]).exists()))

    monkeypatch.setattr(bus, "publish", publish)
    for _ in range(2):
        body = {"assistant_id": assistant.id}
        assert (
            api.post(f"/v1/threads/{thread.id}/runs", body, format="json", HTTP_IDEMPOTENCY_KEY="k").status_code == 200
        )
    assert told == [(False, True)]  # once, and not for the replay
    assert IdempotencyRecord.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_nobody_is_woken_for_what_was_taken_back(
    api: APIClient, assistant: Assistant, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(bus, "publish", lambda topic, payload: told.append(topic))
    real = creation.create_run

    def fail(**request: Any) -> Any:
        real(**request)
        raise RuntimeError("after everything")

    monkeypatch.setattr(creation, "create_run", fail)
    answer = api.post(f"/v1/threads/{thread.id}/runs", {"assistant_id": assistant.id}, format="json")
    assert answer.status_code == 500
    assert told == []
    assert not Run.objects.exists()
    assert Thread.objects.get().active_run_id is None


# ----------------------------------------------------------------------------------------------------- streams


class Streamer:
    """Posts a body with ``stream`` and reads the stream to its end."""

    def __init__(self, api_key: str) -> None:
        self._headers = {**HEADERS, "Authorization": f"Bearer {api_key}"}
        self._client = AsyncClient()

    async def open(self, path: str, body: Any, **headers: str) -> Any:
        given = {**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self._client.post(f"/v1/{path}", body, content_type="application/json", headers=given)

    async def read(self, path: str, body: Any, **headers: str) -> tuple[Any, list[Any]]:
        response = await self.open(path, {**body, "stream": True}, **headers)
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/event-stream")
        return response, await within(parsed(response))


@pytest.fixture
def streamer(api_key: str) -> Streamer:
    return Streamer(api_key)


REPEATED = [({"Idempotency_Key": "k"},) * 2, ({"x_stainless_retry_count": "0"}, {"x_stainless_retry_count": "1"})]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("first", "second"), REPEATED)
@pytest.mark.parametrize("route", ["threads/runs", "threads/{thread}/runs"])
async def test_a_stream_is_told_again_from_the_runs_log(
    model: Model, assistant: Assistant, thread: Thread, streamer: Streamer, route: str, first: Any, second: Any
) -> None:
    path = route.format(thread=thread.id)
    body = {"assistant_id": assistant.id, **({"thread": {"messages": []}} if path == "threads/runs" else {})}
    model.answers(*text("a", "b"), end())
    async with working():
        told, events = await streamer.read(path, body, **first)
    replayed, again = await streamer.read(path, body, **second)
    assert again == events
    assert events[-1][1] == "done"
    assert (told.get("idempotent-replayed"), replayed["idempotent-replayed"]) == (None, "true")
    assert await in_database(Run.objects.count) == 1


@pytest.mark.django_db(transaction=True)
async def test_a_retry_joins_a_stream_that_still_goes(model: Model, assistant: Assistant, streamer: Streamer) -> None:
    """The first answer was lost as soon as the run was committed: nobody read any of it."""
    body = {"assistant_id": assistant.id}
    lost = await streamer.open("threads/runs", {**body, "stream": True}, x_stainless_retry_count="0")
    assert lost.status_code == 200
    model.answers(*text("a", "b"), end())
    async with working():
        _, events = await streamer.read("threads/runs", body, x_stainless_retry_count="1")
    assert [number for number, *_ in events[:-1]] == list(range(1, len(events)))
    assert events[-2][1] == "thread.run.completed"
    assert await in_database(Run.objects.count) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("first", "second"), REPEATED)
async def test_submitted_outputs_are_taken_once_and_their_stream_told_again(
    model: Model, tooled: Assistant, begin: Callable[..., Run], streamer: Streamer, first: Any, second: Any
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather", "{}"), end("tool_calls"))
    model.answers(*text("Sunny."), end())
    path = f"threads/{run.thread_id}/runs/{run.id}/submit_tool_outputs"
    async with working():
        waiting = await ended(run.id)
        body = {"tool_outputs": outputs_for(waiting)}
        _, events = await streamer.read(path, body, **first)
    assert events[0][0] == waiting.last_seq + 1
    replayed, again = await streamer.read(path, body, **second)
    assert (again, replayed["idempotent-replayed"]) == (events, "true")
    plain = await streamer.open(path, body)
    assert plain.status_code == 400  # without a word of being a retry it is a second submit


@pytest.mark.django_db(transaction=True)
async def test_the_stream_of_a_run_that_asks_for_outputs_ends_there_again(
    model: Model, tooled: Assistant, thread: Thread, principal: Principal, streamer: Streamer
) -> None:
    """What came after the outputs belongs to the submit's own stream."""
    path, body = f"threads/{thread.id}/runs", {"assistant_id": tooled.id}
    model.answers(*call(0, "weather", "{}"), end("tool_calls"))
    model.answers(*text("Sunny."), end())
    async with working():
        _, events = await streamer.read(path, body, Idempotency_Key="k")
        assert events[-2][1] == "thread.run.requires_action"
        run = await in_database(Run.objects.get)
        await in_database(
            control.submit_tool_outputs,
            principal=principal,
            thread_id=run.thread_id,
            run_id=run.id,
            tool_outputs=outputs_for(run),
        )
        await until(lambda: Run.objects.filter(pk=run.id, status="completed").first())
    assert (await streamer.read(path, body, Idempotency_Key="k"))[1] == events


@pytest.mark.django_db(transaction=True)
async def test_a_key_is_for_a_stream_or_for_an_object(assistant: Assistant, streamer: Streamer) -> None:
    body = {"assistant_id": assistant.id}
    assert (await streamer.open("threads/runs", body, Idempotency_Key="k")).status_code == 200
    refused = await streamer.open("threads/runs", {**body, "stream": True}, Idempotency_Key="k")
    assert (refused.status_code, refused["Content-Type"]) == (400, "application/json")
    assert json.loads(refused.content)["error"]["code"] == "idempotency_key_reused"


@pytest.mark.django_db(transaction=True)
async def test_the_stream_of_a_run_that_is_gone_says_so(
    api: APIClient, assistant: Assistant, streamer: Streamer
) -> None:
    body = {"assistant_id": assistant.id}
    assert (await streamer.open("threads/runs", {**body, "stream": True}, Idempotency_Key="k")).status_code == 200

    def remove() -> None:
        run = Run.objects.get()
        assert api.delete(f"/v1/threads/{run.thread_id}").status_code == 200

    await in_database(remove)
    _, events = await streamer.read("threads/runs", body, Idempotency_Key="k")
    assert [event for _, event, _ in events] == ["error", "done"]
    assert not await in_database(RunEvent.objects.exists)


@pytest.mark.django_db(transaction=True)
async def test_a_stream_that_cannot_be_opened_is_not_begun_twice(
    assistant: Assistant, streamer: Streamer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is committed, then opening its stream fails: who retries gets the stream of that run."""
    from runs.api import views

    def fail(frames: Any) -> Any:
        raise RuntimeError("no more file descriptors")

    body = {"assistant_id": assistant.id, "stream": True}
    with monkeypatch.context() as patch:
        patch.setattr(views, "sse_response", fail)
        unknown = await streamer.open("threads/runs", body)
        recognised = await streamer.open("threads/runs", body, x_stainless_retry_count="0")
    assert (unknown.status_code, unknown["x-should-retry"]) == (500, "false")
    assert (recognised.status_code, recognised.get("x-should-retry")) == (500, None)
    again = await streamer.open("threads/runs", body, x_stainless_retry_count="1")
    assert (again.status_code, again["idempotent-replayed"]) == (200, "true")
    assert await in_database(Run.objects.count) == 2
