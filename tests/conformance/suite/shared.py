"""What many operations have in common: being let in, unknown ids, lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from tests.conformance.expectations import (
    INVALID_REQUEST,
    Expectation,
    Need,
    Refusal,
    Side,
    above,
    below,
    not_found,
    not_one_of,
    wrong_type,
)
from tests.conformance.inventory import Operation, operations
from tests.conformance.matching import Mismatch, Text, require
from tests.conformance.reasons import NO_LIMIT
from tests.conformance.wire import BETA
from tests.conformance.world import World

WRONG_KEY = {"Authorization": "Bearer not-a-real-key-and-never-recognized"}
INCORRECT = "Incorrect API key provided: not-a-re****ized. You can find your API key at "
E3 = Refusal(
    "invalid_beta",
    "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by setting the header "
    "'OpenAI-Beta: assistants=v2'.",
    name="E3",
)
E8 = Refusal("model_not_found", "The model 'no-such-model' does not exist", "model", 404, name="E8")
E9 = Refusal(
    "unsupported_model",
    "The requested model 'text-embedding-3-small' cannot be used with the Assistants API.",
    "model",
    name="E9",
)
UNKNOWN = {
    "assistant_id": ("assistant", "asst_000000000000000000000000", "E5"),
    "thread_id": ("thread", "thread_000000000000000000000000", "E5"),
    "message_id": ("message", "msg_000000000000000000000000", "E5"),
    "run_id": ("run", "run_000000000000000000000000", "E5"),
    "step_id": ("run step", "step_000000000000000000000000", "E6"),
}
BODIES: dict[str, Any] = {
    "createMessage": {"role": "user", "content": "Hello"},
    "submitToolOuputsToRun": {"tool_outputs": []},
}


def on_every_operation() -> Iterator[Expectation]:
    """Keys, the beta header, headers of the answer, and unknown ids in every address."""
    for operation in operations():
        for label, judge in (
            ("no key (E2)", _with_key(operation, {}, "You didn't provide an API key.", None)),
            ("a wrong key (E1)", _with_key(operation, WRONG_KEY, INCORRECT, "invalid_api_key")),
            ("no `OpenAI-Beta` (E3)", _without_beta(operation)),
        ):
            yield Expectation(operation=operation.id, subject="", label=label, judge=judge, side=Side.REFUSES)
        for parameter in operation.parameters:
            if parameter.place == "path":
                yield _unknown(operation, parameter.name)


def _address(world: World, operation: Operation, **given: str) -> str:
    """The operation's address with ids that exist, except those given."""
    run = world.completed_run
    ids = {"assistant_id": world.assistant, "thread_id": run["thread_id"], "run_id": run["id"], **given}
    for name in ("message_id", "step_id"):
        if f"{{{name}}}" in operation.path and name not in ids:
            ids[name] = UNKNOWN[name][1]
    return operation.path.format(**ids)


def _body(world: World, operation: Operation) -> Any:
    if operation.method != "POST" or operation.id == "cancelRun":
        return None
    if operation.id in ("createRun", "createThreadAndRun"):
        return {"assistant_id": world.assistant}
    return {"model": world.model} if operation.id == "createAssistant" else BODIES.get(operation.id, {})


def _with_key(operation: Operation, headers: dict[str, str], message: str, code: str | None) -> Callable[[World], None]:
    def judge(world: World) -> None:
        address, body = _address(world, operation), _body(world, operation)
        answer = world.ask(operation.method, address, body, {**headers, **BETA})
        expected = {"message": Text(message), "type": INVALID_REQUEST, "param": None, "code": code}
        require([401, {"error": expected}], [answer.status, answer.body], "the answer")

    return judge


def _without_beta(operation: Operation) -> Callable[[World], None]:
    def judge(world: World) -> None:
        headers = world.wire.authorization
        answer = world.ask(operation.method, _address(world, operation), _body(world, operation), headers)
        E3.verify(answer)

    return judge


def _unknown(operation: Operation, name: str) -> Expectation:
    kind, identifier, error = UNKNOWN[name]

    def judge(world: World) -> None:
        address = _address(world, operation, **{name: identifier})
        answer = world.ask(operation.method, address, _body(world, operation))
        not_found(kind, identifier).verify(answer)
        if not answer.headers.get("x-request-id", "").startswith("req_"):
            raise Mismatch("an error without x-request-id")

    label = f"an unknown one ({error})"
    return Expectation(operation=operation.id, subject=name, label=label, judge=judge, side=Side.REFUSES)


