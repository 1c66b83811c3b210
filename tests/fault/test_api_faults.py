"""The API process dies, or many clients want the same thing at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import unique
from tests.support.fixtures import Cluster
from tests.support.processes import Stack, Upstream, eventually
from tests.support.viewers import Viewer, assert_answer, await_end

pytestmark = pytest.mark.fault

PARALLEL = 64


def test_kill_9_of_the_api_loses_no_token_of_a_client_that_comes_back(
    cluster: Cluster, stack: Stack, upstream: Upstream
) -> None:
    client, key = stack.client, unique()
    assistant = client.assistant()
    runs = []
    for _ in range(4):
        thread = client.thread(f"[tokens=100 hold=50 key={key}]")
        runs.append((thread, client.run(thread, assistant)))
    viewers = [Viewer(client, thread, run, loyal=True) for thread, run in runs]
    for viewer in viewers:
        eventually(lambda viewer=viewer: viewer.saw(49), what="the first part of each answer")
    assert cluster.api is not None
    cluster.api.kill()
    upstream.release(key)
    for _, run in runs:
        assert await_end(stack, run) == "completed", "the runs go on without it"
    cluster.heal()

    for viewer, (thread, run) in zip(viewers, runs, strict=True):
        assert_answer(stack, thread, run, viewer.finish(), 100)
        assert viewer.connections > 1
    assert upstream.stats(key)["aborted"] == 0
    assert len(upstream.stats(key)["requests"]) == len(runs)


def test_kill_9_of_the_api_loses_nothing_that_was_acknowledged(cluster: Cluster, stack: Stack) -> None:
    client = stack.client
    threads = [client.thread(f"message {number}") for number in range(10)]
    messages = [client.post(f"/v1/threads/{t}/messages", {"role": "user", "content": "more"})["id"] for t in threads]
    assert cluster.api is not None
    cluster.api.kill()
    cluster.heal()

    for thread, message in zip(threads, messages, strict=True):
        assert client.get(f"/v1/threads/{thread}/messages")["data"][0]["id"] == message


def test_64_parallel_runs_on_one_thread_make_exactly_one(cluster: Cluster, stack: Stack, upstream: Upstream) -> None:
    client, key = stack.client, unique()
    thread = client.thread(f"[tokens=5 hold=0 key={key}]")
    body = {"assistant_id": client.assistant()}

    def create(_: int) -> tuple[int, dict]:
        return client.request("POST", f"/v1/threads/{thread}/runs", body)

    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(create, range(PARALLEL)))
    [made] = [answer for status, answer in answers if status == 200]
    refused = [answer for status, answer in answers if status == 400]
    assert len(refused) == PARALLEL - 1
    text = f"Thread {thread} already has an active run {made['id']}."
    assert {answer["error"]["message"] for answer in refused} == {text}
    assert {answer["error"]["type"] for answer in refused} == {"invalid_request_error"}

    status, answer = client.request("POST", f"/v1/threads/{thread}/messages", {"role": "user", "content": "me too"})
    assert (status, answer["error"]["message"]) == (
        400,
        f"Can't add messages to {thread} while a run {made['id']} is active.",
    )
    upstream.release(key)
    assert await_end(stack, made["id"]) == "completed"
    assert stack.database.rows("SELECT count(*) FROM runs_run WHERE thread_id = ?", thread) == [(1,)]
