"""The streams of the contract's section 9, each read as strictly as the strictest client would.

Orders are in a compact notation: the common prefix is left out, ``run.{created,queued}`` are two events,
``message.delta+`` is one or more, and ``→ request →`` stands between the streams of two requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.conformance.expectations import Expectation, Need
from tests.conformance.matching import Mismatch, require, require_fields
from tests.conformance.reasons import RESUMED_STREAMS, Reason
from tests.conformance.world import World, path_of
from tests.runs.accumulator import Accumulator
from tests.support.client import Event, text_of, tokens

SECTION = "streams"
Streams = list[list[Event]]

BEGUN = "run.{created,queued,in_progress}"
OPENED = "step.{created,in_progress} message.{created,in_progress} message.delta+"
TEXT = f"{OPENED} message.completed step.completed"
CALLS = "step.{created,in_progress} step.delta+"
LEFT = f"{BEGUN} {OPENED.removesuffix('+')}"
ASKS = f"{CALLS} run.requires_action done"
AGAIN = "step.completed run.{queued,in_progress}"
WHOLE = f"{TEXT} run.completed done"
SUBMIT = " → submit_tool_outputs → "


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A stream or several, and the order of their events.

    :ivar order: in the compact notation, which is shown on the page.
    :ivar whole: the streams begin with their run, so that clients' accumulators can add them up.
    """

    name: str
    order: str
    tell: Callable[[World], Streams]
    needs: Need = Need.ENGINE
    reason: Reason | None = None
    whole: bool = True


def expectations() -> Iterator[Expectation]:
    for story in STORIES:
        yield Expectation(
            operation=SECTION,
            subject=story.name,
            label=story.order,
            judge=_judge(story),
            needs=story.needs,
            reason=story.reason,
        )
    yield Expectation(
        operation=SECTION,
        subject="an error after the response has begun",
        label="error done",
        judge=lambda world: None,
        shown_by="tests/runs/test_readers.py::test_a_deleted_thread_is_told_as_an_error",
    )


def _judge(story: Story) -> Callable[[World], None]:
    def judge(world: World) -> None:
        orders = [part.strip() for part in re.split(r"→[^→]*→", story.order)]
        streams = story.tell(world)
        require(len(orders), len(streams), "the number of streams")
        for order, events in zip(orders, streams, strict=True):
            told = " ".join(short(event.name) for event in events)
            if not re.fullmatch(pattern(order), told):
                raise Mismatch(f"expected {order}, got {collapsed(told)}")
            if story.whole:
                add_up(events)

    return judge


def short(name: str) -> str:
    """``thread.run.step.created`` → ``step.created``."""
    for prefix in ("thread.run.step.", "thread.message.", "thread.run."):
        if name.startswith(prefix):
            return f"{prefix.split('.')[-2]}.{name.removeprefix(prefix)}"
    return name


def pattern(order: str) -> str:
    """A regular expression for the compact notation."""
    names: list[str] = []
    for part in order.split():
        prefix, _, inner = part.partition("{")
        names += [prefix + name for name in inner.rstrip("}").split(",")] if inner else [part]
    found = [
        rf"{re.escape(name[:-1])}(?: {re.escape(name[:-1])})*" if name.endswith("+") else re.escape(name)
        for name in names
    ]
    return " ".join(found)


def collapsed(told: str) -> str:
    return re.sub(r"\b(\S+delta)( \1)+", r"\1+", told)


def add_up(events: list[Event]) -> Accumulator:
    """What the SDKs' accumulators make of it.

    :raises Mismatch: one of them would fail.
    """
    read = Accumulator()
    try:
        return read.read([(event.seq or None, event.name, event.data) for event in events])
    except AssertionError as error:
        place = collapsed(" ".join(read.names[-1:]))
        raise Mismatch(f"clients' accumulators fail at {place}: {str(error).splitlines()[:1]}") from error


# --------------------------------------------------------------------------------------------------- stories


def _plain(world: World) -> Streams:
    events = _run(world, "Hello [tokens=40]")
    if world.upstream is not None:
        require(tokens(40), text_of(events), "the text")
    final = next(event.data for event in events if event.name == "thread.message.completed")
    require(text_of(events), final["content"][0]["text"]["value"], "the completed message's text")
    return [events]


