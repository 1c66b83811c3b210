"""What workers do for deployments beside runs: begun when it is time, settled once, however many workers there are."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from assistants import deployments
from assistants.deployments import activation
from assistants.models import Assistant, Deployment
from runs.lifecycle import chores, smoke
from runs.lifecycle.signals import signals_of
from runs.models import Run
from runs.worker.chores import to_its_end
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.core.database import in_database, now
from tests.runs.deploying import Status, being_tried, published
from tests.runs.support import Model, end, text, until, within, working

pytestmark = pytest.mark.django_db(transaction=True)


def finding(deployment: Deployment) -> dict[str, Any]:
    return dict(next(found for found in deployment.checks if found["name"] == smoke.SmokeConversation.name))


def scheduled(assistant: Assistant, alice: User) -> Deployment:
    """To staging, in an hour."""
    deployment = deployments.deploy(
        principal=principal_of_person(alice.pk, assistant.project_id),
        assistant_id=assistant.id,
        environment="staging",
        scheduled_at=now() + timedelta(hours=1),
    )
    assert deployment.status == Status.SCHEDULED
    return deployment


async def test_what_was_scheduled_is_tried_when_its_time_has_come(
    model: Model, assistant: Assistant, project: Project, alice: User
) -> None:
    model.answers(*text("Here."), end())
    deployment = await in_database(scheduled, assistant, alice)
    await in_database(chores.settle)
    await in_database(deployment.refresh_from_db)
    assert (deployment.status, await in_database(Run.objects.count)) == ("scheduled", 0)
    rows = Deployment.objects.filter(pk=deployment.pk)
    await in_database(lambda: rows.update(scheduled_at=now() - timedelta(seconds=1)))
    async with working():
        done = await until(rows.filter(status=Status.ACTIVE).first)
    assert finding(done)["verdict"] == "passed"
    assert await in_database(Run.objects.count) == 1


async def test_two_workers_settle_a_deployment_once(model: Model, assistant: Assistant) -> None:
    model.answers(*text("Here."), end())
    deployment = await in_database(lambda: being_tried(published(assistant)))
    async with working(), working():
        await until(Deployment.objects.filter(pk=deployment.pk, status=Status.ACTIVE).exists)
        await asyncio.gather(*(in_database(chores.settle) for _ in range(4)))
    assert await in_database(AuditEvent.objects.filter(action="deployment.active").count) == 1
    assert await in_database(Run.objects.count) == 1


async def test_nobody_answers_a_version_that_failed_for_something_else(
    model: Model, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says is of no use any more."""
    deployment = await in_database(lambda: being_tried(published(assistant)))

    def fails(deployment_id: str) -> Deployment | None:
        found = activation._locked(deployment_id, Status.VALIDATING)
        if found is not None:
            activation.end(None, found, Status.FAILED, "Something else.")
        return found

    monkeypatch.setattr(activation, "settle", activation.service(fails))
    await in_database(chores.settle)
    run = await in_database(Run.objects.get, pk=deployment.smoke_run_id)
    assert run.status == "cancelling"


async def test_a_worker_that_stops_lets_a_chore_come_to_its_end() -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(may_end.wait(), loop).result()
        ended.append(True)

    chore = asyncio.create_task(to_its_end(work))
    await within(begun.wait())
    chore.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await chore
    assert ended == [True]


def test_the_runs_of_a_deployment_are_read_off_an_index(db: None) -> None:
    with CaptureQueriesContext(connection) as captured:
        signals_of("dep_1", since=now())
    [sql] = [query["sql"] for query in captured.captured_queries if 'FROM "runs_run"' in query["sql"]]
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {sql}")
        else:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
    assert "run_of_deployment" in plan
    assert not re.search(r"SCAN|TEMP B-TREE|Seq Scan|Sort", plan), plan
