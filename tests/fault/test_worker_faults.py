"""Workers die, freeze and are told to stop in the middle of answers: nothing is lost or comes twice, all is told."""

from __future__ import annotations

import signal

import pytest

from tests.support.client import message_text, text_of, tokens, unique
from tests.support.fixtures import RINGS, Cluster
from tests.support.processes import Process, Stack, Upstream, eventually
from tests.support.viewers import Viewer, assert_answer, assert_each_once, await_end, logged, logged_text

pytestmark = pytest.mark.fault


def begin(stack: Stack, model: str, script: str) -> tuple[str, str, Viewer]:
    """A run whose answer follows the script, and a viewer of it."""
    client = stack.client
    thread = client.thread(f"[{script}]")
    run = client.run(thread, client.assistant(model))
    return thread, run, Viewer(client, thread, run)


def test_after_kill_9_another_worker_continues_the_answer(
    cluster: Cluster, stack: Stack, continuing_upstream: Upstream
) -> None:
    key = unique()
    thread, run, viewer = begin(stack, "continuing", f"tokens=200 hold=100 key={key}")
    eventually(lambda: viewer.saw(99), what="the first part of the answer")
    cluster.worker_of(run).kill()

    assert await_end(stack, run) == "completed"
    assert_answer(stack, thread, run, viewer.finish(), 200)
    first, second = continuing_upstream.stats(key)["requests"]
    assert second["continued"]
    assert second["start"] == first["sent"] == 100, "it went on from what was committed, and did not begin again"


def test_after_kill_9_an_engine_that_cannot_continue_ends_told(
    cluster: Cluster, stack: Stack, upstream: Upstream
) -> None:
    key = unique()
    thread, run, viewer = begin(stack, "fake", f"tokens=400 hold=100 key={key}")
    eventually(lambda: viewer.saw(99), what="the first part of the answer")
    cluster.worker_of(run).kill()

    events = viewer.finish()
    assert [event.name for event in events][-4:] == [
        "thread.message.incomplete",
        "thread.run.step.failed",
        "thread.run.failed",
        "done",
    ]
    assert_answer(stack, thread, run, events, 100)
    message = stack.client.answer_of(thread, run)
    assert (message["status"], message["incomplete_details"]) == ("incomplete", {"reason": "run_failed"})
    error = stack.client.get(f"/v1/threads/{thread}/runs/{run}")["last_error"]
    assert error["code"] == "server_error"
    assert "cannot continue" in error["message"]
    upstream.release(key)  # a run that is held would keep its worker from ending in the tests to come
    after = stack.client.run(thread, stack.client.assistant())
    assert await_end(stack, after) == "completed", "the thread is free"


def test_kill_9_before_the_first_token_repeats_the_model_call(
    cluster: Cluster, stack: Stack, upstream: Upstream
) -> None:
    key = unique()
    thread, run, viewer = begin(stack, "fake", f"tokens=30 hold=0 key={key}")
    eventually(lambda: upstream.stats(key)["open"] == 1, what="the model call")
    cluster.worker_of(run).kill()
    stack.database.age_lease(run)
    upstream.release(key)

    assert await_end(stack, run) == "completed"
    assert_answer(stack, thread, run, viewer.finish(), 30)


def test_kill_9_while_the_run_waits_for_tool_outputs_changes_nothing(cluster: Cluster, stack: Stack) -> None:
    client = stack.client
    thread = client.thread("[tool=look_up tokens=10]")
    assistant = client.assistant(tools=[{"type": "function", "function": {"name": "look_up"}}])
    run = client.run(thread, assistant)
    waiting = Viewer(client, thread, run).finish()
    assert waiting[-2].name == "thread.run.requires_action"
    for worker in cluster.workers:
        worker.kill()
    cluster.heal()

    [call] = waiting[-2].data["required_action"]["submit_tool_outputs"]["tool_calls"]
    body = {"tool_outputs": [{"tool_call_id": call["id"], "output": "42"}], "stream": True}
    rest = list(client.stream("POST", f"/v1/threads/{thread}/runs/{run}/submit_tool_outputs", body))
    assert rest[-2].name == "thread.run.completed"
    assert text_of(rest) == tokens(10)
    assert_each_once(stack, run, waiting + rest[:-1])


def test_three_killed_workers_make_a_run_poison(cluster: Cluster, stack: Stack, upstream: Upstream) -> None:
    key = unique()
    _, run, viewer = begin(stack, "fake", f"hold=0 key={key}")
    for crash in range(1, 4):
        eventually(lambda calls=crash: len(upstream.stats(key)["requests"]) == calls, what=f"model call {crash}")
        cluster.worker_of(run).kill()
        stack.database.age_lease(run)  # at once: later it may be another worker's lease already
        if not any(worker.alive for worker in cluster.workers):
            cluster.heal()
    events = viewer.finish()
    assert events[-2].name == "thread.run.failed"
    assert "3 workers died" in events[-2].data["last_error"]["message"]


def test_sigterm_lets_a_short_answer_end(cluster: Cluster, stack: Stack, continuing_upstream: Upstream) -> None:
    for impatient in cluster.workers:
        impatient.kill()
    cluster.workers = [stack.worker("--drain", "80")]  # longer than anything takes, where the machine is slow
    key = unique()
    thread, run, viewer = begin(stack, "continuing", f"tokens=60 hold=30 key={key}")
    eventually(lambda: viewer.saw(29), what="half of the answer")
    worker = cluster.worker_of(run)
    worker.signal(signal.SIGTERM)
    stack.await_log(worker, "worker_draining")
    continuing_upstream.release(key)

    assert worker.wait() == 0
    assert_answer(stack, thread, run, viewer.finish(), 60)
    assert len(continuing_upstream.stats(key)["requests"]) == 1