def _run(world: World, text: str, assistant: str = "", **fields: Any) -> list[Event]:
    return list(_running(world, text, assistant, **fields))


def _running(world: World, text: str, assistant: str = "", **fields: Any) -> Iterator[Event]:
    body = {"assistant_id": assistant or world.assistant, **fields}
    return world.stream(f"/threads/{world.new_thread(text)}/runs", body)


def _thread_and_run(world: World) -> Streams:
    thread = {"messages": [{"role": "user", "content": "Hello [tokens=3]"}]}
    return [list(world.stream("/threads/runs", {"assistant_id": world.assistant, "thread": thread}))]


def _submitting(world: World, events: Iterator[Event], text: str = "42") -> Streams:
    """Read on; outputs are submitted from inside the open stream, as clients' handlers do it."""
    seen: list[Event] = []
    further: Streams = []
    for event in events:
        seen.append(event)
        if event.name == "thread.run.requires_action":
            run = event.data
            require("requires_action", world.get(path_of(run))["status"], "the run, read from inside the stream")
            body = world.outputs_for(run, text)
            further = _submitting(world, world.stream(path_of(run, "/submit_tool_outputs"), body), text)
    return [seen, *further]


def _call(world: World) -> Streams:
    streams = _submitting(world, _running(world, "[tool=look_up tokens=3]", world.tool_assistant))
    (call,) = _calls(streams[0])
    require({"name": "look_up", "arguments": '{"number": 0}'}, call["function"], "the call")
    done = next(event.data for event in streams[1] if event.name == "thread.run.step.completed")
    (given,) = done["step_details"]["tool_calls"]
    require([call["id"], "42"], [given["id"], given["function"]["output"]], "the completed step's call")
    return streams


def _calls(events: list[Event]) -> list[dict[str, Any]]:
    run = next(event.data for event in events if event.name == "thread.run.requires_action")
    found: list[dict[str, Any]] = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    return found


def _parallel_calls(world: World) -> Streams:
    streams = _submitting(world, _running(world, "[tool=look_up calls=3 tokens=3]", world.tool_assistant))
    arguments = [call["function"]["arguments"] for call in _calls(streams[0])]
    require([f'{{"number": {number}}}' for number in range(3)], arguments, "the calls' arguments")
    return streams


def _one_call(world: World) -> Streams:
    text = "[tool=look_up calls=3 tokens=3]"
    streams = _submitting(world, _running(world, text, world.tool_assistant, parallel_tool_calls=False))
    require(1, len(_calls(streams[0])), "the number of calls")
    return streams


def _several_rounds(world: World) -> Streams:
    return _submitting(world, _running(world, "[tool=look_up rounds=3 tokens=3]", world.tool_assistant))


def _text_and_call(world: World) -> Streams:
    streams = _submitting(world, _running(world, "[tool=look_up say=3 tokens=3]", world.tool_assistant))
    require(tokens(3), text_of(streams[0]), "the text before the call")
    return streams


def _failing(status: int, code: str) -> Callable[[World], Streams]:
    def tell(world: World) -> Streams:
        events = _run(world, f"[error={status}]")
        require(code, events[-2].data["last_error"]["code"], "last_error.code")
        return [events]

    return tell


def _held(world: World, tags: str, act: Callable[[dict[str, Any], str], None], **fields: Any) -> list[Event]:
    """Follow an answer that is held behind three tokens; when all of them have come, ``act(run, key)``."""
    assert world.upstream is not None
    key = world.unique()
    events: list[Event] = []
    acted = False
    try:
        for event in _running(world, f"[tokens=9 hold=3 key={key} {tags}]", **fields):
            events.append(event)
            if not acted and text_of(events) == tokens(3):
                acted = True
                act(events[0].data, key)
    finally:
        world.upstream.release(key)
    return events


def _cut(world: World) -> Streams:
    assert world.upstream is not None
    upstream = world.upstream
    events = _held(world, "drop=4", lambda run, key: upstream.release(key))
    message = next(event.data for event in events if event.name == "thread.message.incomplete")
    require({"reason": "run_failed"}, message["incomplete_details"], "the message's incomplete_details")
    require(text_of(events), message["content"][0]["text"]["value"], "the text that is kept")
    require("server_error", events[-2].data["last_error"]["code"], "last_error.code")
    return [events]


