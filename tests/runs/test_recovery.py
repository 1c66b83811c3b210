"""Workers die: what another one makes of the rows they leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from assistants.models import Assistant
from runs.models import Run, RunEvent
from runs.services import control, leases
from runs.services.leases import Lease, claim
from runs.worker import worker as worker_module
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.support import (
    Gate,
    Model,
    answer_of,
    call,
    end,
    ended,
    kill,
    names,
    sequence,
    steps_of,
    streamed_text,
    text,
    until,
    within,
    working,
)

pytestmark = pytest.mark.django_db(transaction=True)


async def test_killed_before_the_first_delta_the_call_is_repeated(model: Model, begin: Callable[..., Run]) -> None:
    run, gate = await in_database(begin), Gate()
    model.answers(gate)
    model.answers(*text("Hello"), end())
    async with working() as worker:
        await within(gate.reached.wait())
        await kill(worker, run.id)
        over = await ended(run.id)
    assert (over.status, over.crash_count, over.lease_epoch) == ("completed", 1, 2)
    assert [request.continues for request in model.requests] == [False, False]
    assert model.requests[0].messages == model.requests[1].messages
    assert (await in_database(names, run.id)).count("run.in_progress") == 1


async def test_killed_in_the_middle_the_answer_goes_on(model: Model, begin: Callable[..., Run]) -> None:
    run, gate = await in_database(begin), Gate()
    model.answers(*text("Once ", "upon"), gate)
    model.answers(*text(" a", " time"), end())
    async with working() as worker:
        await within(gate.reached.wait())
        await until(lambda: streamed_text(run.id) == "Once upon")
        await kill(worker, run.id)
        over = await ended(run.id)

    assert over.status == "completed"
    assert model.requests[1].continues
    assert model.requests[1].messages[-1] == {"role": "assistant", "content": "Once upon"}
    assert (await in_database(answer_of, run.id)).text == "Once upon a time" == await in_database(streamed_text, run.id)
    assert await in_database(sequence, run.id) == list(range(1, over.last_seq + 1))
    log = await in_database(names, run.id)
    assert (log.count("message.created"), log.count("message.completed"), len(await in_database(steps_of, run.id))) == (
        1,
        1,
        1,
    )


async def test_killed_again_and_again_every_token_comes_once(model: Model, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    gates = [Gate(), Gate()]
    model.answers(*text("a"), gates[0])
    model.answers(*text("b"), gates[1])
    model.answers(*text("c"), end())
    async with working() as worker:
        for gate, so_far in zip(gates, ("a", "ab"), strict=True):
            await within(gate.reached.wait())
            await until(lambda so_far=so_far: streamed_text(run.id) == so_far)
            await kill(worker, run.id)
        over = await ended(run.id)
    assert (over.status, over.crash_count) == ("completed", 2)
    assert (await in_database(answer_of, run.id)).text == "abc" == await in_database(streamed_text, run.id)


async def test_killed_between_the_message_and_its_text_nothing_is_begun_twice(
    model: Model, begin: Callable[..., Run]
) -> None:
    run, gate = await in_database(begin), Gate()
    model.answers(*text("Hello"), gate)
    model.answers(*text("Hello"), end())
    async with working() as worker:
        await within(gate.reached.wait())
        await until(lambda: names(run.id)[-1] == "message.delta")
        # as if the transaction with the text had never been
        await in_database(_forget_last_event, run.id)
        await kill(worker, run.id)
        over = await ended(run.id)
    assert over.status == "completed"
    assert not model.requests[1].continues
    assert (await in_database(names, run.id)).count("message.created") == 1
    assert (await in_database(answer_of, run.id)).text == "Hello"


def _forget_last_event(run_id: str) -> None:
    last = RunEvent.objects.after(run_id, 0).last()
    assert last is not None
    assert last.type == "thread.message.delta"
    last.delete()
    Run.objects.filter(pk=run_id).update(last_seq=last.seq - 1)


async def test_where_the_engine_cannot_continue_the_run_fails_told(model: Model, begin: Callable[..., Run]) -> None:
    model.capabilities = replace(model.capabilities, continuation=False)
    run, gate = await in_database(begin), Gate()
    model.answers(*text("Once upon"), gate)
    async with working() as worker:
        await until(lambda: streamed_text(run.id) == "Once upon")
        await kill(worker, run.id)
        over = await ended(run.id)
    assert (over.status, over.last_error["code"]) == ("failed", "server_error")
    assert "cannot continue" in over.last_error["message"]
    message = await in_database(answer_of, run.id)
    assert (message.status, message.text) == ("incomplete", "Once upon")
    assert len(model.requests) == 1


async def test_killed_in_a_tool_call_the_step_fails_and_the_model_is_asked_again(
    model: Model, begin: Callable[..., Run], tooled: Assistant, principal: Principal
) -> None:
    run, gate = await in_database(begin, assistant_id=tooled.id), Gate()
    model.answers(*call(0, "weather", '{"ci'), gate)
    model.answers(*call(0, "weather", "{}"), end("tool_calls"))
    async with working() as worker:
        await until(lambda: names(run.id)[-1] == "run.step.delta")
        await kill(worker, run.id)
        waiting = await ended(run.id)
        assert waiting.status == "requires_action"
        broken, asked = await in_database(steps_of, run.id)
        assert (broken.status, asked.status) == ("failed", "in_progress")
        assert broken.tool_calls[0]["function"]["arguments"] == '{"ci'
        model.answers(*text("Sunny"), end())
        from tests.runs.support import outputs_for

        await in_database(
            control.submit_tool_outputs,
            principal=principal,
            thread_id=run.thread_id,
            run_id=run.id,
            tool_outputs=outputs_for(waiting),
        )
        await until(lambda: Run.objects.filter(pk=run.id, status="completed").exists())
    sent = [message for message in model.requests[2].messages if message["role"] == "tool"]
    assert len(sent) == 1  # the broken call is not part of the conversation


async def test_three_dead_workers_make_a_run_poison(model: Model, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    gates = [Gate() for _ in range(3)]
    for gate in gates:
        model.answers(gate)
    async with working() as worker:
        for gate in gates:
            await within(gate.reached.wait())
            await kill(worker, run.id)
        over = await ended(run.id)
    assert (over.status, len(model.requests)) == ("failed", 3)
    assert over.last_error == {"code": "server_error", "message": "3 workers died while they worked on this run."}


async def test_a_worker_that_stops_in_good_order_hands_over_and_nothing_counts_as_a_crash(
    model: Model, begin: Callable[..., Run]
) -> None:
    run, gate = await in_database(begin), Gate()
    model.answers(*text("Once"), gate)
    async with working():
        await within(gate.reached.wait())
    left = await in_database(Run.objects.get, pk=run.id)
    assert (left.status, left.lease_owner, left.lease_expires_at) == ("in_progress", None, None)
    assert await in_database(streamed_text, run.id) == "Once"  # what was produced was written
    model.answers(*text(" upon"), end())
    async with working():
        over = await ended(run.id)
    assert (over.status, over.crash_count) == ("completed", 0)
    assert (await in_database(answer_of, run.id)).text == "Once upon"


async def test_a_worker_that_drains_lets_answers_end(model: Model, begin: Callable[..., Run]) -> None:
    run, gate = await in_database(begin), Gate()
    model.answers(*text("Once"), gate, end())
    async with working(drain=60.0):
        await within(gate.reached.wait())
        asyncio.get_running_loop().call_later(0.05, gate.opened.set)
    assert (await in_database(Run.objects.get, pk=run.id)).status == "completed"


async def test_a_claim_that_the_stop_cut_off_is_given_back(
    model: Model, begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    claimed, go_on = threading.Event(), threading.Event()
    cancel = worker_module._cancel

    def slow_claim(**request: Any) -> list[Lease]:
        taken = claim(**request)
        claimed.set()
        go_on.wait(60)
        return taken

    async def cut_off(tasks: list[Any]) -> None:
        """The claim goes on when nobody waits for it any more, and not before."""
        await cancel(tasks)
        go_on.set()

    monkeypatch.setattr(leases, "claim", slow_claim)
    monkeypatch.setattr(worker_module, "_cancel", cut_off)
    run = await in_database(begin)
    async with working():
        await until(claimed.is_set)
    left = await in_database(Run.objects.get, pk=run.id)
    assert (left.status, left.lease_owner, left.lease_expires_at) == ("in_progress", None, None)
