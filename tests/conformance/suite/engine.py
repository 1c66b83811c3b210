"""What of a run reaches the engine: a parameter that is echoed and then forgotten would look fine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.conformance.expectations import Expectation, Need
from tests.conformance.matching import require, require_fields
from tests.conformance.objects import TOOL, TOOL_SHOWN
from tests.conformance.suite.vocabulary import (
    does,
)
from tests.conformance.world import World, path_of

WEATHER = {"type": "json_schema", "json_schema": {"name": "weather", "schema": {"type": "object"}, "strict": True}}
NAMED = {"type": "function", "function": {"name": "look_up"}}


# ------------------------------------------------------------------------------------- what the engine is asked


def expectations() -> Iterator[Expectation]:
    system = {"role": "system", "content": "Be exact."}
    cases: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
        ("model", "", {}, {"model": "fake"}),
        ("temperature", "", {"temperature": 0.25}, {"temperature": 0.25}),
        ("top_p", "", {"top_p": 0.25}, {"top_p": 0.25}),
        (
            "response_format",
            "json_schema: structured output",
            {"response_format": WEATHER},
            {"response_format": WEATHER},
        ),
        ("response_format.type", "json_object", *[{"response_format": {"type": "json_object"}}] * 2),
        ("max_completion_tokens", "as the call's limit", {"max_completion_tokens": 300}, {"max_tokens": 300}),
        ("tools", "", {"tools": [TOOL]}, {"tools": [TOOL_SHOWN]}),
        ("parallel_tool_calls", "", {"tools": [TOOL], "parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ("tool_choice", "none", {"tools": [TOOL], "tool_choice": "none"}, {"tool_choice": "none"}),
    ]
    for subject, label, sent, asked in cases:
        shown = f"reaches the engine{label and ', '}{label}"
        for operation in ("createRun", "createThreadAndRun"):
            yield does(operation, shown, _reaching(operation, sent, asked), subject, needs=Need.ENGINE)
    effort = {"reasoning_effort": "low"}
    yield does(
        "createRun", "reaches the engine", _reaching("createRun", effort, effort), "reasoning_effort", needs=Need.ENGINE
    )
    for name, sent in (("instructions", {"instructions": "Be exact."}), ("additional_instructions", None)):
        fields = sent or {"instructions": "Be", "additional_instructions": "exact."}
        content = "Be exact." if sent else "Be\n\nexact."
        judge = _reaching("createRun", fields, {"messages": [{**system, "content": content}]})
        yield does("createRun", "reaches the engine", judge, name, needs=Need.ENGINE)
    for choice in ("required", NAMED):
        label = "required and named ones hold for the first model call only"
        yield does("createRun", label, _first_call_only(choice), "tool_choice", needs=Need.ENGINE)
    yield does(
        "createRun", "the engine sees the newest n", _truncated, "truncation_strategy.last_messages", needs=Need.ENGINE
    )
    yield does(
        "createRun",
        "the engine sees them behind the thread's",
        _additional_messages,
        "additional_messages",
        needs=Need.ENGINE,
    )
    yield does(
        "submitToolOuputsToRun",
        "reach the engine under their calls' ids",
        _outputs_reach,
        "tool_outputs[].output",
        needs=Need.ENGINE,
    )


def _reaching(operation: str, sent: dict[str, Any], asked: dict[str, Any]) -> Callable[[World], None]:
    def judge(world: World) -> None:
        key = world.unique()
        message = {"role": "user", "content": f"In json, please. [tokens=2 key={key} keep=1]"}
        if operation == "createRun":
            thread = world.post("/threads", {"messages": [message]})["id"]
            run = world.post(f"/threads/{thread}/runs", {"assistant_id": world.assistant, **sent})
        else:
            body = {"assistant_id": world.assistant, "thread": {"messages": [message]}, **sent}
            run = world.post("/threads/runs", body)
        world.rested(run)
        (request,) = world.asked(key)
        if "messages" in asked:
            request["messages"] = request["messages"][: len(asked["messages"])]
        require_fields(asked, request, "the engine's request")

    return judge


def _first_call_only(choice: Any) -> Callable[[World], None]:
    def judge(world: World) -> None:
        key = world.unique()
        run = world.new_waiting_run(f"key={key} keep=1", tool_choice=choice)
        world.post(path_of(run, "/submit_tool_outputs"), world.outputs_for(run))
        world.rested(run)
        choices = [request.get("tool_choice") for request in world.asked(key)]
        require([choice, "auto"], choices, "the engine's requests: tool_choice")

    return judge


def _truncated(world: World) -> None:
    key = world.unique()
    texts = ["one", "two", f"three [tokens=2 key={key} keep=1]"]
    thread = world.post("/threads", {"messages": [{"role": "user", "content": one} for one in texts]})["id"]
    strategy = {"type": "last_messages", "last_messages": 2}
    body = {"assistant_id": world.assistant, "truncation_strategy": strategy}
    world.rested(world.post(f"/threads/{thread}/runs", body))
    (request,) = world.asked(key)
    require(texts[1:], [message["content"] for message in request["messages"]], "the engine's messages")


def _additional_messages(world: World) -> None:
    key = world.unique()
    thread = world.new_thread("one")
    more = [{"role": "assistant", "content": "two"}, {"role": "user", "content": f"three [tokens=2 key={key} keep=1]"}]
    body = {"assistant_id": world.assistant, "additional_messages": more}
    world.rested(world.post(f"/threads/{thread}/runs", body))
    (request,) = world.asked(key)
    require([{"role": "user", "content": "one"}, *more], request["messages"], "the engine's messages")


def _outputs_reach(world: World) -> None:
    key = world.unique()
    run = world.new_waiting_run(f"calls=2 key={key} keep=1")
    outputs = world.outputs_for(run)
    outputs["tool_outputs"][1]["output"] = "43"
    world.post(path_of(run, "/submit_tool_outputs"), outputs)
    world.rested(run)
    last = world.asked(key)[-1]["messages"][-2:]
    given = [
        {"role": "tool", "tool_call_id": one["tool_call_id"], "content": one["output"]}
        for one in outputs["tool_outputs"]
    ]
    require(given, last, "the engine's last messages")
