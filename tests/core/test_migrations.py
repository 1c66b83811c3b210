"""Migrations run forward, back and forward, on tables that hold something, and say what the models say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from assistants.catalog.models import Function, McpServer
from assistants.models import Assistant
from inference.models import RegisteredModel
from runs.models import RunEvent, RunStep
from sovereign.accounts.models import Project
from sovereign.core.database import is_migrated, now
from threads.models import Message

ROOMS = ("runs", "threads", "assistants", "catalog", "knowledge", "inference")
FIRST = ("runs", "threads", "assistants", "accounts", "inference")  # apps whose first migration is the oldest release

FUNCTION = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Über das Wetter ☂",
        "parameters": {"type": "object", "required": ["a"], "properties": {"b": {}, "a": {"enum": ["x", None, 1.5]}}},
        "strict": False,
    },
}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}}}
CALLS = [{"id": "call_x", "type": "function", "function": {"name": "weather", "arguments": "{}", "output": None}}]


@pytest.fixture
def back_again() -> Iterator[None]:
    """Whatever a test did to the tables, the next one finds them as they are now."""
    yield
    call_command("migrate", verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_every_room_goes_back_and_forward_again(api: APIClient) -> None:
    RegisteredModel.objects.create(name="tiny", created_at=now())
    assistant = api.post("/v1/assistants", {"model": "tiny"}, format="json").json()
    thread = {"messages": [{"role": "user", "content": "Hello?"}]}
    body = {"assistant_id": assistant["id"], "thread": thread}
    assert api.post("/v1/threads/runs", body, format="json").status_code == 200
    project = Project.objects.get()
    function = Function.objects.create(project=project, name="look_up")
    server = McpServer.objects.create(project=project, label="tools", url="https://tools.example.org/mcp")
    entry = {"type": "mcp", "server_id": server.pk, "tools": None}
    Assistant.objects.update(functions=[function.pk], server_tools=[entry])
    try:
        for room in ROOMS:
            call_command("migrate", room, "zero", verbosity=0)
        assert not is_migrated()
    finally:
        call_command("migrate", verbosity=0)
    assert is_migrated()
    assert not RegisteredModel.objects.exists()


def fill(api: APIClient) -> list[str]:
    """Objects of every kind, with something in every column of JSON; the addresses that show them."""
    RegisteredModel.objects.create(name="tiny", created_at=now())
    metadata = {"z": "1", "a": "2"}

    def post(path: str, body: dict[str, Any]) -> str:
        answer = api.post(f"/v1/{path}", body, format="json", HTTP_IDEMPOTENCY_KEY=path)
        assert answer.status_code == 200, answer.content
        identifier: str = answer.json()["id"]
        return identifier

    body: dict[str, Any] = {"model": "tiny", "tools": [FUNCTION], "metadata": metadata, "reasoning_effort": "max"}
    assistant = post("assistants", {**body, "response_format": SCHEMA})
    said = [{"role": "user", "content": "Hello?", "metadata": metadata}, {"role": "assistant", "content": "Yes?"}]
    thread = post("threads", {"messages": said, "metadata": metadata})
    run = post(f"threads/{thread}/runs", {"assistant_id": assistant, "metadata": metadata, "tool_choice": "required"})
    RunStep.objects.create(
        run_id=run, position=1, type="tool_calls", step_details={"type": "tool_calls", "tool_calls": CALLS}
    )
    Message.objects.filter(thread_id=thread, role="assistant").update(run_id=run)
    runs = f"/v1/threads/{thread}/runs"
    return [
        "/v1/assistants",
        f"/v1/assistants/{assistant}",
        f"/v1/threads/{thread}",
        f"/v1/threads/{thread}/messages",
        f"/v1/threads/{thread}/messages?run_id={run}",
        runs,
        f"{runs}/{run}",
        f"{runs}/{run}/steps",
    ]


def shown(api: APIClient, paths: list[str]) -> list[Any]:
    answers = [api.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200] * len(paths)
    return [answer.json() for answer in answers] + list(RunEvent.objects.order_by("seq").values())


@pytest.mark.django_db(transaction=True)
def test_what_the_first_release_held_is_kept_by_every_migration_since(api: APIClient, back_again: None) -> None:
    paths = fill(api)
    before = shown(api, paths)
    for app in FIRST:
        call_command("migrate", app, "0001", verbosity=0)
    assert not is_migrated()
    call_command("migrate", verbosity=0)
    assert is_migrated()
    assert shown(api, paths) == before


@pytest.mark.django_db
def test_models_and_migrations_agree() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)  # exits with 1 where they do not
    assert is_migrated()
