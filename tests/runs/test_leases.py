"""Who holds a run: claims, leases and their fences, and what a late holder can no longer change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from assistants.models import Assistant
from runs.models import Run, RunEvent
from runs.services import control, flushing, leases, reaping
from runs.services.flushing import Batch, CallText, Operation, Text, flush
from runs.services.leases import Lease, claim
from runs.states import Status
from runs.worker import writer as writing
from runs.worker.execution import Interruption
from runs.worker.process import reap_until
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.support import (
    Gate,
    Model,
    age_lease,
    age_run,
    answer_of,
    end,
    ended,
    payloads,
    sequence,
    streamed_text,
    text,
    until,
    within,
    working,
)

pytestmark = pytest.mark.django_db(transaction=True)


def claim_one(worker_id: str) -> Lease:
    (lease,) = claim(worker_id=worker_id, limit=4)
    return lease


@pytest.fixture
def served(model: Model) -> Model:
    return model


async def test_the_heart_beats_only_for_runs_that_are_executed(model: Model, begin: Callable[..., Run]) -> None:
    """A run whose execution was lost must fall to another worker, however busy its holder is."""
    run = await in_database(begin)
    await in_database(claim_one, "a")
    await in_database(age_lease, run.id)
    await in_database(leases.renew, "a", [])
    assert await in_database(lambda: Run.objects.unheld().filter(pk=run.id).exists())
    await in_database(leases.renew, "a", [run.id])
    assert not await in_database(lambda: Run.objects.unheld().filter(pk=run.id).exists())


def test_a_claimed_run_is_nobody_elses(served: Model, begin: Callable[..., Run]) -> None:
    run = begin()
    lease = claim_one("a")
    assert (lease.run_id, lease.thread_id, lease.worker_id, lease.epoch) == (run.id, run.thread_id, "a", 1)
    assert claim(worker_id="b", limit=4) == []
    assert leases.look_at([run.id, "run_x"]) == {run.id: (1, "in_progress")}


def test_an_expired_lease_is_claimed_with_the_next_epoch(served: Model, begin: Callable[..., Run]) -> None:
    run = begin()
    claim_one("a")
    age_lease(run.id)
    assert claim_one("b").epoch == 2
    run.refresh_from_db()
    assert (run.lease_owner, run.crash_count) == ("b", 1)


def test_a_worker_does_not_take_its_own_runs_from_itself(served: Model, begin: Callable[..., Run]) -> None:
    """Its heartbeat came late (the database was away): that is no death."""
    run = begin()
    claim_one("a")
    age_lease(run.id)
    assert claim(worker_id="a", limit=4, executing=[run.id]) == []
    assert Run.objects.get(pk=run.id).crash_count == 0


def test_neighbouring_arguments_are_one_event(served: Model, begin: Callable[..., Run]) -> None:
    run = begin()
    lease = claim_one("a")

    def written(index: int, piece: str) -> CallText:
        return CallText("step_x", index, "function", "arguments", [piece])

    first, second = written(0, '{"a"'), written(1, "{}")
    assert first.absorb(written(0, ": 1}"))
    assert not first.absorb(second)
    assert not first.absorb(words("text"))
    flush([Batch(lease, 1, [first])])
    assert payloads(run.id)[-1]["delta"]["step_details"]["tool_calls"][0]["function"] == {"arguments": '{"a": 1}'}


async def test_what_is_overdue_ends_without_any_worker(begin: Callable[..., Run]) -> None:
    run, stop = await in_database(begin), asyncio.Event()
    await in_database(age_run, run.id)
    reaper = asyncio.create_task(reap_until(stop))
    over = await ended(run.id)
    stop.set()
    await within(reaper)
    assert over.status == "expired"


def test_what_is_given_back_is_no_crash(served: Model, begin: Callable[..., Run]) -> None:
    run = begin()
    claim_one("a")
    leases.give_back("a")
    assert claim_one("b").epoch == 2
    run.refresh_from_db()
    assert run.crash_count == 0


def test_an_overdue_run_is_not_claimed(served: Model, begin: Callable[..., Run]) -> None:
    run = begin()
    age_run(run.id)
    assert claim(worker_id="a", limit=4) == []


def test_claims_are_bounded_and_oldest_first(served: Model, principal: Principal, assistant: Assistant) -> None:
    from runs.services import creation

    made = [
        creation.create_thread_and_run(principal=principal, assistant_id=assistant.id, thread={}).run.id
        for _ in range(4)
    ]
    assert [lease.run_id for lease in claim(worker_id="a", limit=3)] == made[:3]
    assert [lease.run_id for lease in claim(worker_id="b", limit=3)] == made[3:]
    assert claim(worker_id="a", limit=0) == []


def words(text_: str, *, first: bool = True) -> Text:
    return Text("msg_x", [text_], first)


def events_of(run_id: str) -> list[str]:
    log = RunEvent.objects.filter(run_id=run_id)
    return [row.data["content"][0]["text"]["value"] for row in log if row.data.get("id") == "msg_x"]


def test_a_stale_lease_writes_nothing(served: Model, begin: Callable[..., Run]) -> None:
    run = begin()
    stale = claim_one("a")
    age_lease(run.id)
    fresh = claim_one("b")
    assert flush([Batch(stale, 1, [words("late")])]) == {}
    assert flush([Batch(replace(fresh, worker_id="a"), 1, [words("forged")])]) == {}
    assert events_of(run.id) == []
    assert flush([Batch(fresh, 1, [words("fresh")])])[run.id].status == "in_progress"
    assert events_of(run.id) == ["fresh"]


def test_a_run_that_is_over_takes_nothing_more(served: Model, begin: Callable[..., Run]) -> None:
    run = begin()
    lease = claim_one("a")
    over = Operation(lambda recorder: recorder.fail("server_error", "x"), locks_thread=True, ends_run=True)
    assert flush([Batch(lease, 1, [over])])[run.id].status == "failed"
    assert flush([Batch(lease, 2, [words("late")])]) == {}


def test_the_same_batch_is_written_once(served: Model, begin: Callable[..., Run]) -> None:
    """A commit whose answer was lost is offered again."""
    run = begin()
    lease = claim_one("a")
    for _ in range(2):
        assert flush([Batch(lease, 1, [words("once")])])[run.id].status == "in_progress"
    flush([Batch(lease, 2, [words("twice", first=False)])])
    assert events_of(run.id) == ["once", "twice"]
    flush([Batch(lease, 4, [words("four", first=False)])])  # a number that was never written leaves no room
    flush([Batch(lease, 4, [words("four", first=False)])])
    assert events_of(run.id) == ["once", "twice", "four"]


def test_a_cancelling_run_takes_only_its_end(served: Model, begin: Callable[..., Run], principal: Principal) -> None:
    run = begin()
    lease = claim_one("a")
    control.cancel_run(principal=principal, thread_id=run.thread_id, run_id=run.id)
    assert flush([Batch(lease, 1, [words("late")])])[run.id].status == "cancelling"
    assert events_of(run.id) == []
    complete = Operation(lambda recorder: recorder.end(Status.COMPLETED), locks_thread=True, ends_run=True)
    assert flush([Batch(lease, 2, [words("later"), complete])])[run.id].status == "cancelled"
    assert events_of(run.id) == []


@pytest.mark.parametrize("failure", [ValueError("x"), Run.DoesNotExist("gone"), TypeError("x"), KeyError("x")])
def test_one_runs_bad_data_is_its_own_matter(
    served: Model, principal: Principal, assistant: Assistant, failure: Exception
) -> None:
    from runs.services import creation

    for _ in range(3):
        creation.create_thread_and_run(principal=principal, assistant_id=assistant.id, thread={})
    first, second, third = claim(worker_id="a", limit=3)

    def refuse(recorder: Any) -> None:
        raise failure

    outcomes = flush(
        [
            Batch(first, 1, [words("one")]),
            Batch(second, 1, [words("two"), Operation(refuse)]),
            Batch(third, 1, [words("three")]),
        ]
    )
    assert outcomes[second.run_id].error is failure
    assert (outcomes[first.run_id].status, outcomes[third.run_id].status) == ("in_progress", "in_progress")
    assert [events_of(lease.run_id) for lease in (first, second, third)] == [["one"], [], ["three"]]


@pytest.mark.parametrize("failure", [OperationalError("server closed the connection"), InterfaceError("closed")])
async def test_a_database_that_is_away_loses_nothing(
    model: Model, begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """The commit happened but its answer was lost: the same batches are offered again, and written once."""
    monkeypatch.setattr(writing, "RETRY_DELAY", 0.01)
    calls = 0

    def lossy(batches: Any) -> Any:
        nonlocal calls
        calls += 1
        outcome = flushing.flush(batches)
        if calls % 2:
            raise failure
        return outcome

    monkeypatch.setattr(writing, "flush", lossy)
    run = await in_database(begin)
    model.answers(*text("Once ", "upon ", "a time"), end())
    async with working():
        over = await ended(run.id)
    assert over.status == "completed"
    assert (await in_database(answer_of, run.id)).text == "Once upon a time" == await in_database(streamed_text, run.id)
    assert await in_database(sequence, run.id) == list(range(1, over.last_seq + 1))


async def test_a_worker_survives_a_database_that_is_away(
    model: Model, begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    from runs.worker import worker as module

    monkeypatch.setattr(module, "REAP", 0.01)
    monkeypatch.setattr(module, "POLL", 0.01)
    failures = [InterfaceError("closed"), OperationalError("down"), RuntimeError("a bug")] * 2
    fail: Callable[..., Any] = lambda *_, **__: (_ for _ in ()).throw(failures.pop(0))  # noqa: E731

    def broken(real: Callable[..., Any]) -> Callable[..., Any]:
        tries = iter(range(3))
        return lambda *args, **kwargs: fail() if next(tries, None) is not None else real(*args, **kwargs)

    monkeypatch.setattr(leases, "claim", broken(leases.claim))
    monkeypatch.setattr(module, "reap", broken(reaping.reap))
    run = await in_database(begin)
    late = await in_database(lambda: Run.objects.get(pk=run.id))
    model.answers(*text("Hello"), end())
    async with working():
        assert (await ended(late.id)).status == "completed"
        await until(lambda: not failures)  # the reaper's may come later than the run's end


async def test_a_worker_that_is_stopped_while_it_is_woken_ends() -> None:
    """``asyncio.wait_for`` swallows a cancellation that comes when its event was just set (Python 3.11)."""
    from sovereign.core.bus import signalled

    event, rounds = asyncio.Event(), 0

    async def loop() -> None:
        nonlocal rounds
        while True:
            await signalled(event, 5)
            rounds += 1
            event.clear()

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    event.set()
    await asyncio.sleep(0)
    event.set()
    task.cancel()
    await within(asyncio.wait([task]))
    assert task.cancelled()


async def test_a_fenced_execution_closes_its_model_call(model: Model, begin: Callable[..., Run]) -> None:
    run, gate = await in_database(begin), Gate()
    model.answers(*text("Once"), gate)
    async with working() as worker:
        await until(lambda: streamed_text(run.id) == "Once")
        execution = worker._executions[run.id]
        await in_database(lambda: Run.objects.filter(pk=run.id).update(lease_owner="another", lease_epoch=9))
        await within(asyncio.wait([execution.task]))
        assert execution._interruption is Interruption.FENCE
    assert model.closed == 1
    left = await in_database(Run.objects.get, pk=run.id)
    assert (left.status, left.lease_owner) == ("in_progress", "another")
