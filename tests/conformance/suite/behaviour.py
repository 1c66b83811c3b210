"""What runs and steps do: objects, states, refusals, and what of a run reaches the engine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.conformance.expectations import Expectation, Need, Refusal
from tests.conformance.matching import Either, Instant, Mismatch, require, require_fields
from tests.conformance.objects import CALL_ID, TOOL, TOOL_SHOWN, USAGE, completed_run
from tests.conformance.objects import run as run_object
from tests.conformance.reasons import (
    EMPTY_INSTRUCTIONS,
    MODIFY_ACTIVE_RUN,
    POLL_HEADER,
    STATUS_DETAILS,
)
from tests.conformance.suite.shared import lists
from tests.conformance.suite.vocabulary import (
    HELLO,
    SPELLINGS,
    does,
    including,
    refuses,
    unknown_include,
)
from tests.conformance.world import World, path_of


def expectations() -> Iterator[Expectation]:
    yield from _making()
    yield from _afterwards()


# ---------------------------------------------------------------------------------------------- making a run


def _making() -> Iterator[Expectation]:
    for reason in (STATUS_DETAILS, EMPTY_INSTRUCTIONS):
        yield does("createRun", "the whole object, queued", _whole_run, reason=reason)
        yield does("createThreadAndRun", "the whole object, queued", _whole_run_and_thread, reason=reason)
    yield does("createRun", "the answer says when to ask again", _poll_header, reason=POLL_HEADER)
    yield refuses("createRun", "on a thread with an active run (E11)", _locked, needs=Need.ENGINE)
    yield does("createRun", "of 4 at once exactly one is made", _one_wins, needs=Need.ENGINE)
    yield refuses("createRun", "no user message and no instructions (E12)", _nothing_to_answer)
    yield does("createRun", "additional_messages are enough", _something_to_answer, "additional_messages")
    yield does("createRun", "overrides leave the assistant as it is", _assistant_stays)
    yield does("createRun", "later edits of the assistant do not reach the run", _snapshot, needs=Need.ENGINE)
    yield does("createThreadAndRun", "left out: an empty thread", _no_thread, "thread")
    for label, query in SPELLINGS.items():
        yield does("createRun", label, including("POST", "", query), "include[]")
    yield from unknown_include("createRun")
    for operation in ("createRun", "createThreadAndRun"):
        yield does(operation, "true: server-sent events (see Streams)", _streamed(operation), "stream")


def _whole_run(world: World) -> None:
    thread = world.new_thread()
    made = world.post(f"/threads/{thread}/runs", {"assistant_id": world.assistant})
    expected = run_object(thread, world.assistant, model=world.model)
    require(expected, made, "the answer")
    require(600, made["expires_at"] - made["created_at"], "seconds until it expires")


def _whole_run_and_thread(world: World) -> None:
    body = {"assistant_id": world.assistant, "thread": {"messages": [HELLO]}}
    made = world.post("/threads/runs", body)
    require(run_object(made["thread_id"], world.assistant, model=world.model), made, "the answer")
    require(made["thread_id"], world.get(f"/threads/{made['thread_id']}")["id"], "its thread")


def _poll_header(world: World) -> None:
    body = {"assistant_id": world.assistant}
    answer = world.ask("POST", f"/threads/{world.new_thread()}/runs", body)
    given = answer.headers.get("openai-poll-after-ms", "")
    if not given.isdigit() or not 250 <= int(given) <= 1000:
        raise Mismatch(f"openai-poll-after-ms is '{given}'")


def _locked(world: World) -> None:
    with world.held_run() as run:
        answer = world.ask("POST", f"/threads/{run['thread_id']}/runs", {"assistant_id": world.assistant})
        Refusal(None, f"Thread {run['thread_id']} already has an active run {run['id']}.").verify(answer)


def _one_wins(world: World) -> None:
    assert world.upstream is not None
    key = world.unique()
    thread = world.new_thread(f"[tokens=2 hold=1 key={key}]")
    statuses: list[int] = []

    def make() -> None:
        with contextlib.closing(World(world.url, world.key)) as own:
            statuses.append(own.ask("POST", f"/threads/{thread}/runs", {"assistant_id": assistant}).status)

    assistant = world.assistant
    racers = [threading.Thread(target=make) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    world.upstream.release(key)
    require([200, 400, 400, 400], sorted(statuses), "the statuses")


def _nothing_to_answer(world: World) -> None:
    thread = world.post("/threads")["id"]
    answer = world.ask("POST", f"/threads/{thread}/runs", {"assistant_id": world.assistant})
    message = "Run creation requires a Thread with a user message or an assistant with instructions."
    Refusal("invalid_thread", message).verify(answer)


def _something_to_answer(world: World) -> None:
    thread = world.post("/threads")["id"]
    run = world.post(
        f"/threads/{thread}/runs", {"assistant_id": world.assistant, "additional_messages": [HELLO, HELLO]}
    )
    listed = world.get(f"/threads/{thread}/messages?order=asc")["data"]
    require(["user", "user"], [entry["role"] for entry in listed[:2]], "the first messages")
    world.rested(run)


def _assistant_stays(world: World) -> None:
    before = world.get(f"/assistants/{world.assistant}")
    fields = {"model": world.model, "instructions": "Other.", "tools": [TOOL], "temperature": 0.5, "top_p": 0.5}
    run = world.new_run(**fields, metadata={"a": "b"})
    require_fields({**fields, "tools": [TOOL_SHOWN], "metadata": {"a": "b"}}, run)
    require(before, world.get(f"/assistants/{world.assistant}"), "the assistant")


def _snapshot(world: World) -> None:
    assistant = world.new_assistant(instructions="First.")
    with world.held_run(assistant) as run:
        world.post(f"/assistants/{assistant}", {"instructions": "Second.", "temperature": 0.1})
        require_fields({"instructions": "First.", "temperature": 1}, world.get(path_of(run)))


def _no_thread(world: World) -> None:
    assistant = world.new_assistant(instructions="Greet.")
    run = world.rested(world.post("/threads/runs", {"assistant_id": assistant}))
    require("completed", run["status"], "the run's status")


def _streamed(operation: str) -> Callable[[World], None]:
    def judge(world: World) -> None:
        body = {"assistant_id": world.assistant, "stream": True}
        if operation == "createRun":
            path = f"/threads/{world.new_thread()}/runs"
        else:
            path, body = "/threads/runs", {**body, "thread": {"messages": [HELLO]}}
        answer = world.ask("POST", path, body)
        require("text/event-stream; charset=utf-8", answer.headers.get("content-type", ""), "Content-Type")
        require("no-cache", answer.headers.get("cache-control", ""), "Cache-Control")
        if not answer.body.endswith("event: done\ndata: [DONE]\n\n"):
            raise Mismatch("the stream's last event is not `event: done`, `data: [DONE]`")

    return judge


# ---------------------------------------------------------------------------------------------- runs that exist


def _afterwards() -> Iterator[Expectation]:
    yield from lists("listRuns", lambda world: f"/threads/{_five_runs(world)[0]}/runs", lambda w: _five_runs(w)[1:])
    yield does("getRun", "the whole object, completed; usage is there, expires_at is null", _completed)
    yield does("modifyRun", "metadata is replaced, the rest stays", _modified)
    yield does("modifyRun", "in progress too (E15)", _modified_in_progress, reason=MODIFY_ACTIVE_RUN, needs=Need.ENGINE)
    yield does("getRun", "requires_action, with the calls", _requires_action, needs=Need.ENGINE)
    yield does("cancelRun", "in progress → cancelling → cancelled", _cancelled, needs=Need.ENGINE)
    yield does("cancelRun", "requires_action → cancelled", _cancelled_waiting, needs=Need.ENGINE)
    yield does("cancelRun", "its message is incomplete, its step cancelled", _what_a_cancel_leaves, needs=Need.ENGINE)
    yield refuses("cancelRun", "a run that is over (E13)", _cancel_too_late)
    name = "submitToolOuputsToRun"
    yield refuses(name, "a run that waits for none (E16)", _submit_too_late)
    yield refuses(name, "not all of the calls (E17)", _submit_some, "tool_outputs", needs=Need.ENGINE)
    yield refuses(name, "an unknown call (E17)", _submit_unknown, "tool_outputs[].tool_call_id", needs=Need.ENGINE)
    yield does(name, "the run goes on and completes; usage is the sum of its steps", _loop, needs=Need.ENGINE)
    yield does(name, "expires_at and started_at stay", _times_stay, needs=Need.ENGINE)
    yield does(name, "true: server-sent events (see Streams)", _submit_streamed, "stream", needs=Need.ENGINE)
    yield does("getRun", "failed: last_error says why", _failed, needs=Need.ENGINE)


def _five_runs(world: World) -> list[str]:
    """A thread with five runs, and their ids, oldest first: the thread's comes first."""

    def make() -> list[str]:
        ids = [world.new_thread("[tokens=1]")]
        for _ in range(5):
            run = world.post(f"/threads/{ids[0]}/runs", {"assistant_id": world.assistant})
            ids.append(world.rested(run)["id"])
        return ids

    return world.cached("five runs", make)


