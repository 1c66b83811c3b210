"""Runs of a project whose use is limited: they wait for their turn, and fail where no token is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from assistants.models import Assistant
from inference import gateway
from inference.models import UsageRecord
from runs.models import Run
from runs.services import creation
from runs.worker import execution
from sovereign.accounts import services as accounts
from sovereign.accounts.models import ApiKey, Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.services.quotas import Limits
from sovereign.core.database import in_database
from tests.inference.conftest import Asked, Upstream, answer, until
from tests.inference.helpers import ready_engine
from tests.runs.support import working

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def engine(registered: object) -> AsyncIterator[Upstream]:
    server = Upstream()
    await server.start()
    await in_database(ready_engine, server.url, "tiny")
    yield server
    await gateway.close()
    await server.stop()


@pytest.fixture
def start(principal: Principal, assistant: Assistant) -> Callable[[], Run]:
    """A run on a thread of its own."""
    thread = {"messages": [{"role": "user", "content": "Hello?"}]}
    return lambda: creation.create_thread_and_run(principal=principal, assistant_id=assistant.id, thread=thread).run


async def ended(*runs: Run) -> list[str]:
    """How the runs ended."""

    async def over() -> bool:
        for run in runs:
            await in_database(run.refresh_from_db)
        return all(run.status in ("completed", "failed", "expired") for run in runs)

    await until(over)
    return [run.status for run in runs]


async def test_runs_wait_for_their_turn(
    engine: Upstream, start: Callable[[], Run], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "TURN_PAUSE", 0.02)
    monkeypatch.setattr(execution, "ENGINE_PATIENCE", 0.0)
    await in_database(accounts.set_project_limits, project=project, limits=Limits(concurrent_calls=1))
    at_once, most, begun, opened = 0, 0, asyncio.Event(), asyncio.Event()

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        begun.set()
        await opened.wait()
        writer.write(answer("Hello"))
        at_once -= 1

    engine.script = script
    runs = [await in_database(start) for _ in range(4)]
    async with working():
        await asyncio.wait_for(begun.wait(), 60)
        opened.set()
        assert await ended(*runs) == ["completed"] * 4
    assert (most, len(engine.requests)) == (1, 4)
    await until(lambda: in_database(lambda: UsageRecord.objects.count() == 4))  # no answer waits long for its record
    rows = await in_database(lambda: list(UsageRecord.objects.values_list("run_id", "purpose", "project_id")))
    assert sorted(rows) == sorted((run.id, "run", project.pk) for run in runs)


async def test_without_tokens_a_run_fails_and_says_so(
    engine: Upstream, start: Callable[[], Run], project: Project
) -> None:
    await in_database(accounts.set_project_limits, project=project, limits=Limits(tokens_per_minute=1))
    run = await in_database(start)
    async with working():
        assert await ended(run) == ["failed"]
    assert run.last_error is not None
    assert run.last_error["code"] == "rate_limit_exceeded"
    assert "tokens per min" in run.last_error["message"]
    assert not engine.requests


@pytest.mark.parametrize("whose", ["project", "API key"])
async def test_runs_that_have_to_wait_are_left_in_the_queue(
    engine: Upstream, start: Callable[[], Run], project: Project, principal: Principal, whose: str
) -> None:
    """One project's crowd must not fill the workers' places."""
    await in_database(limit_calls, project, principal, whose)
    opened = asyncio.Event()

    async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await opened.wait()
        writer.write(answer("Hello"))

    engine.script = script
    first = await in_database(start)
    async with working():
        await until(lambda: engine.requests)
        second = await in_database(start)

        async def told() -> bool:
            await in_database(second.refresh_from_db)
            return bool(second.waiting_reason)

        await until(told)
        assert (second.status, second.lease_owner) == ("queued", None)
        assert second.waiting_reason == f"As many model calls of this {whose} run as may at once."
        opened.set()
        assert await ended(first, second) == ["completed", "completed"]


def limit_calls(project: Project, principal: Principal, whose: str) -> None:
    limits = Limits(concurrent_calls=1)
    if whose == "project":
        accounts.set_project_limits(project=project, limits=limits)
    else:
        accounts.set_key_limits(key=ApiKey.objects.get(pk=principal.key_id), limits=limits)
