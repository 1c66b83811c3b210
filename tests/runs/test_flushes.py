"""What a flush costs, and what it sets off: it is done many times a second, about all runs of a worker at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from assistants.models import Assistant
from runs.models import Run, RunEvent
from runs.services import creation
from runs.services.flushing import Batch, Text, flush
from runs.services.leases import Lease, claim
from runs.streaming.tailer import load_events
from runs.worker.writer import FLUSH_PAUSE, LONGEST_PAUSE, pause_after
from sovereign.accounts.principals import Principal
from sovereign.core import bus
from tests.runs.support import Model

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def leases(model: Model, principal: Principal, assistant: Assistant) -> list[Lease]:
    for _ in range(4):
        creation.create_thread_and_run(principal=principal, assistant_id=assistant.id, thread={})
    return claim(worker_id="a", limit=4)


def said(lease: Lease, number: int, *words: str) -> Batch:
    return Batch(lease, number, [Text("msg_x", [word], first=False) for word in words])


def test_many_runs_take_the_statements_of_one(leases: list[Lease]) -> None:
    with CaptureQueriesContext(connection) as alone:
        flush([said(leases[0], 1, "a")])
    with CaptureQueriesContext(connection) as together:
        flush([said(lease, 2 if lease is leases[0] else 1, "b") for lease in leases])
    assert len(together) == len(alone)


def test_each_run_counts_its_own_events_and_batches(leases: list[Lease]) -> None:
    before = {run.id: run.last_seq for run in Run.objects.all()}
    flush([said(lease, 1, *"abcd"[: place + 1]) for place, lease in enumerate(leases)])
    flush([said(leases[0], 2, "e"), said(leases[1], 1, "written already")])
    grown = {run.id: (run.last_seq - before[run.id], run.lease_flushes) for run in Run.objects.all()}
    assert [grown[lease.run_id] for lease in leases] == [(2, 2), (2, 1), (3, 1), (4, 1)]
    for run in Run.objects.all():
        assert list(RunEvent.objects.after(run.id, 0).values_list("seq", flat=True)) == [*range(1, run.last_seq + 1)]


def test_readers_are_woken_once_for_all_runs(leases: list[Lease], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(bus, "publish", lambda topic, payload: told.append((topic, payload)))
    flush([said(lease, 1, "a", "b") for lease in leases])
    [(topic, payload)] = told
    assert (topic, sorted(payload["runs"])) == (bus.RUN_EVENTS, sorted(lease.run_id for lease in leases))


def test_the_tailer_asks_once_for_what_is_beyond_each_cursor(leases: list[Lease]) -> None:
    flush([said(lease, 1, "a", "b") for lease in leases])
    newest = {run.id: run.last_seq for run in Run.objects.all()}
    first, second, third, _ = (lease.run_id for lease in leases)
    with CaptureQueriesContext(connection) as asked:
        events = load_events({third: newest[third] - 1, first: newest[first], second: newest[second] - 2})
    assert len(asked) == 1
    found = [(event.run_id, event.seq, event.data["content"][0]["text"]["value"]) for event in events]
    expected = [(second, newest[second] - 1, "a"), (second, newest[second], "b"), (third, newest[third], "b")]
    assert found == sorted(expected)


def test_the_more_runs_the_longer_their_pieces_gather_within_bounds() -> None:
    assert pause_after(1) == FLUSH_PAUSE
    assert FLUSH_PAUSE < pause_after(16) < LONGEST_PAUSE == pause_after(1_000)