def _completed(world: World) -> None:
    run = world.completed_run
    require(completed_run(run["thread_id"], run["assistant_id"], model=world.model), run, "the answer")


def _modified(world: World) -> None:
    run = world.rested(world.new_run(metadata={"was": "there"}))
    changed = world.post(path_of(run), {"metadata": {"is": "replaced"}})
    require({**run, "metadata": {"is": "replaced"}}, changed, "the answer")


def _modified_in_progress(world: World) -> None:
    with world.held_run() as run:
        changed = world.post(path_of(run), {"metadata": {"is": "replaced"}})
        require_fields({"status": "in_progress", "metadata": {"is": "replaced"}}, changed)


def _requires_action(world: World) -> None:
    run = world.waiting_run
    calls = [
        {"id": CALL_ID, "type": "function", "function": {"name": "look_up", "arguments": f'{{"number": {number}}}'}}
        for number in range(2)
    ]
    expected = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
    require_fields({"status": "requires_action", "required_action": expected, "usage": None}, run)
    require(Instant(), run["expires_at"], "expires_at")


def _cancelled(world: World) -> None:
    with world.held_run() as run:
        answer = world.ask("POST", path_of(run, "/cancel"))
        require([200, "cancelling"], [answer.status, answer.body["status"]], "the answer")
        ended = world.in_state(run, "cancelled")
    require_fields({"cancelled_at": Instant(), "expires_at": None, "usage": USAGE}, ended)
    world.post(f"/threads/{run['thread_id']}/messages", HELLO)