def test_sigterm_hands_a_long_answer_over(cluster: Cluster, stack: Stack, continuing_upstream: Upstream) -> None:
    key = unique()
    thread, run, viewer = begin(stack, "continuing", f"tokens=60 hold=30 key={key}")
    eventually(lambda: viewer.saw(29), what="half of the answer")
    worker = cluster.worker_of(run)
    assert worker.terminate() == 0
    [(owner,)] = stack.database.rows("SELECT lease_owner FROM runs_run WHERE id = ?", run)
    assert f"-{worker.pid}-" not in (owner or ""), "it was given back, and does not wait for the lease to run out"

    assert await_end(stack, run) == "completed"
    assert_answer(stack, thread, run, viewer.finish(), 60)
    assert [served["outcome"] for served in continuing_upstream.stats(key)["requests"]] == ["aborted", "completed"]


def freeze(cluster: Cluster, run: str, viewer: Viewer, engine: Upstream, key: str) -> Process:
    """Stop the run's worker between two transactions; its engine goes on, so there is something to write later."""
    eventually(lambda: viewer.saw(39), what="the first part of the answer")
    zombie = cluster.worker_of(run)
    cluster.stack.freeze(zombie)
    engine.release(key)
    return zombie


def await_fence(zombie: Process, run: str) -> None:
    """Until it has noticed that this run is another's; it may have lost others in other tests."""

    def fenced() -> bool:
        told = [line for line in zombie.output().splitlines() if run in line]
        return any("run_fenced" in line or "run_ended_elsewhere" in line for line in told)

    eventually(fenced, what=f"{zombie.name} is fenced")


def test_a_worker_that_was_frozen_and_continues_writes_nothing(
    cluster: Cluster, stack: Stack, continuing_upstream: Upstream
) -> None:
    key = unique()
    thread, run, viewer = begin(stack, "continuing", f"tokens=300 rate=100 hold=40 key={key}")
    zombie = freeze(cluster, run, viewer, continuing_upstream, key)
    try:
        eventually(lambda: len(continuing_upstream.stats(key)["requests"]) == 2, what="another worker takes over")
    finally:
        zombie.signal(signal.SIGCONT)
    await_fence(zombie, run)

    assert await_end(stack, run) == "completed"
    assert_answer(stack, thread, run, viewer.finish(), 300)
    assert zombie.alive


def test_a_frozen_worker_that_wakes_after_the_end_writes_nothing(
    cluster: Cluster, stack: Stack, continuing_upstream: Upstream
) -> None:
    key = unique()
    thread, run, viewer = begin(stack, "continuing", f"tokens=100 rate=100 hold=40 key={key}")
    zombie = freeze(cluster, run, viewer, continuing_upstream, key)
    try:
        assert await_end(stack, run) == "completed"
        is_counted = "SELECT is_counted FROM runs_run WHERE id = ?"  # which is written later, by any worker
        eventually(lambda: stack.database.rows(is_counted, run) == [(True,)], what="the run stands in the roll-ups")
        before = (logged(stack, run), stack.database.rows("SELECT * FROM runs_run WHERE id = ?", run))
    finally:
        zombie.signal(signal.SIGCONT)
    await_fence(zombie, run)

    assert (logged(stack, run), stack.database.rows("SELECT * FROM runs_run WHERE id = ?", run)) == before
    assert_answer(stack, thread, run, viewer.finish(), 100)


# on SQLite the file's one lock stays with a frozen process: only continuing or killing it helps there
@pytest.mark.parametrize("stack", [ring for ring in RINGS if ring.id == "postgres"], indirect=True)
def test_a_worker_frozen_inside_a_transaction_loses_its_locks(
    cluster: Cluster, stack: Stack, continuing_upstream: Upstream
) -> None:
    key = unique()
    thread, run, viewer = begin(stack, "continuing", f"tokens=100 hold=40 key={key}")
    eventually(lambda: viewer.saw(39), what="the first part of the answer")
    zombie = cluster.worker_of(run)
    with stack.database.locked(run):
        continuing_upstream.release(key)
        waiting = (
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database WHERE NOT granted AND datname = ?"
        )
        eventually(lambda: stack.database.rows(waiting, stack.database.name) != [(0,)], what="the worker wants the row")
        zombie.freeze()
    try:
        assert await_end(stack, run) == "completed"
    finally:
        zombie.signal(signal.SIGCONT)
    await_fence(zombie, run)
    assert_answer(stack, thread, run, viewer.finish(), 100)


def test_a_queued_run_whose_workers_are_all_gone_waits_for_the_next_one(cluster: Cluster, stack: Stack) -> None:
    for worker in cluster.workers:
        worker.kill()
    thread, run, viewer = begin(stack, "fake", "tokens=10")
    assert stack.client.get(f"/v1/threads/{thread}/runs/{run}")["status"] == "queued"
    cluster.heal()

    assert_answer(stack, thread, run, viewer.finish(), 10)
    assert message_text(stack.client.answer_of(thread, run)) == logged_text(stack, run)
