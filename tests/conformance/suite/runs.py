"""The seven operations of runs, and what of them reaches the engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.conformance.expectations import (
    OMIT,
    Check,
    Expectation,
    Need,
    Refusal,
    Target,
    because,
    below,
    bind,
    missing,
    not_found,
    not_one_of,
    refuses,
    takes,
    too_long,
    too_many,
    unknown,
    wrong_type,
)
from tests.conformance.families.messages import bounded, message
from tests.conformance.families.tools import builtin_tools, resources, tools
from tests.conformance.families.values import EFFORTS, choice, decimal, kept, left_out, metadata, null, response_format
from tests.conformance.objects import TOOL
from tests.conformance.reasons import ANY_MODEL, AT_ONCE, CHOICE, EMPTY_INSTRUCTIONS
from tests.conformance.suite.shared import E8, E9
from tests.conformance.wire import Answer
from tests.conformance.world import World, path_of

AUTO = {"type": "auto", "last_messages": None}
DEFAULTS: dict[str, Any] = {
    "tools": [],
    "metadata": {},
    "temperature": 1.0,
    "top_p": 1.0,
    "max_prompt_tokens": None,
    "max_completion_tokens": None,
    "truncation_strategy": AUTO,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "response_format": "auto",
}
METADATA = {"was": "there"}


# ----------------------------------------------------------------------------------------------- the requests


def _thread_for(world: World, refused: bool) -> str:
    return world.thread if refused else world.new_thread("Hello [tokens=1]")


def _create(world: World, body: dict[str, Any], refused: bool) -> Answer:
    return _create_on_a_thread(world, body, refused) if refused else _shared(world, body, _create_on_a_thread)


def _create_both(world: World, body: dict[str, Any], refused: bool) -> Answer:
    return _create_with_a_thread(world, body, refused) if refused else _shared(world, body, _create_with_a_thread)


def _shared(world: World, body: dict[str, Any], send: Callable[[World, dict[str, Any], bool], Answer]) -> Answer:
    """Expectations of one and the same request look at one answer: a run costs more than all the rest."""
    answer: Answer = world.cached(f"{send.__name__} {json.dumps(body)}", lambda: send(world, body, False))
    return answer


def _create_on_a_thread(world: World, body: dict[str, Any], refused: bool) -> Answer:
    thread = _thread_for(world, refused)
    answer = world.ask("POST", f"/threads/{thread}/runs", body)
    if refused and answer.status == 200:
        world.forget("thread")  # what should not have been taken has locked it
    return _quieted(world, answer)


def _create_with_a_thread(world: World, body: dict[str, Any], refused: bool) -> Answer:
    return _quieted(world, world.ask("POST", "/threads/runs", body))


def _quieted(world: World, answer: Answer) -> Answer:
    """Real engines need not work for what was only about a parameter."""
    if world.upstream is None and answer.status == 200 and isinstance(answer.body, dict):
        world.ask("POST", path_of(answer.body, "/cancel"))
    return answer


def _itself(world: World, answer: Any) -> Any:
    return answer


def _first_message(world: World, answer: Any) -> Any:
    return world.get(f"/threads/{answer['thread_id']}/messages?order=asc")["data"][0]


def _second_message(world: World, answer: Any) -> Any:
    return world.get(f"/threads/{answer['thread_id']}/messages?order=asc")["data"][1]


def _thread_of(world: World, answer: Any) -> Any:
    return world.get(f"/threads/{answer['thread_id']}")


def _modify(world: World, body: dict[str, Any], refused: bool) -> Answer:
    run = world.cached("run to modify", lambda: world.rested(world.new_run(metadata=METADATA)))
    if not refused:
        world.post(path_of(run), {"metadata": METADATA})
    return world.ask("POST", path_of(run), body)


def _submit(world: World, body: dict[str, Any], refused: bool) -> Answer:
    """The calls' ids are filled in for ``CALL``."""
    run = world.waiting_run if refused else world.new_waiting_run()
    calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    for output, call in zip(body.get("tool_outputs") or [], calls, strict=False):
        if isinstance(output, dict) and output.get("tool_call_id") is CALL:
            output["tool_call_id"] = call["id"]
    return world.ask("POST", path_of(run, "/submit_tool_outputs"), body)


