"""The five operations of assistants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.conformance.expectations import (
    OMIT,
    Check,
    Expectation,
    Target,
    because,
    bind,
    leaving,
    missing,
    refuses,
    takes,
    unknown,
    wrong_type,
)
from tests.conformance.families.tools import builtin_tools, resources, tools
from tests.conformance.families.values import (
    EFFORTS,
    choice,
    decimal,
    kept,
    left_out,
    metadata,
    null,
    response_format,
    string,
)
from tests.conformance.matching import require
from tests.conformance.objects import PARAMETERLESS, TOOL_SHOWN, assistant, deleted
from tests.conformance.reasons import ANY_MODEL
from tests.conformance.suite.shared import E8, E9, lists
from tests.conformance.wire import Answer
from tests.conformance.world import World

DEFAULTS: dict[str, Any] = {
    "name": None,
    "description": None,
    "instructions": None,
    "reasoning_effort": None,
    "tools": [],
    "tool_resources": {},
    "metadata": {},
    "temperature": 1.0,
    "top_p": 1.0,
    "response_format": "auto",
}
#: What an assistant is before it is modified.
ORIGINAL: dict[str, Any] = {
    "name": "Ada",
    "description": "Counts.",
    "instructions": "Be exact.",
    "reasoning_effort": "low",
    "tools": [TOOL_SHOWN],
    "tool_resources": {},
    "metadata": {"was": "there"},
    "temperature": 0.5,
    "top_p": 0.5,
    "response_format": {"type": "json_object"},
}


def settings(*, helper: bool) -> list[Check]:
    """What creation and modification have in common. ``helper``: the resources may have vector stores made."""
    return [
        *string("name", 256),
        *string("description", 512),
        *string("instructions", 256_000),
        *choice("reasoning_effort", EFFORTS),
        *tools(128),
        *builtin_tools(),
        *resources(helper=helper, with_tools=True),
        *metadata(),
        *decimal("temperature", 2),
        *decimal("top_p", 1),
        *response_format(),
        *null(DEFAULTS),
    ]


def models() -> list[Check]:
    return [
        refuses("model", "an unknown one", {"model": "no-such-model"}, E8),
        refuses("model", "one that cannot chat", {"model": "text-embedding-3-small"}, E9),
        refuses("model", "no string", {"model": 5}, wrong_type("model", "a string", "an integer")),
        *because(ANY_MODEL, takes("model", "the name of one of OpenAI's", {"model": "gpt-4o"})),
    ]


def _create(world: World, body: dict[str, Any], refused: bool) -> Answer:
    return world.ask("POST", "/assistants", body)


def _created(world: World, answer: Any) -> Any:
    return world.get(f"/assistants/{answer['id']}")


def _modify(world: World, body: dict[str, Any], refused: bool) -> Answer:
    def make() -> str:
        return world.new_assistant(**ORIGINAL)

    identifier = world.cached("assistant to modify", make) if refused else make()
    return world.ask("POST", f"/assistants/{identifier}", body)


def _minimal(world: World) -> dict[str, Any]:
    return {"model": world.model}


CREATE = Target(operation="createAssistant", base=_minimal, send=_create, show=_created)
MODIFY = Target(operation="modifyAssistant", base=lambda world: {}, send=_modify, show=_created)


def expectations() -> Iterator[Expectation]:
    yield from bind(CREATE, [*settings(helper=True), *left_out(DEFAULTS), *models()])
    yield from bind(CREATE, [refuses("model", "none", {"model": OMIT}, missing("model"))])
    yield from bind(CREATE, [refuses("", "an unknown field", {"colour": "red"}, unknown("colour"))])
    # modify takes the same, except the helper that makes vector stores
    yield from bind(MODIFY, [*leaving(settings(helper=False)), *kept(ORIGINAL), *models()])
    yield from bind(MODIFY, [refuses("", "an unknown field", {"colour": "red"}, unknown("colour"))])
    yield Expectation(operation="modifyAssistant", subject="model", label="left out: stays", judge=_model_stays)
    yield Expectation(operation="createAssistant", subject="", label="the whole object", judge=_whole_object)
    yield Expectation(operation="getAssistant", subject="", label="the whole object", judge=_read)
    yield Expectation(operation="modifyAssistant", subject="", label="id and created_at stay", judge=_identity_stays)
    yield Expectation(operation="deleteAssistant", subject="", label="gone; its runs stay", judge=_deletion)
    yield Expectation(operation="createAssistant", subject="tool_resources.code_interpreter", label=_CODE, judge=_code)
    yield from lists("listAssistants", lambda world: "/assistants", lambda world: _several(world))


_CODE = 'with the tool and no files → {"file_ids": []}'


def _code(world: World) -> None:
    made = world.post("/assistants", {"model": world.model, "tools": [{"type": "code_interpreter"}]})
    require({"code_interpreter": {"file_ids": []}}, made["tool_resources"], "tool_resources")


def _whole_object(world: World) -> None:
    made = world.post("/assistants", {"model": world.model})
    require(assistant(model=world.model), made, "the answer")
    full = {**ORIGINAL, "model": world.model}
    require(assistant(**full), world.post("/assistants", full), "the answer with every field given")


def _read(world: World) -> None:
    made = world.post("/assistants", {"model": world.model, "name": "Ada"})
    require(made, world.get(f"/assistants/{made['id']}"), "the answer")


def _model_stays(world: World) -> None:
    made = world.post("/assistants", {"model": world.model})
    changed = world.post(f"/assistants/{made['id']}", {"name": "Ada"})
    require({**made, "name": "Ada"}, changed, "the answer")


def _identity_stays(world: World) -> None:
    made = world.post("/assistants", {**ORIGINAL, "model": world.model})
    parameters = {"tools": [{"type": "function", "function": {"name": "other", "parameters": None}}]}
    changed = world.post(f"/assistants/{made['id']}", {**parameters, "metadata": {"is": "replaced"}})
    shown = {**TOOL_SHOWN["function"], "name": "other", "parameters": PARAMETERLESS}  # type: ignore[dict-item]
    expected = {**made, "tools": [{"type": "function", "function": shown}], "metadata": {"is": "replaced"}}
    require(expected, changed, "the answer")


def _deletion(world: World) -> None:
    identifier = world.new_assistant()
    run = world.rested(world.new_run(assistant=identifier))
    answer = world.ask("DELETE", f"/assistants/{identifier}")
    require(200, answer.status, "the status")
    require(deleted(identifier, "assistant"), answer.body, "the answer")
    require(404, world.ask("GET", f"/assistants/{identifier}").status, "reading it afterwards")
    require(identifier, world.get(f"/threads/{run['thread_id']}/runs/{run['id']}")["assistant_id"], "its run")


def _several(world: World) -> list[str]:
    return world.cached("several assistants", lambda: [world.new_assistant(name=f"{n}") for n in range(5)])
