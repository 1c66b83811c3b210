"""What the expectations of runs and steps share: short forms, and ``include[]``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from tests.conformance.expectations import Expectation, Side
from tests.conformance.matching import require, require_fields
from tests.conformance.world import World, path_of

CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
HELLO = {"role": "user", "content": "Hello [tokens=3]"}
SPELLINGS = {
    "`include[]=…`, percent-encoded": f"include%5B%5D={quote(CONTENT)}",
    "`include=…`": f"include={quote(CONTENT)}",
}


def does(operation: str, label: str, judge: Callable[[World], None], subject: str = "", **more: Any) -> Expectation:
    return Expectation(operation=operation, subject=subject, label=label, judge=judge, **more)


def refuses(operation: str, label: str, judge: Callable[[World], None], subject: str = "", **more: Any) -> Expectation:
    return does(operation, label, judge, subject, side=Side.REFUSES, **more)


def including(method: str, place: str, query: str) -> Callable[[World], None]:
    def judge(world: World) -> None:
        path = path_of(world.completed_run, place)
        if method == "POST":
            path = f"/threads/{world.new_thread()}/runs"
        elif place == "/steps/one":
            path = path_of(world.completed_run, f"/steps/{message_step(world)['id']}")
        body = {"assistant_id": world.assistant} if method == "POST" else None
        require(200, world.ask(method, f"{path}?{query}", body).status, "the status")

    return judge


def unknown_include(operation: str) -> Iterator[Expectation]:
    def judge(world: World) -> None:
        run, method, body = world.completed_run, "GET", None
        path = path_of(run, "/steps")
        if operation == "createRun":
            path, method, body = f"/threads/{run['thread_id']}/runs", "POST", {"assistant_id": world.assistant}
        elif operation == "getRunStep":
            path = f"{path}/{message_step(world)['id']}"
        answer = world.ask(method, f"{path}?include%5B%5D=everything", body)
        require(400, answer.status, "the status")
        message = f"Invalid value: 'everything'. Supported values are: '{CONTENT}'."
        require_fields({"message": message, "code": "invalid_value"}, answer.body["error"])

    yield refuses(operation, "any other value (E27)", judge, "include[]")


def message_step(world: World) -> dict[str, Any]:
    (only,) = world.get(path_of(world.completed_run, "/steps"))["data"]
    found: dict[str, Any] = only
    return found