CALL: Any = "the call's id"


def _minimal(world: World) -> dict[str, Any]:
    return {"assistant_id": world.assistant}


def _with_a_thread(world: World) -> dict[str, Any]:
    return {"assistant_id": world.assistant, "thread": {"messages": [{"role": "user", "content": "Hello [tokens=1]"}]}}


def _hello(world: World) -> dict[str, Any]:
    return {"role": "user", "content": "Hello [tokens=1]"}


def _both(world: World) -> dict[str, Any]:
    return {"tool_outputs": [{"tool_call_id": CALL, "output": "1"}, {"tool_call_id": CALL, "output": "2"}]}


CREATE = Target(operation="createRun", base=_minimal, send=_create, show=_itself)
ADDITIONAL = Target(
    operation="createRun",
    mount="additional_messages[0]",
    around=_minimal,
    base=_hello,
    send=_create,
    show=_second_message,
)
BOTH = Target(operation="createThreadAndRun", base=_with_a_thread, send=_create_both, show=_itself)
BOTH_THREAD = Target(
    operation="createThreadAndRun",
    mount="thread",
    around=_minimal,
    base=lambda world: _with_a_thread(world)["thread"],
    send=_create_both,
    show=_thread_of,
)
BOTH_MESSAGE = Target(
    operation="createThreadAndRun",
    mount="thread.messages[0]",
    around=lambda world: {"assistant_id": world.cached("instructed", lambda: world.new_assistant(instructions="Hi."))},
    base=_hello,
    send=_create_both,
    show=_first_message,
)
MODIFY = Target(operation="modifyRun", base=lambda world: {}, send=_modify, show=_itself)
SUBMIT = Target(operation="submitToolOuputsToRun", base=_both, send=_submit, show=_itself, needs=Need.ENGINE)


# ------------------------------------------------------------------------------------------------- parameters


def overrides() -> list[Check]:
    """What both ways of making a run take."""
    return [
        *_assistants(),
        takes("model", "left out: the assistant's", {"model": OMIT}, {}),
        refuses("model", "an unknown one", {"model": "no-such-model"}, E8),
        refuses("model", "one that cannot chat", {"model": "text-embedding-3-small"}, E9),
        *because(ANY_MODEL, takes("model", "the name of one of OpenAI's", {"model": "gpt-4o"})),
        takes("instructions", "256 000 characters, in place of the assistant's", {"instructions": "é" * 256_000}),
        refuses(
            "instructions", "one more", {"instructions": "é" * 256_001}, too_long("instructions", 256_000, 256_001)
        ),
        *because(EMPTY_INSTRUCTIONS, *left_out({"instructions": ""}), *null({"instructions": ""})),
        *tools(20),
        *builtin_tools(),
        *metadata(),
        *decimal("temperature", 2),
        *decimal("top_p", 1),
        refuses("stream", "no boolean", {"stream": "yes"}, wrong_type("stream", "a boolean", "a string")),
        takes("stream", "false: the run as an object", {"stream": False}, {"object": "thread.run"}),
        takes("stream", "null: the same", {"stream": None}, {"object": "thread.run"}),
        *_budget("max_prompt_tokens"),
        *_budget("max_completion_tokens"),
        *_truncation(),
        *_tool_choice(),
        takes("parallel_tool_calls", "false", {"parallel_tool_calls": False}),
        refuses(
            "parallel_tool_calls",
            "no boolean",
            {"parallel_tool_calls": 1},
            wrong_type("parallel_tool_calls", "a boolean", "an integer"),
        ),
        *response_format(),
        *null(DEFAULTS),
        *left_out(DEFAULTS),
        refuses("", "an unknown field", {"colour": "red"}, unknown("colour")),
    ]