# ----------------------------------------------------------------------------------------------------- lists


def lists(
    operation: str,
    address: Callable[[World], str],
    five: Callable[[World], list[str]],
    needs: Need = Need.NOTHING,
) -> Iterator[Expectation]:
    """The four parameters of a list.

    :param five: the ids of (at least) five of its objects that follow each other, oldest first.
    """

    def ask(world: World, **query: Any) -> Any:
        five(world)
        return world.ask("GET", f"{address(world)}?{urlencode(query)}")

    def page(world: World, **query: Any) -> tuple[list[str], bool]:
        answer = ask(world, **query)
        require(200, answer.status, "the status")
        found = answer.body
        ids = [entry["id"] for entry in found["data"]]
        ends = (ids[0], ids[-1]) if ids else (None, None)
        require(["object", "data", "first_id", "last_id", "has_more"], list(found), "the envelope's keys")
        require("list", found["object"], "object")
        require(list(ends), [found["first_id"], found["last_id"]], "first_id and last_id")
        return ids, found["has_more"]

    def pages(label: str, subject: str, check: Callable[[World, list[str]], None]) -> Expectation:
        def judge(world: World) -> None:
            check(world, five(world))

        return Expectation(operation=operation, subject=subject, label=label, judge=judge, needs=needs)

    def refused(label: str, subject: str, refusal: Refusal, **query: Any) -> Expectation:
        def judge(world: World) -> None:
            refusal.verify(ask(world, **query))

        shown = f"{label} ({refusal.name})" if refusal.name else label
        return Expectation(
            operation=operation, subject=subject, label=shown, judge=judge, side=Side.REFUSES, needs=needs
        )

    def default_order(world: World, ids: list[str]) -> None:
        found = page(world, limit=100)[0]
        require([one for one in found if one in ids], list(reversed(ids)), "newest first")

    def ascending(world: World, ids: list[str]) -> None:
        found, more = page(world, order="asc", after=ids[0], limit=2)
        require([ids[1:3], True], [found, more], "two behind the first")

    def descending(world: World, ids: list[str]) -> None:
        found, more = page(world, order="desc", after=ids[3], limit=2)
        require([[ids[2], ids[1]], True], [found, more], "two behind the fourth")

    def has_more(world: World, ids: list[str]) -> None:
        window = {"order": "asc", "after": ids[0], "before": ids[4]}
        require([ids[1:3], True], list(page(world, limit=2, **window)), "2 of 3")
        require([ids[3:4], False], list(page(world, limit=2, **{**window, "after": ids[2]})), "the rest")
        require([ids[1:4], False], list(page(world, limit=3, **window)), "3 of 3")

    def one_to_hundred(world: World, ids: list[str]) -> None:
        require(1, len(page(world, limit=1)[0]), "limit=1")
        require(True, len(page(world, limit=100)[0]) >= len(ids), "limit=100")

    def none(world: World, ids: list[str]) -> None:
        require([[], True], list(page(world, limit=0)), "limit=0")

    def before(world: World, ids: list[str]) -> None:
        found, more = page(world, order="asc", before=ids[2], after=ids[0])
        require([[ids[1]], False], [found, more], "between the first and the third, oldest first")
        found, more = page(world, before=ids[0], after=ids[3])
        require([[ids[2], ids[1]], False], [found, more], "between the fourth and the first, newest first")

    def nothing(world: World, ids: list[str]) -> None:
        require([[], False], list(page(world, order="asc", after=ids[1], before=ids[2])), "an empty page")

    orders = not_one_of("order", "up", ["asc", "desc"])
    yield pages("newest first", "", default_order)
    yield pages("empty → first_id and last_id null, has_more false", "", nothing)
    yield pages("1 to 100", "limit", one_to_hundred)
    yield pages("`has_more` is exact", "limit", has_more)
    yield replace(pages("0: an empty page", "limit", none), reason=NO_LIMIT)
    yield refused("−1", "limit", below("limit", 0, -1), limit=-1)
    yield refused("101", "limit", above("limit", 100, 101), limit=101)
    yield refused("no number", "limit", wrong_type("limit", "an integer", "a string"), limit="many")
    yield pages("asc", "order", ascending)
    yield pages("desc, the default", "order", descending)
    yield refused("any other", "order", orders, order="up")
    yield pages("only what follows that id, in the order asked for", "after", ascending)
    yield pages("only what comes before that id", "before", before)
