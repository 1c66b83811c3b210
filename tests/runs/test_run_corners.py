"""Corners of the run routes: what is shown when, what is refused in which state, what a reading ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.models import Assistant
from inference.models import RegisteredModel
from runs.models import Run, RunConfiguration, RunStep
from runs.services import control, creation
from runs.services.leases import claim
from runs.states import ACTIVE, TERMINAL, Status
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database, now
from sovereign.core.errors import ApiError
from tests.runs.support import (
    WEATHER,
    Model,
    age_run,
    call,
    end,
    ended,
    outputs_for,
    payloads,
    text,
    until,
    working,
)
from threads import services as threads
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db

RUN_KEYS = (
    "id object created_at assistant_id thread_id status started_at expires_at cancelled_at failed_at completed_at "
    "required_action last_error model instructions tools tool_resources metadata temperature top_p reasoning_effort "
    "max_completion_tokens max_prompt_tokens truncation_strategy incomplete_details usage response_format tool_choice "
    "parallel_tool_calls status_details"
)
STEP_KEYS = (
    "id object created_at run_id assistant_id thread_id type status cancelled_at completed_at expires_at "
    "expired_at failed_at last_error step_details usage metadata"
)
TOO_LONG = (
    "Invalid '{}': array too long. Expected an array with maximum length {}, but got an array with length {} instead."
)
FOUND_CONTENT = "step_details.tool_calls[*].file_search.results[*].content"


@pytest.fixture
def post(api: APIClient) -> Callable[..., Any]:
    return lambda path, body=None: api.post(f"/v1/{path}", body if body is not None else {}, format="json")


def path_of(run: Run) -> str:
    return f"threads/{run.thread_id}/runs/{run.id}"


def put_into(run: Run, status: str) -> None:
    """A run in any state, as a worker or a client could have left it."""
    Run.objects.filter(pk=run.pk).update(status=status)
    Thread.objects.filter(pk=run.thread_id).update(active_run_id=run.pk if status in ACTIVE else None)


def message_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["message"]


# ------------------------------------------------------------------------------------------------ shapes


def test_the_keys_stand_in_the_services_order(api: APIClient, begin: Callable[..., Run]) -> None:
    run = begin()
    assert " ".join(api.get(f"/v1/{path_of(run)}").json()) == RUN_KEYS
    RunStep.objects.create(
        run=run, position=1, type="tool_calls", step_details={"type": "tool_calls", "tool_calls": []}
    )
    (step,) = api.get(f"/v1/{path_of(run)}/steps").json()["data"]
    assert " ".join(step) == STEP_KEYS


def test_a_run_lives_ten_minutes_to_the_second_however_long_it_takes_to_make(
    api: APIClient, begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    add = threads.add_messages

    def add_slowly(thread: Thread, drafts: Any) -> list[Message]:
        monkeypatch.setattr(creation, "now", lambda: now() + timedelta(seconds=17))
        return add(thread, drafts)

    monkeypatch.setattr(threads, "add_messages", add_slowly)
    shown = api.get(f"/v1/{path_of(begin())}").json()
    assert shown["expires_at"] == shown["created_at"] + 600


@pytest.mark.parametrize("status", Status.values)
def test_what_a_state_shows(api: APIClient, begin: Callable[..., Run], status: str) -> None:
    run = begin()
    put_into(run, status)
    answer = api.get(f"/v1/{path_of(run)}")
    shown, over = answer.json(), status in TERMINAL
    assert shown["status"] == status
    assert (shown["expires_at"] is None) == over
    assert (shown["usage"] is not None) == over
    assert ("openai-poll-after-ms" in answer) == (not over)


@pytest.mark.django_db(transaction=True)
async def test_a_start_is_kept_while_queued_again_and_then_renewed(
    model: Model, begin: Callable[..., Run], tooled: Assistant, post: Callable[..., Any], api: APIClient
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather"), end("tool_calls"))
    async with working():
        waiting = await ended(run.id)
    started = waiting.started_at
    await in_database(lambda: Run.objects.filter(pk=run.pk).update(started_at=run.created_at))
    outputs = {"tool_outputs": outputs_for(waiting)}
    answer = (await in_database(post, f"{path_of(run)}/submit_tool_outputs", outputs)).json()
    assert (answer["status"], answer["required_action"], answer["usage"]) == ("queued", None, None)
    assert answer["started_at"] == int(run.created_at.timestamp())
    assert answer["expires_at"] == int(run.expires_at.timestamp())  # not reset
    model.answers(*text("Done"), end())
    async with working():
        over = await until(lambda: Run.objects.filter(pk=run.pk, status="completed").first())
    assert over.started_at >= started
    steps = (await in_database(api.get, f"/v1/{path_of(run)}/steps?order=asc")).json()["data"]
    ((asked,),) = [step["step_details"]["tool_calls"] for step in steps if step["type"] == "tool_calls"]
    assert asked["function"]["output"] == "0"
    assert (steps[0]["status"], steps[0]["expires_at"]) == ("completed", None)
    assert steps[0]["completed_at"] is not None
    told = await in_database(payloads, run.id, "run.step.completed")
    assert [step["expires_at"] for step in told] == [int(run.expires_at.timestamp())] * 2


@pytest.mark.django_db(transaction=True)
async def test_a_prompt_that_was_refused_is_a_steps_server_error(
    model: Model, begin: Callable[..., Run], api: APIClient
) -> None:
    """The contract's steps know no ``invalid_prompt``."""
    from inference.chat import InferenceError

    run = await in_database(begin)
    model.answers(*text("Once"), InferenceError("It does not fit.", "invalid_prompt"))
    async with working():
        over = await ended(run.id)
    (step,) = (await in_database(api.get, f"/v1/{path_of(run)}/steps")).json()["data"]
    assert over.last_error == {"code": "invalid_prompt", "message": "It does not fit."}
    assert step["last_error"] == {"code": "server_error", "message": "It does not fit."}