def _assistants() -> list[Check]:
    prefix = "Invalid '{param}': 'x'. Expected an ID that begins with 'asst'."
    nobody = "asst_000000000000000000000000"
    return [
        refuses("assistant_id", "none", {"assistant_id": OMIT}, missing("assistant_id")),
        refuses("assistant_id", "another prefix", {"assistant_id": "x"},
                Refusal("invalid_value", prefix, "assistant_id", name="E28")),
        refuses("assistant_id", "an unknown one", {"assistant_id": nobody}, not_found("assistant", nobody)),
        refuses("assistant_id", "no string", {"assistant_id": 5},
                wrong_type("assistant_id", "a string", "an integer")),
    ]  # fmt: skip


def _budget(name: str) -> list[Check]:
    return [
        takes(name, "256", {name: 256}),
        refuses(name, "255", {name: 255}, below(name, 256, 255)),
        refuses(name, "no integer", {name: "256"}, wrong_type(name, "an integer", "a string")),
    ]


def _truncation() -> list[Check]:
    name = "truncation_strategy"

    def sent(**fields: Any) -> dict[str, Any]:
        return {name: fields}

    return [
        takes(name, "{type: last_messages, last_messages: 1}", sent(type="last_messages", last_messages=1)),
        refuses(name, "no object", {name: "auto"}, wrong_type(name, "an object", "a string")),
        takes(f"{name}.type", "auto", sent(type="auto"), {name: AUTO}),
        takes(f"{name}.type", "last_messages", sent(type="last_messages", last_messages=2)),
        refuses(f"{name}.type", "any other", sent(type="first"),
                not_one_of(f"{name}.type", "first", ["auto", "last_messages"])),
        refuses(f"{name}.type", "none", sent(last_messages=1), missing(f"{name}.type")),
        takes(f"{name}.last_messages", "1", sent(type="last_messages", last_messages=1)),
        refuses(f"{name}.last_messages", "0", sent(type="last_messages", last_messages=0),
                below(f"{name}.last_messages", 1, 0)),
    ]  # fmt: skip


def _tool_choice() -> list[Check]:
    named = {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "look_up"}}}
    kinds = ["function", "file_search", "code_interpreter"]
    absent = "'tool_choice': the function 'look_up'"
    other = "Invalid '{param}': only the type 'function' names one."
    return [
        *(takes("tool_choice", one, {"tool_choice": one}) for one in ("none", "auto")),
        takes("tool_choice", "required, with tools", {"tools": [TOOL], "tool_choice": "required"},
              {"tool_choice": "required"}),
        refuses("tool_choice", "any other string", {"tool_choice": "any"},
                not_one_of("tool_choice", "any", ["none", "auto", "required"])),
        takes("tool_choice.type", "function", named, {"tool_choice": named["tool_choice"]}),
        refuses("tool_choice.type", "any other", {"tool_choice": {"type": "web"}},
                not_one_of("tool_choice.type", "web", kinds)),
        takes("tool_choice.function", "a name", named, {"tool_choice": named["tool_choice"]}),
        refuses("tool_choice.function", "none for a function", {"tool_choice": {"type": "function"}},
                missing("tool_choice.function")),
        takes("tool_choice.function.name", "a function's", named, {"tool_choice": named["tool_choice"]}),
        refuses("tool_choice.function.name", "none", {"tool_choice": {"type": "function", "function": {}}},
                missing("tool_choice.function.name")),
        *because(
            CHOICE,
            refuses("tool_choice", "a function the run does not have", {**named, "tools": []},
                    Refusal("invalid_value", f"Invalid {absent} is not among the run's tools.", "tool_choice")),
            refuses("tool_choice.function", "with another type",
                    {"tool_choice": {**named["tool_choice"], "type": "file_search"}},
                    Refusal("invalid_value", other, "tool_choice.function")),
        ),
    ]  # fmt: skip