def _cancelled(world: World) -> Streams:
    events = _held(world, "", lambda run, key: world.post(path_of(run, "/cancel")))
    message = next(event.data for event in events if event.name == "thread.message.incomplete")
    require({"reason": "run_cancelled"}, message["incomplete_details"], "the message's incomplete_details")
    return [events]


def _cancelled_waiting(world: World) -> Streams:
    first = _run(world, "[tool=look_up]", world.tool_assistant)
    run = first[-2].data
    world.post(path_of(run, "/cancel"))
    cursor = first[-2].seq
    return [first, list(world.resume(path_of(run, f"?stream=true&starting_after={cursor}")))]


def _expired(world: World) -> Streams:
    assert world.database is not None
    database = world.database

    def end(run: dict[str, Any], key: str) -> None:
        database.age_run(run["id"])
        require("expired", world.get(path_of(run))["status"], "the run, read when its time is over")

    events = _held(world, "", end)
    message = next(event.data for event in events if event.name == "thread.message.incomplete")
    require({"reason": "run_expired"}, message["incomplete_details"], "the message's incomplete_details")
    return [events]


def _completion_budget(world: World) -> Streams:
    events = _run(world, "[tokens=300]", max_completion_tokens=256)
    message = next(event.data for event in events if event.name == "thread.message.incomplete")
    require({"reason": "max_tokens"}, message["incomplete_details"], "the message's incomplete_details")
    require({"reason": "max_completion_tokens"}, events[-2].data["incomplete_details"], "the run's incomplete_details")
    require(tokens(256), text_of(events), "the text")
    return [events]


def _prompt_budget(world: World) -> Streams:
    """The engine counts a token for every message: 256 of them use the smallest budget up in one call."""
    few = [{"role": "user", "content": "x"}] * 255
    messages = [*few, {"role": "user", "content": "[tool=look_up tokens=3]"}]
    thread = world.post("/threads", {"messages": messages})["id"]
    body = {"assistant_id": world.tool_assistant, "max_prompt_tokens": 256}
    streams = _submitting(world, world.stream(f"/threads/{thread}/runs", body))
    require({"reason": "max_prompt_tokens"}, streams[-1][-2].data["incomplete_details"], "the run's incomplete_details")
    return streams


def _resumed(world: World) -> Streams:
    """Left after the first delta, taken up behind it, and once more when the answer is over."""
    assert world.upstream is not None
    key = world.unique()
    seen: list[Event] = []
    stream = _running(world, f"[tokens=9 hold=3 key={key}]")
    for event in stream:
        seen.append(event)
        if event.name == "thread.message.delta":
            break
    stream.close()  # type: ignore[attr-defined]
    place = path_of(seen[0].data)
    world.upstream.release(key)
    resumed = list(world.resume(f"{place}?stream=true&starting_after={seen[-1].seq}"))
    rest = list(world.resume(f"{place}?stream=true", **{"Last-Event-ID": str(seen[-1].seq)}))
    require(len(resumed), len(rest), "the events behind Last-Event-ID")
    require([event.data for event in resumed], [event.data for event in rest], "the events behind Last-Event-ID")
    require(tokens(9), text_of([*seen, *resumed]), "the text in both parts")
    add_up([*seen, *resumed])
    require_fields({"status": "completed"}, world.get(place))
    return [seen, resumed]


def _next_run(world: World) -> Streams:
    """On ``run.completed`` the thread is free: the next message and run are made from inside the open stream."""
    first: list[Event] = []
    second: list[Event] = []
    for event in _running(world, "Hello [tokens=3]"):
        first.append(event)
        if event.name == "thread.run.completed":
            place = f"/threads/{event.data['thread_id']}"
            world.post(f"{place}/messages", {"role": "user", "content": "More [tokens=3]"})
            second = list(world.stream(f"{place}/runs", {"assistant_id": world.assistant}))
    return [first, second]


