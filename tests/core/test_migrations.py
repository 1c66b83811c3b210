"""Migrations run forward, back and forward, on tables that hold something, and say what the models say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from rest_framework.test import APIClient

from assistants.catalog.models import Function, McpServer
from assistants.models import Assistant
from inference.models import RegisteredModel
from runs.models import Feedback, RunEvent, RunStep
from sovereign.accounts.models import Project
from sovereign.core.database import is_migrated, now
from threads.models import Message

ROOMS = ("runs", "threads", "assistants", "catalog", "knowledge", "inference")
FIRST = ("runs", "threads", "assistants", "accounts")  # whose first migration is the oldest release; the rest goes

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
    if not is_migrated():
        call_command("migrate", verbosity=0)


def migrate(targets: dict[str, str | None]) -> None:
    """Have these apps at these migrations, by the beginning of their names; None is before the first.

    As the command does it, but in one plan, and without its signals.
    """
    executor = MigrationExecutor(connection)
    found = {app: name and executor.loader.get_migration_by_prefix(app, name).name for app, name in targets.items()}
    executor.migrate(list(found.items()))


@contextmanager
def put_back() -> Iterator[None]:
    """The database is afterwards what it was before."""
    connection.ensure_connection()
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(":memory:")) as copy:
            connection.connection.backup(copy)
            yield
            copy.backup(connection.connection)
        return
    name = connection.settings_dict["NAME"]
    administer(f'DROP DATABASE IF EXISTS "{name}_copy"', f'CREATE DATABASE "{name}_copy" TEMPLATE "{name}"')
    yield
    administer(f'DROP DATABASE "{name}" WITH (FORCE)', f'ALTER DATABASE "{name}_copy" RENAME TO "{name}"')


def administer(*statements: str) -> None:
    """What may be done to a database that nobody uses."""
    connection.close()
    connection.close_pool()
    with connection._nodb_cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


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


def fill_what_came_later(api: APIClient, project: Project) -> None:
    """What the first release had no place for, and what is deleted on the way back."""
    assistant = api.post("/v1/assistants", {"model": "tiny"}, format="json").json()
    body = {"assistant_id": assistant["id"], "thread": {"messages": [{"role": "user", "content": "Hello?"}]}}
    run = api.post("/v1/threads/runs", body, format="json").json()
    withdrawn = {"key_id": "key_1", "rating": "", "counted": "up"}
    Feedback.objects.create(project=project, run_id=run["id"], **withdrawn)
    function = Function.objects.create(project=project, name="look_up")
    server = McpServer.objects.create(project=project, label="tools", url="https://tools.example.org/mcp")
    entry = {"type": "mcp", "server_id": server.pk, "tools": None}
    Assistant.objects.filter(pk=assistant["id"]).update(functions=[function.pk], server_tools=[entry])


def shown(api: APIClient, project: Project, paths: list[str]) -> list[Any]:
    answers = [api.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200] * len(paths)
    events = RunEvent.objects.filter(run__project=project).order_by("seq")
    return [answer.json() for answer in answers] + list(events.values())


@pytest.mark.django_db(transaction=True)
def test_every_migration_goes_back_and_what_the_first_release_held_is_kept_by_all_since(
    api: APIClient, project: Project, outsider: APIClient, charlies_project: Project, back_again: None
) -> None:
    """From nothing to now they have been taken before every test: the tables are a copy of that."""
    paths = fill(api)
    fill_what_came_later(outsider, charlies_project)
    before = shown(api, project, paths)
    migrate(dict.fromkeys(FIRST, "0001"))
    assert not is_migrated()
    with put_back():
        migrate(dict.fromkeys(ROOMS))
        assert not {table for table in connection.introspection.table_names() if table.startswith(ROOMS)}
    call_command("migrate", verbosity=0)
    assert is_migrated()
    assert shown(api, project, paths) == before


@pytest.mark.django_db
def test_models_and_migrations_agree() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)  # exits with 1 where they do not
    assert is_migrated()