# ------------------------------------------------------------------------------------------------ making runs

OVERRIDES = {
    "model": "tiny",
    "instructions": "Other.",
    "temperature": 0.5,
    "top_p": 0.25,
    "reasoning_effort": "low",
    "max_prompt_tokens": 256,
    "max_completion_tokens": 1000,
    "truncation_strategy": {"type": "last_messages", "last_messages": 3},
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    "metadata": {"k": "v"},
}


def test_a_thread_and_its_run_with_everything(post: Callable[..., Any], assistant: Assistant) -> None:
    thread = {
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "metadata": {"n": "1"}}],
        "metadata": {"topic": "weather"},
    }
    body = {**OVERRIDES, "assistant_id": assistant.id, "thread": thread, "tools": [WEATHER], "tool_resources": None}
    shown = post("threads/runs", body).json()
    assert {name: shown[name] for name in OVERRIDES} == OVERRIDES
    made = Thread.objects.get(pk=shown["thread_id"])
    assert (made.metadata, made.active_run_id) == ({"topic": "weather"}, shown["id"])
    assert [(m.role, m.text, m.metadata) for m in Message.objects.of_thread(made.id)] == [
        ("user", "a", {}),
        ("assistant", "b", {"n": "1"}),
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("thread", [None, {}, {"messages": [{"role": "assistant", "content": "I?"}]}])
def test_a_thread_and_run_that_nobody_asked_anything_leaves_nothing(
    post: Callable[..., Any], tooled: Assistant, thread: Any
) -> None:
    answer = post("threads/runs", {"assistant_id": tooled.id, "thread": thread})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_thread")
    assert not Thread.objects.exists()


@pytest.mark.parametrize("name", ["additional_instructions", "additional_messages"])
def test_a_thread_and_run_has_nothing_additional(post: Callable[..., Any], assistant: Assistant, name: str) -> None:
    answer = post("threads/runs", {"assistant_id": assistant.id, name: None})
    assert message_of(answer) == (400, f"Unknown parameter: '{name}'.")


def test_null_overrides_nothing(post: Callable[..., Any], assistant: Assistant, thread: Thread) -> None:
    names = [*OVERRIDES, "tools", "stream", "additional_instructions", "additional_messages"]
    plain = post(f"threads/{thread.id}/runs", {"assistant_id": assistant.id, **dict.fromkeys(names)})
    assert plain.status_code == 200
    shown = plain.json()
    assert (shown["model"], shown["instructions"], shown["metadata"]) == ("tiny", "Be brief.", {})
    assert (shown["tool_choice"], shown["response_format"], shown["parallel_tool_calls"]) == ("auto", "auto", True)
    assert shown["truncation_strategy"] == {"type": "auto", "last_messages": None}


def test_a_run_has_as_many_tools_as_its_assistant(
    post: Callable[..., Any], principal: Principal, registered: RegisteredModel, thread: Thread
) -> None:
    tools = [{"type": "function", "function": {"name": f"f{number}"}} for number in range(128)]
    many = assistants.create_assistant(principal=principal, model="tiny", tools=tools)
    body: dict[str, Any] = {"assistant_id": many.id}
    refused = post(f"threads/{thread.id}/runs", {**body, "tools": tools[:21]})
    assert message_of(refused) == (400, TOO_LONG.format("tools", 20, 21))
    assert len(post(f"threads/{thread.id}/runs", body).json()["tools"]) == 128


def test_messages_and_outputs_of_one_request_are_bounded(
    post: Callable[..., Any], begin: Callable[..., Run], assistant: Assistant, thread: Thread
) -> None:
    body = {"assistant_id": assistant.id, "additional_messages": [{"role": "user", "content": "x"}] * 1_001}
    refused = message_of(post(f"threads/{thread.id}/runs", body))
    assert refused == (400, TOO_LONG.format("additional_messages", 1_000, 1_001))
    assert Message.objects.count() == 1
    outputs = [{"tool_call_id": f"call_{number}", "output": ""} for number in range(129)]
    refused = message_of(post(f"{path_of(begin())}/submit_tool_outputs", {"tool_outputs": outputs}))
    assert refused == (400, TOO_LONG.format("tool_outputs", 128, 129))


# ------------------------------------------------------------------------------------------------ queries

GOOD = [
    f"?include[]={FOUND_CONTENT}",
    "?include[]=step_details.tool_calls%5B%2A%5D.file_search.results%5B%2A%5D.content",
    f"?include={FOUND_CONTENT}",
    f"?include[]={FOUND_CONTENT}&include[]={FOUND_CONTENT}",
    "",
]


@pytest.mark.parametrize(
    "query", [*GOOD, "?include[]=everything", f"?include={FOUND_CONTENT}&include=x", "?include[]="]
)
def test_include_is_checked(api: APIClient, begin: Callable[..., Run], assistant: Assistant, query: str) -> None:
    run = begin()
    step = RunStep.objects.create(run=run, position=1, type="tool_calls", step_details={"type": "tool_calls"})
    put_into(run, "completed")
    answers = [
        api.get(f"/v1/{path_of(run)}/steps{query}"),
        api.get(f"/v1/{path_of(run)}/steps/{step.id}{query}"),
        api.post(f"/v1/threads/{run.thread_id}/runs{query}", {"assistant_id": assistant.id}, format="json"),
    ]
    assert {answer.status_code for answer in answers} == {200 if query in GOOD else 400}
    if query not in GOOD:
        for answer in answers:
            error = answer.json()["error"]
            assert (error["param"], error["code"]) == ("include", "invalid_value")
        assert Run.objects.count() == 1


@pytest.mark.parametrize("value", ["1", "True", "yes", ""])
def test_stream_is_true_or_false(api: APIClient, begin: Callable[..., Run], value: str) -> None:
    error = api.get(f"/v1/{path_of(begin())}?stream={value}").json()["error"]
    assert (error["param"], error["code"]) == ("stream", "invalid_value")


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9999999999", "٣", "1e3"])
@pytest.mark.parametrize("way", ["query", "header"])
def test_a_cursor_is_a_number(api: APIClient, begin: Callable[..., Run], value: str, way: str) -> None:
    path = f"/v1/{path_of(begin())}?stream=true"
    if way == "query":
        answer = api.get(path, {"stream": "true", "starting_after": value})
    else:
        answer = api.get(path, headers={"Last-Event-ID": value})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "starting_after", "invalid_value")


