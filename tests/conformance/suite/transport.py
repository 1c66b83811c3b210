"""How requests and answers travel, whatever the operation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from tests.conformance.expectations import Expectation, Refusal, Side
from tests.conformance.matching import Mismatch, Text, require, require_fields
from tests.conformance.objects import ASSISTANT_ID, MESSAGE_ID, RUN_ID, STEP_ID, THREAD_ID
from tests.conformance.reasons import IDEMPOTENCY, IDS, KEY_PAGE, POLL_HEADER, SERVER_ERROR, Reason
from tests.conformance.suite.shared import INCORRECT, WRONG_KEY
from tests.conformance.wire import BETA, Answer
from tests.conformance.world import World, path_of

SECTION = "transport"
PARSING = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
)


def expectations() -> Iterator[Expectation]:
    def row(subject: str, label: str, judge: Callable[[World], None], reason: Reason | None = None) -> Expectation:
        return Expectation(operation=SECTION, subject=subject, label=label, judge=judge, reason=reason)

    yield row("`OpenAI-Beta`", "a list with `assistants=v2` in it is taken", _beta_list)
    yield row("`x-request-id`", "`req_` and 32 hex digits, on every answer and every error", _request_id)
    yield row("`openai-version`", "2020-10-01", _version)
    yield row("`Content-Type`", "application/json, of answers and of errors", _content_type)
    yield row("the body of a request", "none at all where nothing is required", _no_body)
    yield row("the body of a request", "one that is not JSON is refused", _no_json)
    yield row("the envelope of an error", "`error` with message, type, param and code, and nothing else", _envelope)
    yield row("ids", "`asst_`, `thread_`, `msg_`, `run_`, `step_`, `call_`, unique behind them", _ids, IDS)
    yield row("two equal requests", "make two objects", _two_objects)
    yield row("`Idempotency-Key`", "the same key and body: the same answer", _same_answer, IDEMPOTENCY)
    yield row("`Idempotency-Key`", "the same key and another body is refused", _other_body, IDEMPOTENCY)
    yield row("an unknown address", "404 in the envelope", _unknown_address)
    yield row("an unknown parameter in depth", "its path is told: `messages[0].id` (E21)", _unknown_in_depth)
    yield row("`openai-poll-after-ms`", "on an active run, and on no other", _poll_header, POLL_HEADER)
    yield row("a wrong key", "(E1)", _key_page, KEY_PAGE)
    yield Expectation(
        operation=SECTION,
        subject="a limit that is reached",
        label="429 in the envelope, with `retry-after` and `x-ratelimit-*`",
        judge=lambda world: None,
        side=Side.REFUSES,
        shown_by="tests/sdk/test_limits.py::test_one_too_many_is_a_rate_limit_error",
    )
    yield Expectation(
        operation=SECTION,
        subject="an unexpected error",
        label="500 in the envelope, with the request ID (E50)",
        judge=lambda world: None,
        side=Side.REFUSES,
        reason=SERVER_ERROR,
        shown_by="tests/core/test_transport.py::test_an_exception_is_told_without_its_text",
    )


def _beta_list(world: World) -> None:
    headers = {**world.wire.authorization, "OpenAI-Beta": "other=v1, assistants=v2"}
    require(200, world.ask("GET", f"/assistants/{world.assistant}", headers=headers).status, "the status")


def _request_id(world: World) -> None:
    seen = []
    for path in (f"/assistants/{world.assistant}", "/assistants/asst_x", "/nothing"):
        given = world.ask("GET", path).headers.get("x-request-id", "")
        if not re.fullmatch("req_[0-9a-f]{32}", given):
            raise Mismatch("x-request-id is not req_ and 32 hex digits")
        seen.append(given)
    require(3, len(set(seen)), "different ids")


def _version(world: World) -> None:
    answer = world.ask("GET", f"/assistants/{world.assistant}")
    require("2020-10-01", answer.headers.get("openai-version"), "openai-version")
    require(True, answer.headers.get("openai-processing-ms", "").isdigit(), "openai-processing-ms is a number")


def _content_type(world: World) -> None:
    for path in (f"/assistants/{world.assistant}", "/assistants/asst_x"):
        require("application/json", world.ask("GET", path).headers.get("content-type"), "Content-Type")


def _no_body(world: World) -> None:
    require(200, world.ask("POST", "/threads").status, "POST /threads")
    require(200, world.ask("POST", f"/threads/{world.thread}").status, "POST /threads/…")


def _no_json(world: World) -> None:
    headers = {**world.wire.authorization, **BETA, "Content-Type": "application/json"}
    Refusal(None, PARSING).verify(world.wire.raw("POST", "/v1/threads", b"{", headers))


def _envelope(world: World) -> None:
    answer = world.ask("GET", "/assistants/asst_x")
    require(["error"], list(answer.body), "the keys")
    require(["message", "type", "param", "code"], list(answer.body["error"]), "the error's keys")


def _unknown_address(world: World) -> None:
    answer = world.ask("GET", "/nothing")
    require(404, answer.status, "the status")
    require_fields({"message": "Invalid URL (GET /v1/nothing)"}, answer.body["error"])


def _unknown_in_depth(world: World) -> None:
    body = {"messages": [{"role": "user", "content": "x", "id": "y"}]}
    refusal = Refusal("unknown_parameter", "Unknown parameter: 'messages[0].id'.", "messages[0].id")
    refusal.verify(world.ask("POST", "/threads", body))


def _two_objects(world: World) -> None:
    first, second = (world.post("/threads", {"metadata": {"a": "b"}}) for _ in range(2))
    if first["id"] == second["id"]:
        raise Mismatch("both have the same id")


def _with_key(world: World, key: str, metadata: dict[str, str]) -> Answer:
    headers = {**world.wire.authorization, **BETA, "Idempotency-Key": key}
    return world.ask("POST", "/threads", {"metadata": metadata}, headers)


def _same_answer(world: World) -> None:
    key = world.unique()
    first, second = (_with_key(world, key, {"a": "b"}) for _ in range(2))
    require([200, first.body], [second.status, second.body], "the second answer")
    require(Text(), second.headers.get("idempotent-replayed"), "idempotent-replayed")


def _other_body(world: World) -> None:
    key = world.unique()
    _with_key(world, key, {"a": "b"})
    answer = _with_key(world, key, {"a": "c"})
    require([400, "idempotency_key_reused"], [answer.status, answer.body["error"]["code"]], "the second answer")


def _ids(world: World) -> None:
    run = world.completed_run
    (step,) = world.get(path_of(run, "/steps"))["data"]
    message = step["step_details"]["message_creation"]["message_id"]
    expected = [ASSISTANT_ID, THREAD_ID, RUN_ID, STEP_ID, MESSAGE_ID]
    require(expected, [world.assistant, run["thread_id"], run["id"], step["id"], message], "the ids")


def _poll_header(world: World) -> None:
    made = world.ask("POST", f"/threads/{world.new_thread()}/runs", {"assistant_id": world.assistant})
    require(True, made.headers.get("openai-poll-after-ms", "").isdigit(), "an active run has it")
    ended = world.ask("GET", path_of(world.completed_run))
    require(False, "openai-poll-after-ms" in ended.headers, "one that is over has it")


def _key_page(world: World) -> None:
    answer = world.ask("GET", f"/assistants/{world.assistant}", headers={**WRONG_KEY, **BETA})
    rest = answer.body["error"]["message"].removeprefix(INCORRECT)
    if not re.fullmatch(r"https?://\S+/admin/accounts/apikey/\.", rest):
        raise Mismatch("the sentence does not end with this server's page of keys")