def _cancelled_waiting(world: World) -> None:
    run = world.new_waiting_run()
    answer = world.ask("POST", path_of(run, "/cancel"))
    require([200, Either(("cancelling", "cancelled"))], [answer.status, answer.body["status"]], "the answer")
    ended = world.in_state(run, "cancelled")
    require_fields({"required_action": None, "cancelled_at": Instant()}, ended)


def _what_a_cancel_leaves(world: World) -> None:
    with world.held_run() as run:
        _await_message(world, run)
        world.post(path_of(run, "/cancel"))
        world.in_state(run, "cancelled")
    (message,) = world.get(f"/threads/{run['thread_id']}/messages?run_id={run['id']}")["data"]
    require_fields({"status": "incomplete", "incomplete_details": {"reason": "run_cancelled"}}, message)
    (only,) = world.get(path_of(run, "/steps"))["data"]
    require_fields({"status": "cancelled", "cancelled_at": Instant()}, only)


def _await_message(world: World, run: dict[str, Any]) -> None:
    """Until the run has begun its message: its stream says so."""
    for event in world.resume(path_of(run, "?stream=true")):
        if event.name == "thread.message.delta":
            return


def _cancel_too_late(world: World) -> None:
    answer = world.ask("POST", path_of(world.completed_run, "/cancel"))
    Refusal(None, "Cannot cancel run with status 'completed'.").verify(answer)


def _submit_too_late(world: World) -> None:
    body = {"tool_outputs": [{"tool_call_id": "call_x", "output": "1"}]}
    answer = world.ask("POST", path_of(world.completed_run, "/submit_tool_outputs"), body)
    Refusal(None, 'Runs in status "completed" do not accept tool outputs.').verify(answer)


def _submit_some(world: World) -> None:
    run = world.waiting_run
    outputs = world.outputs_for(run)["tool_outputs"]
    _expect_ids(world, run, outputs[:1])


def _submit_unknown(world: World) -> None:
    run = world.waiting_run
    outputs = world.outputs_for(run)["tool_outputs"]
    _expect_ids(world, run, [outputs[0], {"tool_call_id": "call_x", "output": "1"}])


def _expect_ids(world: World, run: dict[str, Any], outputs: list[dict[str, Any]]) -> None:
    expected = [one["tool_call_id"] for one in world.outputs_for(run)["tool_outputs"]]
    given = [one["tool_call_id"] for one in outputs]
    answer = world.ask("POST", path_of(run, "/submit_tool_outputs"), {"tool_outputs": outputs})
    require(400, answer.status, "the status")
    message = f"Expected tool outputs for call_ids {expected}, got {given}"
    require_fields({"message": message, "type": "invalid_request_error", "code": None}, answer.body["error"])


def _loop(world: World) -> None:
    run = world.new_waiting_run()
    world.post(path_of(run, "/submit_tool_outputs"), world.outputs_for(run))
    ended = world.rested(run)
    require("completed", ended["status"], "the run's status")
    steps = world.get(path_of(run, "/steps"))["data"]
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        require(sum(one["usage"][name] for one in steps), ended["usage"][name], f"usage.{name}")


def _times_stay(world: World) -> None:
    run = world.new_waiting_run()
    queued = world.post(path_of(run, "/submit_tool_outputs"), world.outputs_for(run))
    require_fields({name: run[name] for name in ("expires_at", "started_at", "created_at")}, queued)
    world.rested(run)


def _submit_streamed(world: World) -> None:
    run = world.new_waiting_run()
    answer = world.ask("POST", path_of(run, "/submit_tool_outputs"), {**world.outputs_for(run), "stream": True})
    require("text/event-stream; charset=utf-8", answer.headers.get("content-type", ""), "Content-Type")


def _failed(world: World) -> None:
    for status, code in ((500, "server_error"), (429, "rate_limit_exceeded")):
        run = world.rested(world.new_run(f"[error={status}]"))
        require_fields({"status": "failed", "failed_at": Instant(), "usage": USAGE, "expires_at": None}, run)
        require(code, run["last_error"]["code"], f"last_error.code after the engine's {status}")