def test_steps_have_pages(api: APIClient, begin: Callable[..., Run]) -> None:
    run = begin()
    made = [
        RunStep.objects.create(run=run, position=number, type="tool_calls", step_details={"type": "tool_calls"}).id
        for number in range(1, 6)
    ]

    def page(query: str) -> tuple[list[str], bool]:
        body = api.get(f"/v1/{path_of(run)}/steps?{query}").json()
        return [step["id"] for step in body["data"]], body["has_more"]

    assert page("limit=2") == (made[:2:-1], True)
    assert page(f"limit=3&after={made[3]}") == (made[2::-1], False)
    assert page(f"order=asc&limit=2&after={made[0]}") == (made[1:3], True)
    assert page(f"order=asc&before={made[2]}") == (made[:2], False)


# ------------------------------------------------------------------------------------------------ states


@pytest.mark.parametrize("status", Status.values)
def test_what_may_be_done_in_a_state(begin: Callable[..., Run], post: Callable[..., Any], status: str) -> None:
    run = begin()
    put_into(run, status)
    path = path_of(run)
    if status != "requires_action":
        refused = post(f"{path}/submit_tool_outputs", {"tool_outputs": [{"tool_call_id": "call_x", "output": ""}]})
        assert message_of(refused) == (400, f'Runs in status "{status}" do not accept tool outputs.')
    changed = post(path, {"metadata": {"a": "b"}})
    assert (changed.status_code, changed.json()["metadata"]) == (200, {"a": "b"})
    assert post(path, {"metadata": None}).json()["metadata"] == {}
    answer = post(f"{path}/cancel")
    if status in ("queued", "in_progress", "requires_action"):
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelling")
    else:
        assert message_of(answer) == (400, f"Cannot cancel run with status '{status}'.")


