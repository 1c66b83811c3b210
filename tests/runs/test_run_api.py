"""The run routes over HTTP: shapes, refusals, lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.models import Assistant
from runs.api.objects import RunObject, StepObject
from runs.models import Run, RunStep
from sovereign.core.database import in_database
from tests.runs.support import Model, call, end, ended, text, working
from threads.models import Thread

pytestmark = pytest.mark.django_db

FUNCTION = {"type": "function", "function": {"name": "f"}}


@pytest.fixture
def post(api: APIClient) -> Callable[..., Any]:
    return lambda path, body=None: api.post(f"/v1/{path}", body if body is not None else {}, format="json")


def test_a_run_has_every_field_of_the_contract(
    post: Callable[..., Any], api: APIClient, assistant: Assistant, thread: Thread
) -> None:
    answer = post(f"threads/{thread.id}/runs", {"assistant_id": assistant.id, "metadata": {"a": "b"}})
    assert answer.status_code == 200
    assert answer["openai-poll-after-ms"] == "500"
    body = answer.json()
    assert list(body) == list(RunObject().fields)
    run = Run.objects.get()
    assert body == {
        "id": run.id,
        "object": "thread.run",
        "created_at": int(run.created_at.timestamp()),
        "assistant_id": assistant.id,
        "thread_id": thread.id,
        "status": "queued",
        "started_at": None,
        "expires_at": int(run.expires_at.timestamp()),
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "model": "tiny",
        "instructions": "Be brief.",
        "tools": [],
        "tool_resources": {},
        "metadata": {"a": "b"},
        "temperature": 1.0,
        "top_p": 1.0,
        "reasoning_effort": None,
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "incomplete_details": None,
        "usage": None,
        "response_format": "auto",
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "status_details": None,
    }
    assert api.get(f"/v1/threads/{thread.id}/runs/{run.id}").json() == body


def test_a_run_without_instructions_has_empty_ones(post: Callable[..., Any], tooled: Assistant, thread: Thread) -> None:
    assert post(f"threads/{thread.id}/runs", {"assistant_id": tooled.id}).json()["instructions"] == ""


def test_overrides_are_shown(post: Callable[..., Any], assistant: Assistant) -> None:
    overrides = {
        "model": "tiny",
        "temperature": 0.5,
        "top_p": 0.25,
        "reasoning_effort": "low",
        "max_prompt_tokens": 256,
        "max_completion_tokens": 1000,
        "truncation_strategy": {"type": "last_messages", "last_messages": 3},
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_object"},
        "metadata": {"k": "v"},
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }
    answer = post("threads/runs", {"assistant_id": assistant.id, **overrides})
    assert answer.status_code == 200, answer.json()
    body = answer.json()
    normal = {"description": None, "parameters": {"type": "object", "properties": {}}, "strict": False}
    overrides["tools"] = [{"type": "function", "function": {"name": "f", **normal}}]
    assert {name: body[name] for name in overrides} == overrides


@pytest.mark.parametrize(
    ("body", "param", "code", "message"),
    [
        ({}, "assistant_id", "missing_required_parameter", "Missing required parameter: 'assistant_id'."),
        (
            {"assistant_id": "x"},
            "assistant_id",
            "invalid_value",
            "Invalid 'assistant_id': 'x'. Expected an ID that begins with 'asst'.",
        ),
        ({"max_prompt_tokens": 255}, "max_prompt_tokens", "integer_below_min_value", None),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens", "invalid_type", None),
        ({"tools": [FUNCTION] * 21}, "tools", "array_above_max_length", None),
        ({"tool_choice": "sometimes"}, "tool_choice", "invalid_value", None),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function", "missing_required_parameter", None),
        (
            {"tool_choice": {"type": "code_interpreter", "function": {"name": "f"}}},
            "tool_choice.function",
            "invalid_value",
            "Invalid 'tool_choice.function': only the type 'function' names one.",
        ),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            "tool_choice",
            "invalid_value",
            "Invalid 'tool_choice': the function 'f' is not among the run's tools.",
        ),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "g"}}},
            "tool_choice",
            "invalid_value",
            "Invalid 'tool_choice': the function 'g' is not among the run's tools.",
        ),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "file_search"}},
            "tool_choice",
            "invalid_value",
            "Invalid 'tool_choice': the tool 'file_search' is not among the run's tools.",
        ),
        ({"truncation_strategy": {}}, "truncation_strategy.type", "missing_required_parameter", None),
        (
            {"truncation_strategy": {"type": "last_messages"}},
            "truncation_strategy.last_messages",
            "missing_required_parameter",
            None,
        ),
        (
            {"truncation_strategy": {"type": "last_messages", "last_messages": 0}},
            "truncation_strategy.last_messages",
            "integer_below_min_value",
            None,
        ),
        ({"stream": "yes"}, "stream", "invalid_type", None),
        ({"temperature": 2.1}, "temperature", "decimal_above_max_value", None),
        (
            {"additional_messages": [{"role": "system", "content": "x"}]},
            "additional_messages[0].role",
            "invalid_value",
            "Invalid value: 'system'. Supported values are: 'user' and 'assistant'.",
        ),
        ({"thread": {}}, "thread", "unknown_parameter", "Unknown parameter: 'thread'."),
    ],
)
def test_bad_requests_name_the_parameter(
    post: Callable[..., Any],
    assistant: Assistant,
    thread: Thread,
    body: dict[str, Any],
    param: str,
    code: str,
    message: str | None,
) -> None:
    given = body if param == "assistant_id" else {"assistant_id": assistant.id, **body}
    answer = post(f"threads/{thread.id}/runs", given)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert message is None or error["message"] == message
    assert not Run.objects.exists()


def test_a_run_of_an_unknown_assistant_or_thread_is_404(
    post: Callable[..., Any], assistant: Assistant, thread: Thread
) -> None:
    answer = post("threads/runs", {"assistant_id": "nobody"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        400,
        "Invalid 'assistant_id': 'nobody'. Expected an ID that begins with 'asst'.",
    )
    answer = post(f"threads/{thread.id}/runs", {"assistant_id": "asst_nobody"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "No assistant found with id 'asst_nobody'.")
    answer = post("threads/thread_nowhere/runs", {"assistant_id": assistant.id})
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "No thread found with id 'thread_nowhere'.")


def test_runs_are_listed_newest_first_and_paginate(
    post: Callable[..., Any], api: APIClient, assistant: Assistant, thread: Thread
) -> None:
    made = []
    for _ in range(3):
        made.append(post(f"threads/{thread.id}/runs", {"assistant_id": assistant.id}).json()["id"])
        post(f"threads/{thread.id}/runs/{made[-1]}/cancel")
        from runs.services.reaping import reap

        reap()
    page = api.get(f"/v1/threads/{thread.id}/runs?limit=2").json()
    assert ([run["id"] for run in page["data"]], page["has_more"]) == (made[:0:-1], True)
    rest = api.get(f"/v1/threads/{thread.id}/runs?limit=2&after={page['last_id']}").json()
    assert ([run["id"] for run in rest["data"]], rest["has_more"]) == (made[:1], False)
    assert rest["data"][0]["status"] == "cancelled"
    assert rest["data"][0]["expires_at"] is None


def test_ids_are_opaque(post: Callable[..., Any], assistant: Assistant, thread: Thread) -> None:
    """What came from another server keeps the id that it had there."""
    project, model = assistant.project, assistant.model
    foreign = Assistant.objects.create(id="of-another-house", project=project, model=model, instructions="Answer.")
    for path in (f"threads/{thread.id}/runs", "threads/runs"):
        assert post(path, {"assistant_id": foreign.id}).json()["assistant_id"] == foreign.id


def test_metadata_is_the_one_thing_to_modify(post: Callable[..., Any], assistant: Assistant, thread: Thread) -> None:
    run = post(f"threads/{thread.id}/runs", {"assistant_id": assistant.id, "metadata": {"a": "b"}}).json()
    changed = post(f"threads/{thread.id}/runs/{run['id']}", {"metadata": {"c": "d"}}).json()
    assert changed == {**run, "metadata": {"c": "d"}}
    assert post(f"threads/{thread.id}/runs/{run['id']}", {}).json() == changed
    assert post(f"threads/{thread.id}/runs/{run['id']}", {"metadata": None}).json() == {**run, "metadata": {}}
    refused = post(f"threads/{thread.id}/runs/{run['id']}", {"status": "completed"})
    assert refused.json()["error"]["message"] == "Unknown parameter: 'status'."


def test_cancel_and_submit_say_what_is_wrong(post: Callable[..., Any], assistant: Assistant, thread: Thread) -> None:
    path = f"threads/{thread.id}/runs/{post(f'threads/{thread.id}/runs', {'assistant_id': assistant.id}).json()['id']}"
    early = post(f"{path}/submit_tool_outputs", {"tool_outputs": []})
    assert early.json()["error"]["message"] == 'Runs in status "queued" do not accept tool outputs.'
    missing = post(f"{path}/submit_tool_outputs")
    assert missing.json()["error"]["param"] == "tool_outputs"
    assert post(f"{path}/submit_tool_outputs", {"tool_outputs": [{"tool_call_id": 1}]}).json()["error"]["param"] == (
        "tool_outputs[0].tool_call_id"
    )
    cancelling = post(f"{path}/cancel")
    assert (cancelling.status_code, cancelling.json()["status"]) == (200, "cancelling")
    again = post(f"{path}/cancel")
    assert (again.status_code, again.json()["error"]["message"]) == (
        400,
        "Cannot cancel run with status 'cancelling'.",
    )


@pytest.mark.django_db(transaction=True)
async def test_steps_have_every_field_and_are_listed_newest_first(
    model: Model, begin: Callable[..., Run], tooled: Assistant, api: APIClient
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*text("Look:"), *call(0, "weather"), end("tool_calls"))
    async with working():
        await ended(run.id)

    def look() -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        path = f"/v1/threads/{run.thread_id}/runs/{run.id}/steps"
        listed = api.get(path).json()
        one = api.get(f"{path}/{listed['first_id']}").json()
        return listed, one, list(RunStep.objects.order_by("position").values_list("id", flat=True))

    listed, one, ids = await in_database(look)
    assert [step["id"] for step in listed["data"]] == ids[::-1]
    assert listed["has_more"] is False
    assert one == listed["data"][0]
    assert set(one) == set(StepObject().fields)
    assert (one["type"], one["status"], one["usage"]) == ("tool_calls", "in_progress", None)
    assert one["expires_at"] == int(run.expires_at.timestamp())
    text_step = listed["data"][1]
    assert (text_step["status"], text_step["expires_at"]) == ("completed", None)
    unknown = await in_database(api.get, f"/v1/threads/{run.thread_id}/runs/{run.id}/steps/step_123")
    assert (unknown.status_code, unknown.json()["error"]["message"]) == (404, "No run step found with id 'step_123'.")
