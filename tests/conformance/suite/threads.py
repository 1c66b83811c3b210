"""The four operations of threads, and the five of messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.conformance.expectations import (
    OMIT,
    Expectation,
    Need,
    Refusal,
    Side,
    Target,
    bind,
    refuses,
    takes,
    unknown,
    wrong_type,
)
from tests.conformance.families.messages import bounded, message
from tests.conformance.families.tools import resources
from tests.conformance.families.values import kept, left_out, metadata, null
from tests.conformance.matching import require, require_fields
from tests.conformance.objects import ASSISTANT_ID, MESSAGE_ID, RUN_ID, deleted, text, thread
from tests.conformance.objects import message as message_object
from tests.conformance.reasons import MESSAGE_STATUS
from tests.conformance.suite.shared import lists
from tests.conformance.wire import Answer
from tests.conformance.world import World

EMPTY = {"metadata": {}, "tool_resources": {}}
HELLO = {"role": "user", "content": "Hello"}
METADATA = {"was": "there"}


def _create(world: World, body: dict[str, Any], refused: bool) -> Answer:
    return world.ask("POST", "/threads", body)


def _created(world: World, answer: Any) -> Any:
    return world.get(f"/threads/{answer['id']}")


def _first_message(world: World, answer: Any) -> Any:
    return world.get(f"/threads/{answer['id']}/messages?order=asc")["data"][0]


def _modify(world: World, body: dict[str, Any], refused: bool) -> Answer:
    def make() -> str:
        return str(world.post("/threads", {"metadata": METADATA})["id"])

    identifier = world.cached("thread to modify", make) if refused else make()
    return world.ask("POST", f"/threads/{identifier}", body)


def _create_message(world: World, body: dict[str, Any], refused: bool) -> Answer:
    return world.ask("POST", f"/threads/{world.thread}/messages", body)


def _created_message(world: World, answer: Any) -> Any:
    return world.get(f"/threads/{world.thread}/messages/{answer['id']}")


def _modify_message(world: World, body: dict[str, Any], refused: bool) -> Answer:
    def make() -> str:
        return str(world.post(f"/threads/{world.thread}/messages", {**HELLO, "metadata": METADATA})["id"])

    identifier = world.cached("message to modify", make) if refused else make()
    return world.ask("POST", f"/threads/{world.thread}/messages/{identifier}", body)


def _nothing(world: World) -> dict[str, Any]:
    return {}


def _hello(world: World) -> dict[str, Any]:
    return dict(HELLO)


CREATE = Target(operation="createThread", base=_nothing, send=_create, show=_created)
CREATE_WITH = Target(operation="createThread", mount="messages[0]", base=_hello, send=_create, show=_first_message)
MODIFY = Target(operation="modifyThread", base=_nothing, send=_modify, show=_created)
MESSAGE = Target(operation="createMessage", base=_hello, send=_create_message, show=_created_message)
MODIFY_MESSAGE = Target(operation="modifyMessage", base=_nothing, send=_modify_message, show=_created_message)

FIELDS = [*resources(helper=True), *metadata(), *null(EMPTY), *left_out(EMPTY)]
COLOUR = refuses("", "an unknown field", {"colour": "red"}, unknown("colour"))
NO_ARRAY = refuses("messages", "no array", {"messages": HELLO}, wrong_type("messages", "an array", "an object"))


def expectations() -> Iterator[Expectation]:
    yield from _threads()
    yield from _messages()


def _threads() -> Iterator[Expectation]:
    yield from bind(CREATE, [*FIELDS, COLOUR, NO_ARRAY, *bounded("messages")])
    yield from bind(CREATE, [takes("messages", "left out: an empty thread", {"messages": OMIT}, {})])
    yield from bind(CREATE_WITH, [*message(), refuses("", "an unknown field", {"id": "x"}, unknown("id"))])
    yield from bind(
        MODIFY, [*resources(helper=False), *metadata(), *null(EMPTY), *kept({"metadata": METADATA}), COLOUR]
    )
    yield from bind(MODIFY, [refuses("", "messages", {"messages": []}, unknown("messages"))])

    def does(operation: str, subject: str, label: str, judge: Any) -> Expectation:
        return Expectation(operation=operation, subject=subject, label=label, judge=judge)

    yield does("createThread", "", "the whole object", _whole_thread)
    yield does("createThread", "", "no body at all, and {}", _without_a_body)
    yield does("createThread", "messages", "several keep their order, within one second too", _order_is_kept)
    yield does("getThread", "", "the whole object", _read)
    yield does("modifyThread", "", "metadata is replaced; id and created_at stay", _replaced)
    yield does("deleteThread", "", "gone, with its messages, runs and steps", _deletion)


def _messages() -> Iterator[Expectation]:
    yield from bind(MESSAGE, [*message(), COLOUR])
    yield from bind(
        MODIFY_MESSAGE,
        [
            *metadata(),
            *kept({"metadata": METADATA}),
            COLOUR,
            refuses("", "content: only the metadata may change", {"content": "x"}, unknown("content")),
        ],
    )
    yield from lists("listMessages", _listed, _five)

    def does(operation: str, label: str, judge: Any, **more: Any) -> Expectation:
        return Expectation(operation=operation, **{"subject": "", "label": label, "judge": judge, **more})

    yield does("createMessage", "the whole object", _whole_message, reason=MESSAGE_STATUS)
    yield does("createMessage", "while a run is active (E10)", _locked, side=Side.REFUSES, needs=Need.ENGINE)
    yield does(
        "createMessage",
        "100 000 messages in a thread",
        lambda world: None,
        shown_by="tests/threads/test_thread_api.py::test_a_thread_is_bounded",
    )
    yield does("getMessage", "an assistant's, the whole object", _read_message, reason=MESSAGE_STATUS)
    yield does(
        "modifyMessage", "metadata is replaced, the rest stays; `file_ids: []` besides, as recorded", _replaced_message
    )
    yield does("deleteMessage", "gone, and not in lists", _message_deletion)
    yield does("listMessages", "20 unless told otherwise", _twenty, subject="limit")
    yield does("listMessages", "only the messages of that run", _of_a_run, subject="run_id")
    yield does("listMessages", "of a run that is not there: none", _of_no_run, subject="run_id")
    yield does("listMessages", "while a run is active", _listed_while_active, needs=Need.ENGINE)


# --------------------------------------------------------------------------------------------------- threads


def _whole_thread(world: World) -> None:
    require(thread(metadata=METADATA), world.post("/threads", {"metadata": METADATA}), "the answer")


def _without_a_body(world: World) -> None:
    require(thread(), world.post("/threads"), "without a body")
    require(thread(), world.post("/threads", {}), "with {}")


def _order_is_kept(world: World) -> None:
    texts = [f"{number}" for number in range(8)]
    made = world.post("/threads", {"messages": [{"role": "user", "content": one} for one in texts]})
    listed = world.get(f"/threads/{made['id']}/messages?order=asc")["data"]
    require([[text(one)] for one in texts], [entry["content"] for entry in listed], "the messages")


def _read(world: World) -> None:
    made = world.post("/threads", {"metadata": METADATA})
    require(made, world.get(f"/threads/{made['id']}"), "the answer")


def _replaced(world: World) -> None:
    made = world.post("/threads", {"metadata": METADATA})
    changed = world.post(f"/threads/{made['id']}", {"metadata": {"is": "replaced"}})
    require({**made, "metadata": {"is": "replaced"}}, changed, "the answer")


def _deletion(world: World) -> None:
    run = world.rested(world.new_run())
    place = f"/threads/{run['thread_id']}"
    answer = world.ask("DELETE", place)
    require([200, deleted(run["thread_id"], "thread")], [answer.status, answer.body], "the answer")
    for path in ("", "/messages", "/runs", f"/runs/{run['id']}", f"/runs/{run['id']}/steps"):
        require(404, world.ask("GET", place + path).status, f"reading …{path.replace(run['id'], '…')} afterwards")


# -------------------------------------------------------------------------------------------------- messages


def _whole_message(world: World) -> None:
    sent = {**HELLO, "metadata": METADATA}
    made = world.post(f"/threads/{world.thread}/messages", sent)
    require(message_object(world.thread, metadata=METADATA), made, "the answer")


def _locked(world: World) -> None:
    with world.held_run() as run:
        answer = world.ask("POST", f"/threads/{run['thread_id']}/messages", HELLO)
        message = f"Can't add messages to {run['thread_id']} while a run {run['id']} is active."
        Refusal(None, message).verify(answer)


def _answer(world: World) -> dict[str, Any]:
    """The message of a completed run."""
    run = world.completed_run
    listed = world.get(f"/threads/{run['thread_id']}/messages?run_id={run['id']}")["data"]
    require(1, len(listed), "the run's messages")
    found: dict[str, Any] = listed[0]
    return found


def _read_message(world: World) -> None:
    answer = _answer(world)
    run = world.completed_run
    shown = {"assistant_id": run["assistant_id"], "run_id": run["id"], "role": "assistant"}
    whole = message_object(run["thread_id"], **shown, content=answer["content"])
    found = world.get(f"/threads/{run['thread_id']}/messages/{answer['id']}")
    require(whole, found, "the answer")
    require_fields({"id": MESSAGE_ID, "run_id": RUN_ID, "assistant_id": ASSISTANT_ID}, found)


def _replaced_message(world: World) -> None:
    made = world.post(f"/threads/{world.thread}/messages", {**HELLO, "metadata": METADATA})
    place = f"/threads/{world.thread}/messages/{made['id']}"
    changed = world.post(place, {"metadata": {"is": "replaced"}})
    require({**made, "metadata": {"is": "replaced"}, "file_ids": []}, changed, "the answer")
    require({**made, "metadata": {"is": "replaced"}}, world.get(place), "read afterwards")


def _message_deletion(world: World) -> None:
    identifier = world.new_thread()
    made = world.post(f"/threads/{identifier}/messages", HELLO)
    place = f"/threads/{identifier}/messages"
    answer = world.ask("DELETE", f"{place}/{made['id']}")
    require([200, deleted(made["id"], "thread.message")], [answer.status, answer.body], "the answer")
    require(404, world.ask("GET", f"{place}/{made['id']}").status, "reading it afterwards")
    require(1, len(world.get(place)["data"]), "the messages that are left")


def _crowd(world: World) -> list[str]:
    """A thread of 25 messages, and their ids, oldest first: the thread's comes first."""

    def make() -> list[str]:
        identifier = world.post("/threads", {"messages": [HELLO] * 25})["id"]
        listed = world.get(f"/threads/{identifier}/messages?order=asc&limit=100")["data"]
        return [identifier, *(entry["id"] for entry in listed)]

    return world.cached("crowd", make)


def _listed(world: World) -> str:
    return f"/threads/{_crowd(world)[0]}/messages"


def _five(world: World) -> list[str]:
    return _crowd(world)[-5:]


def _twenty(world: World) -> None:
    found = world.get(_listed(world))
    require([20, True], [len(found["data"]), found["has_more"]], "how many, and whether there are more")


def _of_a_run(world: World) -> None:
    require(world.completed_run["id"], _answer(world)["run_id"], "run_id")


def _of_no_run(world: World) -> None:
    run = world.completed_run
    found = world.get(f"/threads/{run['thread_id']}/messages?run_id=run_000000000000000000000000")
    require([], found["data"], "the messages")


def _listed_while_active(world: World) -> None:
    with world.held_run() as run:
        found = world.get(f"/threads/{run['thread_id']}/messages?order=asc")["data"]
        require("user", found[0]["role"], "the first message")