# ------------------------------------------------------------------------------------------------ lazy expiry


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/v1/threads/{thread}/runs", 200),
        ("get", "/v1/threads/{thread}/runs/{run}", 200),
        ("get", "/v1/threads/{thread}/runs/{run}/steps", 200),
        ("get", "/v1/threads/{thread}/runs/{run}/steps/{step}", 200),
        ("post", "/v1/threads/{thread}/runs/{run}", 200),
        ("post", "/v1/threads/{thread}/runs/{run}/cancel", 400),
        ("post", "/v1/threads/{thread}/runs/{run}/submit_tool_outputs", 400),
        ("post", "/v1/threads/{thread}/runs", 200),
    ],
)
def test_whoever_comes_to_an_overdue_run_finds_it_expired(
    model: Model, api: APIClient, begin: Callable[..., Run], assistant: Assistant, method: str, path: str, status: int
) -> None:
    run = begin()
    assert len(claim(worker_id="a", limit=1)) == 1
    details = {"type": "tool_calls", "tool_calls": []}
    step = RunStep.objects.create(run=run, position=1, type="tool_calls", step_details=details)
    age_run(run.id)
    bodies: dict[str, Any] = {"runs": {"assistant_id": assistant.id}, "submit_tool_outputs": {"tool_outputs": []}}
    body = bodies.get(path.rsplit("/", 1)[-1], {})
    url = path.format(thread=run.thread_id, run=run.id, step=step.id)
    answer = api.get(url) if method == "get" else api.post(url, body, format="json")
    assert answer.status_code == status
    run.refresh_from_db()
    step.refresh_from_db()
    assert (run.status, step.status) == ("expired", "expired")
    assert step.expired_at <= now()
    following = Thread.objects.get(pk=run.thread_id).active_run_id
    assert following == (answer.json()["id"] if path.endswith("/runs") and method == "post" else None)


@pytest.mark.django_db(transaction=True)
def test_a_service_alone_expires_an_overdue_run_and_refuses_it(principal: Principal, begin: Callable[..., Run]) -> None:
    run = begin()
    age_run(run.id)
    with pytest.raises(ApiError, match="Cannot cancel run with status 'expired'"):
        control.cancel_run(principal=principal, thread_id=run.thread_id, run_id=run.id)
    assert Run.objects.get(pk=run.pk).status == "expired"


@pytest.mark.parametrize(("action", "body"), [("", {"metadata": {"a": "b"}}), ("/cancel", {})])
def test_a_change_reads_the_run_with_its_configuration_once(
    post: Callable[..., Any], begin: Callable[..., Run], action: str, body: Any
) -> None:
    run = begin()
    with CaptureQueriesContext(connection) as queries:
        assert post(path_of(run) + action, body).status_code == 200
    table = RunConfiguration._meta.db_table
    assert len([query for query in queries if table in query["sql"]]) == 1


@pytest.mark.parametrize("accept", ["text/event-stream", "text/plain", "application/json", "image/png"])
def test_the_accept_header_decides_nothing(api: APIClient, begin: Callable[..., Run], accept: str) -> None:
    path = f"/v1/{path_of(begin())}"
    for query, status in (("", 200), ("?stream=x", 400)):
        answer = api.get(path + query, headers={"Accept": accept})
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/json")
