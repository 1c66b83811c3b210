"""Readers of a run's events: replay and live, from any cursor, each event once and in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient

from assistants.models import Assistant
from runs.events import EventLog
from runs.models import Run
from runs.rendering import head_of, render_event
from runs.services import control
from runs.services.recorder import Recorder
from runs.states import Status
from runs.streaming import reader, rights, tailer
from runs.streaming.reader import frames, read
from runs.streaming.rights import Rights
from runs.streaming.tailer import Entry
from sovereign.accounts import services
from sovereign.accounts.models import ApiKey, User
from sovereign.accounts.principals import Principal
from sovereign.core import sse
from sovereign.core.database import in_database, service
from tests.runs.support import (
    PATIENCE,
    Gate,
    Model,
    call,
    end,
    ended,
    outputs_for,
    sequence,
    streamed_text,
    text,
    types_of,
    until,
    within,
    working,
)
from threads import services as threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def no_connection_stays() -> AsyncIterator[None]:
    """The test client keeps its view's thread, and that thread its connection."""
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture
def watcher(principal: Principal, monkeypatch: pytest.MonkeyPatch) -> Rights:
    monkeypatch.setattr(rights, "_verdicts", {})
    return Rights(principal)


@service
def tell(run_id: str, *words: str) -> None:
    """Events as a worker would write them, without one."""
    run = Run.objects.select_for_update().get(pk=run_id)
    with EventLog() as log:
        for word in words:
            Recorder(log, run).append_text("msg_x", word, first=False)


@service
def finish(run_id: str) -> None:
    run = Run.objects.select_for_update().get(pk=run_id)
    with EventLog() as log:
        Recorder(log, run).end(Status.EXPIRED)


