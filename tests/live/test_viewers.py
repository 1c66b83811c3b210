"""Any number of clients follow a run, from any point, as real processes serve it."""

from __future__ import annotations

import json

import pytest
from websockets.sync.client import connect

from tests.support.client import Event, text_of, tokens, unique
from tests.support.fixtures import Cluster
from tests.support.processes import PATIENCE, Stack, Upstream, eventually
from tests.support.viewers import Viewer, assert_answer, assert_each_once, await_end

pytestmark = pytest.mark.live


BEFORE_TEXT = 7  # events, from run.created to message.in_progress


def test_two_viewers_one_late_and_one_reconnecting_see_every_token_once(
    cluster: Cluster, stack: Stack, upstream: Upstream
) -> None:
    client, key = stack.client, unique()
    thread = client.thread(f"[tokens=150 hold=75 key={key}]")
    run = client.run(thread, client.assistant())
    reconnecting = Viewer(client, thread, run, leave_after=BEFORE_TEXT + 1)
    eventually(lambda: reconnecting.saw(74), what="half of the answer")
    late = Viewer(client, thread, run)
    eventually(lambda: late.saw(74), what="the same for who came late")
    upstream.release(key)

    assert_answer(stack, thread, run, late.finish(), 150)
    assert_answer(stack, thread, run, reconnecting.finish(), 150)
    assert reconnecting.connections == 2


def test_viewers_that_come_and_go_at_every_event_lose_nothing(cluster: Cluster, stack: Stack) -> None:
    client = stack.client
    thread = client.thread("[tokens=60 rate=60]")
    run = client.run(thread, client.assistant())
    viewers = [Viewer(client, thread, run, leave_after=count) for count in range(3, 15)]
    for viewer in viewers:
        assert_answer(stack, thread, run, viewer.finish(), 60)


def frames(stack: Stack, thread: str, run: str, *, after: int = 0, limit: int = 0) -> list[Event]:
    """What a WebSocket tells of a run: to its end, or the first ``limit`` events."""
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    address = f"{stack.websocket_url}/ws/threads/{thread}"
    seen: list[Event] = []
    with connect(address, additional_headers=headers, open_timeout=PATIENCE, close_timeout=1) as socket:
        socket.send(json.dumps({"subscribe": run, "after": after}))
        while len(seen) != limit or not limit:
            frame = json.loads(socket.recv(timeout=PATIENCE))
            seen.append(Event(frame["event"], frame["data"], frame["seq"]))
            if frame["event"] == "thread.run.completed":
                break
    return seen


def test_a_websocket_that_comes_back_sees_what_a_stream_sees(cluster: Cluster, stack: Stack) -> None:
    client = stack.client
    thread = client.thread("[tokens=80 rate=60]")
    run = client.run(thread, client.assistant())
    viewer = Viewer(client, thread, run)
    first = frames(stack, thread, run, limit=8)  # there is more, however few events the answer's pieces make
    rest = frames(stack, thread, run, after=first[-1].seq)

    assert_answer(stack, thread, run, first + rest, 80)
    assert_answer(stack, thread, run, viewer.finish(), 80)


def test_a_cursor_is_exclusive_and_a_finished_run_can_be_read_again(cluster: Cluster, stack: Stack) -> None:
    client = stack.client
    thread = client.thread("[tokens=20]")
    run = client.run(thread, client.assistant())
    whole = Viewer(client, thread, run).finish()
    assert whole[-1].name == "done"
    assert whole[-2].name == "thread.run.completed"

    middle = whole[len(whole) // 2].seq
    assert_each_once(stack, run, list(client.follow(thread, run, after=middle)), after=middle)
    behind_the_end = list(client.follow(thread, run, after=whole[-2].seq))
    assert [event.name for event in behind_the_end] == ["done"]


def test_the_run_goes_on_when_its_only_client_hangs_up(cluster: Cluster, stack: Stack, upstream: Upstream) -> None:
    client, key = stack.client, unique()
    thread = client.thread(f"[tokens=60 hold=30 key={key}]")
    body = {"assistant_id": client.assistant(), "stream": True}
    run = ""
    for event in client.stream("POST", f"/v1/threads/{thread}/runs", body):
        run = run or event.data["id"]
        if event.name == "thread.message.delta":
            break  # closes the connection

    upstream.release(key)
    assert await_end(stack, run) == "completed"
    assert text_of(client.follow(thread, run)) == tokens(60)
    assert upstream.stats(key)["aborted"] == 0


def test_a_stream_that_creates_the_run_begins_with_its_first_event(cluster: Cluster, stack: Stack) -> None:
    client = stack.client
    body = {
        "assistant_id": client.assistant(),
        "stream": True,
        "thread": {"messages": [{"role": "user", "content": "[tokens=5]"}]},
    }
    events = list(client.stream("POST", "/v1/threads/runs", body))
    assert [event.name for event in events] == [
        "thread.created",
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.message.created",
        "thread.message.in_progress",
        *["thread.message.delta"] * sum(event.name == "thread.message.delta" for event in events),
        "thread.message.completed",
        "thread.run.step.completed",
        "thread.run.completed",
        "done",
    ]
    assert_answer(stack, events[0].data["id"], events[1].data["id"], events, 5)


def test_cancelling_ends_an_answer_and_frees_the_engine(cluster: Cluster, stack: Stack, upstream: Upstream) -> None:
    client, key = stack.client, unique()
    thread = client.thread(f"[tokens=50 hold=20 key={key}]")
    assistant = client.assistant()
    run = client.run(thread, assistant)
    viewer = Viewer(client, thread, run)
    eventually(lambda: viewer.saw(19), what="the answer's first part")

    assert client.post(f"/v1/threads/{thread}/runs/{run}/cancel")["status"] == "cancelling"
    events = viewer.finish()
    assert [event.name for event in events if event.name != "thread.message.delta"][-5:] == [
        "thread.run.cancelling",
        "thread.message.incomplete",
        "thread.run.step.cancelled",
        "thread.run.cancelled",
        "done",
    ]
    assert_answer(stack, thread, run, events, 20)
    eventually(lambda: upstream.stats(key)["aborted"] == 1, what="the engine's request is closed")
    upstream.release(key)  # a run that is held would keep its worker from ending in the tests to come
    assert await_end(stack, client.run(thread, assistant)) == "completed", "the thread is free"