def _not_cancelled_by_leaving(world: World) -> Streams:
    assert world.upstream is not None
    key = world.unique()
    seen: list[Event] = []
    stream = _running(world, f"[tokens=9 hold=3 key={key}]")
    for event in stream:
        seen.append(event)
        if event.name == "thread.message.delta":
            break
    stream.close()  # type: ignore[attr-defined]
    run = seen[0].data
    answer = world.ask("POST", f"/threads/{run['thread_id']}/messages", {"role": "user", "content": "x"})
    require(400, answer.status, "a message while the run goes on")
    world.upstream.release(key)
    require("completed", world.rested(run)["status"], "the run's status")
    return [seen]


STORIES = [
    Story(name="plain answer", order=f"{BEGUN} {WHOLE}", tell=_plain, needs=Need.NOTHING),
    Story(
        name="thread and run in one request",
        order=f"thread.created {BEGUN} {WHOLE}",
        tell=_thread_and_run,
        needs=Need.NOTHING,
    ),
    Story(
        name="function call, outputs submitted from inside the open stream",
        order=f"{BEGUN} {ASKS}{SUBMIT}{AGAIN} {WHOLE}",
        tell=_call,
    ),
    Story(name="three calls at once", order=f"{BEGUN} {ASKS}{SUBMIT}{AGAIN} {WHOLE}", tell=_parallel_calls),
    Story(
        name="`parallel_tool_calls: false`: one call",
        order=f"{BEGUN} {ASKS}{SUBMIT}{AGAIN} {WHOLE}",
        tell=_one_call,
    ),
    Story(
        name="three rounds of calls",
        order=f"{BEGUN} {ASKS}{SUBMIT}{AGAIN} {ASKS}{SUBMIT}{AGAIN} {ASKS}{SUBMIT}{AGAIN} {WHOLE}",
        tell=_several_rounds,
    ),
    Story(
        name="text and a call in one turn", order=f"{BEGUN} {TEXT} {ASKS}{SUBMIT}{AGAIN} {WHOLE}", tell=_text_and_call
    ),
    Story(
        name="next message and run from inside the open stream",
        order=f"{BEGUN} {WHOLE} → runs → {BEGUN} {WHOLE}",
        tell=_next_run,
        needs=Need.NOTHING,
    ),
    Story(name="failure: the engine answers 500", order=f"{BEGUN} run.failed done", tell=_failing(500, "server_error")),
    Story(
        name="failure: the engine answers 429",
        order=f"{BEGUN} run.failed done",
        tell=_failing(429, "rate_limit_exceeded"),
    ),
    Story(
        name="the engine is cut in the middle",
        order=f"{BEGUN} {OPENED} message.incomplete step.failed run.failed done",
        tell=_cut,
    ),
    Story(
        name="cancelled in the middle",
        order=f"{BEGUN} {OPENED} run.cancelling message.incomplete step.cancelled run.cancelled done",
        tell=_cancelled,
    ),
    Story(
        name="cancelled while outputs are awaited",
        order=f"{BEGUN} {ASKS} → cancel, then the run's stream → run.cancelling step.cancelled run.cancelled done",
        tell=_cancelled_waiting,
        whole=False,
    ),
    Story(
        name="expired in the middle",
        order=f"{BEGUN} {OPENED} message.incomplete step.expired run.expired done",
        tell=_expired,
        needs=Need.ENGINE | Need.CLOCK,
    ),
    Story(
        name="`max_completion_tokens` used up",
        order=f"{BEGUN} {OPENED} message.incomplete step.completed run.incomplete done",
        tell=_completion_budget,
    ),
    Story(
        name="`max_prompt_tokens` used up between two calls",
        order=f"{BEGUN} {ASKS}{SUBMIT}{AGAIN} run.incomplete done",
        tell=_prompt_budget,
    ),
    Story(
        name="the client goes away: the run goes on, the thread stays locked",
        order=LEFT,
        tell=_not_cancelled_by_leaving,
        whole=False,
    ),
    Story(
        name="taken up behind an event's `id:`",
        order=f"{LEFT} → the run's stream → message.delta+ message.completed step.completed run.completed done",
        tell=_resumed,
        whole=False,
        reason=RESUMED_STREAMS,
    ),
]