class Viewer:
    """Collects what a reader gives in a task of its own."""

    def __init__(self, run_id: str, after: int = 0) -> None:
        self.entries: list[Entry] = []
        self.pings = 0
        self.task = asyncio.create_task(self._view(run_id, after))

    async def _view(self, run_id: str, after: int) -> None:
        async with aclosing(read(run_id, after)) as entries:
            async for entry in entries:
                if entry is None:
                    self.pings += 1
                else:
                    self.entries.append(entry)

    @property
    def seqs(self) -> list[int]:
        return [entry.seq for entry in self.entries]

    async def at(self, seq: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while not self.entries or self.entries[-1].seq < seq:
                await asyncio.sleep(0.005)

    async def leaves(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def parsed(stream: AsyncIterator[bytes]) -> list[tuple[int | None, str, Any]]:
    """Frames as ``(id, event, data)``; pings left out."""
    result = []
    async for frame in stream:
        assert frame.endswith(b"\n\n") or frame == sse.PING
        fields = dict(line.split(": ", 1) for line in frame.decode().strip().split("\n"))
        if "event" in fields:
            data = fields["data"] if fields["data"] == "[DONE]" else json.loads(fields["data"])
            result.append((int(fields["id"]) if "id" in fields else None, fields["event"], data))
    return result


async def test_a_stream_from_the_beginning_tells_everything_and_is_done(
    model: Model, begin: Callable[..., Run], watcher: Rights
) -> None:
    run = await in_database(begin)
    model.answers(*text("a", "b", "c"), end())
    async with working():
        stream = await within(parsed(frames(run.id, 0, watcher)))
    assert [number for number, *_ in stream] == [*await in_database(sequence, run.id), None]
    assert [event for _, event, _ in stream] == [*await in_database(types_of, run.id), "done"]
    assert stream[-1] == (None, "done", "[DONE]")


async def test_every_cursor_gives_exactly_what_comes_after_it(
    model: Model, begin: Callable[..., Run], watcher: Rights
) -> None:
    run = await in_database(begin)
    model.answers(*text("a", "b"), end())
    async with working():
        over = await ended(run.id)
    for cursor in range(over.last_seq + 1):
        stream = await within(parsed(frames(run.id, cursor, watcher)))
        assert [number for number, *_ in stream[:-1]] == list(range(cursor + 1, over.last_seq + 1))
    for cursor in (over.last_seq, over.last_seq + 1, 10**8):
        assert await within(parsed(frames(run.id, cursor, watcher))) == [(None, "done", "[DONE]")]


async def test_viewers_who_join_late_leave_and_come_back_get_every_event_once(begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    early = Viewer(run.id)
    await early.at(2)
    for batch in range(6):
        await in_database(tell, run.id, *(f"{batch}.{index} " for index in range(5)))
    late = Viewer(run.id)
    middle = Viewer(run.id, 11)
    await early.at(32)
    leaving = Viewer(run.id, 20)
    await leaving.at(32)
    await leaving.leaves()
    back = Viewer(run.id, leaving.seqs[-1])
    await in_database(tell, run.id, "last ")
    await in_database(finish, run.id)
    everyone = [early, late, middle, back]
    await within(asyncio.wait([viewer.task for viewer in everyone]))
    assert early.seqs == late.seqs == list(range(1, 35))
    assert middle.seqs == list(range(12, 35))
    assert leaving.seqs + back.seqs == list(range(21, 35))
    assert not tailer.tailer()._runs  # nobody is followed for nobody


async def test_readers_of_several_runs_share_one_tailer(
    model: Model, principal: Principal, assistant: Assistant
) -> None:
    from runs.services import creation

    def begin_some() -> list[Run]:
        return [
            creation.create_thread_and_run(principal=principal, assistant_id=assistant.id, thread={}).run
            for _ in range(5)
        ]

    runs = await in_database(begin_some)
    for _ in runs:
        model.answers(*text("Hello"), end())
    viewers = [Viewer(run.id) for run in runs for _ in range(2)]
    async with working():
        await within(asyncio.wait([viewer.task for viewer in viewers]))
    for index, viewer in enumerate(viewers):
        assert viewer.seqs == await in_database(sequence, runs[index // 2].id)


async def test_who_comes_while_another_leaves_misses_nothing(
    begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tailer's query was asked for the one who left: its answer is not for the one who came."""
    run = await in_database(begin)
    await in_database(tell, run.id, *"abcdefgh")
    asked, go_on = asyncio.Event(), asyncio.Event()
    run_in_database = tailer.in_database

    async def slowly(function: Callable[..., Any], *arguments: Any) -> Any:
        result = await run_in_database(function, *arguments)
        if function is tailer.load_events and result:
            asked.set()
            await go_on.wait()
        return result

    leaving = Viewer(run.id, 9)
    await leaving.at(10)
    monkeypatch.setattr(tailer, "in_database", slowly)
    await in_database(tell, run.id, "i")
    await within(asked.wait())
    await leaving.leaves()
    assert not tailer.tailer()._runs
    coming = Viewer(run.id)
    async with asyncio.timeout(PATIENCE):
        while run.id not in tailer.tailer()._runs:
            await asyncio.sleep(0.005)
    go_on.set()
    await coming.at(11)
    assert coming.seqs == list(range(1, 12))
    await coming.leaves()


async def test_a_cursor_beyond_the_log_starves_nobody(begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    lost = Viewer(run.id, 10_000)
    await asyncio.sleep(0)
    await until(lambda: True)
    viewer = Viewer(run.id)
    await viewer.at(2)
    await in_database(tell, run.id, "a")
    await viewer.at(3)
    await in_database(finish, run.id)
    await within(asyncio.wait([viewer.task]))
    assert viewer.seqs == [1, 2, 3, 4]
    await lost.leaves()
    assert lost.seqs == []


async def test_a_reader_that_falls_behind_replays(begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailer, "QUEUE_LIMIT", 3)
    monkeypatch.setattr(reader, "REPLAY_CHUNK", 7)
    run = await in_database(begin)
    seqs: list[int] = []
    async with aclosing(read(run.id, 0)) as entries:
        async for entry in entries:
            assert entry is not None
            seqs.append(entry.seq)
            if entry.seq == 2:  # this reader does not read while thirty events come
                await in_database(tell, run.id, *("word " for _ in range(30)))
                other = Viewer(run.id, 2)
                await other.at(32)
                await in_database(finish, run.id)
                await within(asyncio.wait([other.task]))
    assert seqs == list(range(1, 34))
    assert other.seqs == list(range(3, 34))


async def test_a_busy_run_does_not_keep_a_silent_one_from_being_read(
    begin: Callable[..., Run], principal: Principal, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Redis nobody wakes us for a run whose worker is in another process."""
    from runs.services import creation

    busy = await in_database(begin)
    silent = await in_database(
        lambda: creation.create_thread_and_run(principal=principal, assistant_id=assistant.id, thread={}).run
    )
    both = [Viewer(busy.id), Viewer(silent.id)]
    await both[0].at(2)
    await both[1].at(3)
    ours = tailer.tailer()
    on_wake = ours._on_wake
    deaf = lambda payload: on_wake(payload) if busy.id in payload["runs"] else None  # noqa: E731
    monkeypatch.setattr("runs.events.bus.publish", lambda topic, payload: None)  # every wake-up is lost
    await in_database(tell, silent.id, "unheard")
    async with asyncio.timeout(PATIENCE):
        while both[1].entries[-1].seq < 4:
            deaf({"runs": [busy.id]})
            await asyncio.sleep(0.01)
    for viewer in both:
        await viewer.leaves()


async def test_lost_wake_ups_cost_a_quarter_second_and_no_event(
    model: Model, begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, watcher: Rights
) -> None:
    monkeypatch.setattr("sovereign.core.bus.publish", lambda topic, payload: None)
    run = await in_database(begin)
    model.answers(*text("a"), end())
    async with working():
        stream = await within(parsed(frames(run.id, 0, watcher)))
    assert [number for number, *_ in stream[:-1]] == await in_database(sequence, run.id)


async def test_a_stream_ends_where_outputs_are_awaited_and_goes_on_from_the_submit(
    model: Model, begin: Callable[..., Run], tooled: Assistant, principal: Principal, watcher: Rights
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather"), end("tool_calls"))
    async with working():
        first = await within(parsed(frames(run.id, 0, watcher)))
        assert [event for _, event, _ in first[-2:]] == ["thread.run.requires_action", "done"]
        waiting = await ended(run.id)
        # who comes back behind the last event is told at once that nothing more comes
        assert await within(parsed(frames(run.id, waiting.last_seq, watcher))) == [(None, "done", "[DONE]")]
        viewer = Viewer(run.id)  # a WebSocket's reader goes on
        model.answers(*text("Sunny"), end())
        begun = await in_database(
            control.submit_tool_outputs,
            principal=principal,
            thread_id=run.thread_id,
            run_id=run.id,
            tool_outputs=outputs_for(waiting),
        )
        second = await within(parsed(frames(run.id, begun.cursor, watcher)))
        assert [event for _, event, _ in second[:3]] == [
            "thread.run.step.completed",
            "thread.run.queued",
            "thread.run.in_progress",
        ]
        assert second[-2][1] == "thread.run.completed"
        # a requires_action that is no longer the newest does not end a stream
        whole = await within(parsed(frames(run.id, 0, watcher, resumed=True)))
        await within(asyncio.wait([viewer.task]))
    numbers = [number for number, *_ in whole[:-1]]
    assert numbers == await in_database(sequence, run.id) == viewer.seqs
    assert [number for number, *_ in first[:-1] + second[:-1]] == numbers


async def test_a_deleted_thread_is_told_as_an_error(
    begin: Callable[..., Run], principal: Principal, monkeypatch: pytest.MonkeyPatch, watcher: Rights
) -> None:
    monkeypatch.setattr(reader, "PING", 0.05)
    run = await in_database(begin)
    stream = asyncio.create_task(parsed(frames(run.id, 0, watcher)))
    viewer = Viewer(run.id)
    await viewer.at(2)
    await in_database(threads.delete_thread, principal=principal, thread_id=run.thread_id)
    events = await within(stream)
    error = {
        "error": {
            "message": f"No run found with id '{run.id}'.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
    }
    assert events[-2:] == [(None, "error", error), (None, "done", "[DONE]")]
    assert await within(parsed(frames(run.id, 0, watcher))) == events[-2:]
    await within(asyncio.wait([viewer.task]))
    assert isinstance(viewer.task.exception(), Run.DoesNotExist)


async def test_silence_is_broken_by_pings(
    begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, watcher: Rights
) -> None:
    monkeypatch.setattr(reader, "PING", 0.02)
    run = await in_database(begin)
    seen: list[bytes] = []
    async with aclosing(frames(run.id, 2, watcher)) as stream:
        async for frame in stream:
            seen.append(frame)
            if len(seen) == 3:
                break
    assert seen == [b": ping\n"] * 3


async def test_a_silent_stream_ends_when_its_key_is_revoked(
    begin: Callable[..., Run], watcher: Rights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "KEPT", 0.02)
    monkeypatch.setattr(reader, "GLANCE", 0.02)
    run = await in_database(begin)
    stream = asyncio.create_task(parsed(frames(run.id, 2, watcher)))
    await in_database(lambda: services.revoke_api_key(key=ApiKey.objects.get(pk=watcher.principal.key_id)))
    (_, event, told), done = await within(stream)
    assert (event, told["error"]["code"], done) == ("error", "access_revoked", (None, "done", "[DONE]"))


async def test_nothing_is_told_after_the_key_was_revoked(
    begin: Callable[..., Run], watcher: Rights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "KEPT", 0.0)
    run = await in_database(begin)
    async with aclosing(frames(run.id, 0, watcher)) as stream:
        assert b"thread.run.created" in await anext(stream)
        await in_database(lambda: services.revoke_api_key(key=ApiKey.objects.get(pk=watcher.principal.key_id)))
        assert b"access_revoked" in await anext(stream)
        assert [frame async for frame in stream] == [sse.DONE]


async def test_a_stream_over_http(model: Model, assistant: Assistant, api_key: str, principal: Principal) -> None:
    """The whole way: the request's body, the response's headers, and the frames."""
    client = AsyncClient()
    headers = {"Authorization": f"Bearer {api_key}", "OpenAI-Beta": "assistants=v2", "Accept": "application/json"}
    model.answers(*text("Hi"), end())
    body = {"assistant_id": assistant.id, "stream": True, "thread": {"messages": [{"role": "user", "content": "?"}]}}
    async with working():
        response = await client.post("/v1/threads/runs", body, content_type="application/json", headers=headers)
        assert response.status_code == 200
        assert response["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response["Cache-Control"] == "no-cache"
        assert response["x-request-id"].startswith("req_")
        stream = await within(parsed(response))
    assert stream[0][1] == "thread.created"
    assert stream[0][2]["object"] == "thread"
    run = stream[1][2]
    assert (stream[1][1], run["status"], run["object"]) == ("thread.run.created", "queued", "thread.run")
    assert await in_database(streamed_text, run["id"]) == "Hi"
    url = f"/v1/threads/{run['thread_id']}/runs/{run['id']}?stream=true"
    for resumed in (
        await client.get(f"{url}&starting_after=5", headers=headers),
        await client.get(url, headers={**headers, "Last-Event-ID": "5"}),
    ):
        assert await within(parsed(resumed)) == stream[5:]
    refused = await client.get(f"{url}&starting_after=x", headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "starting_after")


async def test_a_stream_of_a_session_ends_with_the_password_it_was_opened_with(
    begin: Callable[..., Run], alice: User, watcher: Rights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "KEPT", 0.02)
    monkeypatch.setattr(reader, "GLANCE", 0.02)
    run, client = await in_database(begin), AsyncClient()
    await in_database(client.force_login, alice)
    response = await client.get(f"/v1/threads/{run.thread_id}/runs/{run.id}?stream=true&starting_after=2")
    assert response["Content-Type"].startswith("text/event-stream")
    stream = asyncio.create_task(parsed(response))

    def change_password() -> None:
        alice.set_password("another one entirely")
        alice.save()

    await in_database(change_password)
    (_, event, told), _done = await within(stream)
    assert (event, told["error"]["code"]) == ("error", "access_revoked")


async def test_a_stream_that_cannot_begin_is_an_ordinary_error(assistant: Assistant, api_key: str) -> None:
    headers = {"Authorization": f"Bearer {api_key}", "OpenAI-Beta": "assistants=v2"}
    body = {"assistant_id": assistant.id, "stream": True, "tools": 5}
    response = await AsyncClient().post("/v1/threads/runs", body, content_type="application/json", headers=headers)
    assert (response.status_code, response["Content-Type"]) == (400, "application/json")


async def test_a_client_that_goes_away_stops_neither_the_run_nor_its_events(
    model: Model, begin: Callable[..., Run]
) -> None:
    run, gate = await in_database(begin), Gate()
    model.answers(*text("a"), gate, *text("b"), end())
    async with working():
        viewer = Viewer(run.id)
        await within(gate.reached.wait())
        await viewer.leaves()
        assert not tailer.tailer()._runs
        gate.opened.set()
        assert (await ended(run.id)).status == "completed"
    assert await in_database(streamed_text, run.id) == "ab"


def test_a_frame_is_one_line_of_data() -> None:
    assert sse.encode("thread.x", orjson.dumps({"a": "b\nc"}), 7) == b'id: 7\nevent: thread.x\ndata: {"a":"b\\nc"}\n\n'
    assert sse.encode("error", b"{}") == b"event: error\ndata: {}\n\n"
    assert sse.DONE == b"event: done\ndata: [DONE]\n\n"


def test_an_event_of_any_text_stays_on_one_line(begin: Callable[..., Run]) -> None:
    run = begin()
    tell(run.id, "a\r\nb\u2028c\u0085d\N{PILE OF POO}")
    head = head_of(Run.objects.select_related("configuration").get(pk=run.id))
    row = run.events.last()
    assert row is not None
    assert b"\n" not in render_event(head, row)
    assert b"\r" not in render_event(head, row)