def _additional() -> list[Check]:
    name = "additional_instructions"
    return [
        takes(name, "256 000 characters", {name: "é" * 256_000}, {"instructions": "é" * 256_000}),
        takes(name, "after the instructions", {"instructions": "One.", name: "Two."}, {"instructions": "One.\n\nTwo."}),
        takes(name, "null: nothing", {"instructions": "One.", name: None}, {"instructions": "One."}),
        refuses(name, "256 001 characters", {name: "é" * 256_001}, too_long(name, 256_000, 256_001)),
        takes("additional_messages", "null: none", {"additional_messages": None}, {}),
        refuses("additional_messages", "no array", {"additional_messages": {}},
                wrong_type("additional_messages", "an array", "an object")),
        *bounded("additional_messages"),
        *choice("reasoning_effort", EFFORTS),
        *left_out({"reasoning_effort": None}),
    ]  # fmt: skip


def _outputs() -> list[Check]:
    def one(**fields: Any) -> dict[str, Any]:
        given = {"tool_call_id": CALL, "output": "1", **fields}
        kept = {name: value for name, value in given.items() if value is not OMIT}
        return {"tool_outputs": [kept, {"tool_call_id": CALL, "output": "2"}]}

    at = "tool_outputs[0]"
    queued = {"status": "queued", "required_action": None}
    return [
        takes("tool_outputs", "all outputs at once: queued again", {}, queued),
        refuses("tool_outputs", "none", {"tool_outputs": OMIT}, missing("tool_outputs")),
        refuses("tool_outputs", "no array", {"tool_outputs": {}}, wrong_type("tool_outputs", "an array", "an object")),
        *because(AT_ONCE, refuses("tool_outputs", "129", {"tool_outputs": [{"output": "1"}] * 129},
                                  too_many("tool_outputs", 128, 129))),
        refuses("tool_outputs[].tool_call_id", "no string", one(tool_call_id=5),
                wrong_type(f"{at}.tool_call_id", "a string", "an integer")),
        takes("tool_outputs[].output", "a text", one(output="forty-two"), queued),
        takes("tool_outputs[].output", "left out: the empty text", one(output=OMIT), queued),
        refuses("tool_outputs[].output", "no string", one(output=42),
                wrong_type(f"{at}.output", "a string", "an integer")),
        takes("stream", "false: the run as an object", {"stream": False}, {"object": "thread.run", **queued}),
        refuses("stream", "no boolean", {"stream": "yes"}, wrong_type("stream", "a boolean", "a string")),
        refuses("", "an unknown field", {"colour": "red"}, unknown("colour")),
    ]  # fmt: skip


def parameters() -> Iterator[Expectation]:
    yield from bind(CREATE, [*overrides(), *_additional()])
    yield from bind(ADDITIONAL, message())
    yield from bind(BOTH, [*overrides(), *resources(helper=False)])
    thread = [*resources(helper=True), *metadata(), *left_out({"metadata": {}, "tool_resources": {}})]
    yield from bind(BOTH, [*choice("reasoning_effort", EFFORTS), *left_out({"reasoning_effort": None})])
    yield from bind(BOTH_THREAD, thread)
    yield from bind(BOTH_THREAD, [refuses("", "an unknown field", {"colour": "red"}, unknown("colour"))])
    yield from bind(
        BOTH_THREAD,
        [
            refuses("messages", "no array", {"messages": {}}, wrong_type("messages", "an array", "an object")),
            *bounded("messages"),
        ],
    )
    yield from bind(BOTH_MESSAGE, message())
    yield from bind(MODIFY, [*metadata(), *kept({"metadata": METADATA})])
    yield from bind(MODIFY, [refuses("", "an unknown field", {"status": "completed"}, unknown("status"))])
    yield from bind(SUBMIT, _outputs())
