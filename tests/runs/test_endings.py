"""Cancelling and expiry, whoever holds the run: with a worker, without one, in every active state."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from assistants.models import Assistant
from runs.models import Run
from runs.services import control, reaping
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError
from tests.runs.support import (
    Gate,
    Model,
    age_run,
    answer_of,
    call,
    end,
    ended,
    names,
    payloads,
    steps_of,
    text,
    until,
    within,
    working,
)
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cancel(principal: Principal) -> Callable[[Run], Run]:
    return lambda run: control.cancel_run(principal=principal, thread_id=run.thread_id, run_id=run.id)


def is_free(thread_id: str) -> bool:
    return Thread.objects.get(pk=thread_id).active_run_id is None


async def test_cancelled_while_queued(begin: Callable[..., Run], cancel: Callable[[Run], Run]) -> None:
    run = await in_database(begin)
    assert (await in_database(cancel, run)).status == "cancelling"
    assert not await in_database(is_free, run.thread_id)
    async with working():
        over = await ended(run.id)
    assert (over.status, over.cancelled_at is not None) == ("cancelled", True)
    assert await in_database(names, run.id) == ["run.created", "run.queued", "run.cancelling", "run.cancelled"]
    assert await in_database(is_free, run.thread_id)


async def test_cancelled_before_the_first_token_and_without_any(
    model: Model, begin: Callable[..., Run], cancel: Callable[[Run], Run]
) -> None:
    run, gate = await in_database(begin), Gate()
    model.answers(gate)
    async with working():
        await within(gate.reached.wait())
        await in_database(cancel, run)
        assert (await ended(run.id)).status == "cancelled"
    assert model.closed == 1  # the upstream call was closed


async def test_cancelled_in_the_middle_of_the_answer(
    model: Model, begin: Callable[..., Run], cancel: Callable[[Run], Run]
) -> None:
    run, gate = await in_database(begin), Gate()
    model.answers(*text("Once ", "upon"), gate)
    async with working():
        await until(lambda: names(run.id)[-1] == "message.delta")
        await in_database(cancel, run)
        assert (await ended(run.id)).status == "cancelled"

    assert (await in_database(names, run.id))[-5:] == [
        "message.delta",
        "run.cancelling",
        "message.incomplete",
        "run.step.cancelled",
        "run.cancelled",
    ]
    message = await in_database(answer_of, run.id)
    assert (message.status, message.incomplete_details) == ("incomplete", {"reason": "run_cancelled"})
    (step,) = await in_database(steps_of, run.id)
    assert (step.status, step.cancelled_at is not None) == ("cancelled", True)
    assert await in_database(is_free, run.thread_id)


async def test_cancelled_while_tool_outputs_are_awaited(
    model: Model, begin: Callable[..., Run], cancel: Callable[[Run], Run], tooled: Assistant
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather", "{}"), end("tool_calls"))
    async with working():
        await ended(run.id)
        await in_database(cancel, run)
        over = await until(lambda: Run.objects.filter(pk=run.id, status="cancelled").first())
    assert over.required_action is None
    (step,) = await in_database(steps_of, run.id)
    assert (step.status, step.tool_calls[0]["function"]["arguments"]) == ("cancelled", "{}")


async def test_a_cancel_wins_over_an_answer_that_completes_after_it(
    model: Model, begin: Callable[..., Run], cancel: Callable[[Run], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker finds out in its own last transaction, not by looking."""
    from runs.worker import worker as module

    monkeypatch.setattr(module, "POLL", 60.0)
    run, gate = await in_database(begin), Gate()
    model.answers(*text("Once"), gate, end())
    async with working():
        await until(lambda: names(run.id)[-1] == "message.delta")
        await in_database(cancel, run)
        gate.opened.set()
        assert (await ended(run.id)).status == "cancelled"
    assert (await in_database(answer_of, run.id)).incomplete_details == {"reason": "run_cancelled"}
    assert "thread.run.completed" not in await in_database(names, run.id)


async def test_a_cancel_wins_over_a_tool_call_that_is_asked_after_it(
    model: Model,
    begin: Callable[..., Run],
    cancel: Callable[[Run], Run],
    tooled: Assistant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from runs.worker import worker as module

    monkeypatch.setattr(module, "POLL", 60.0)
    run, gate = await in_database(begin, assistant_id=tooled.id), Gate()
    model.answers(*call(0, "weather"), gate, end("tool_calls"))
    async with working():
        await until(lambda: names(run.id)[-1] == "run.step.delta")
        await in_database(cancel, run)
        gate.opened.set()
        assert (await ended(run.id)).status == "cancelled"


async def test_only_what_is_under_way_can_be_cancelled(
    model: Model, begin: Callable[..., Run], cancel: Callable[[Run], Run]
) -> None:
    run = await in_database(begin)
    await in_database(cancel, run)
    with pytest.raises(ApiError) as refused:
        await in_database(cancel, run)
    assert (refused.value.status, refused.value.message) == (400, "Cannot cancel run with status 'cancelling'.")
    await in_database(reaping.reap)
    with pytest.raises(ApiError, match=r"Cannot cancel run with status 'cancelled'."):
        await in_database(cancel, run)


async def test_expired_while_queued_without_any_worker(begin: Callable[..., Run], principal: Principal) -> None:
    """Whoever reads an overdue run ends it."""
    run = await in_database(begin)
    await in_database(age_run, run.id)
    read = await in_database(control.get_run, principal=principal, thread_id=run.thread_id, run_id=run.id)
    assert (read.status, read.last_error) == ("expired", None)
    assert await in_database(names, run.id) == ["run.created", "run.queued", "run.expired"]
    assert (await in_database(payloads, run.id, "run.expired"))[0]["expires_at"] is None
    assert await in_database(is_free, run.thread_id)


async def test_a_cancel_that_comes_too_late_ends_the_run_all_the_same(
    begin: Callable[..., Run], cancel: Callable[[Run], Run]
) -> None:
    run = await in_database(begin)
    await in_database(age_run, run.id)
    with pytest.raises(ApiError, match=r"Cannot cancel run with status 'expired'."):
        await in_database(cancel, run)
    assert (await ended(run.id)).status == "expired"


async def test_expired_for_want_of_an_engine_says_so(model: Model, begin: Callable[..., Run]) -> None:
    model.ready, model.reason = False, "The engine of tiny is down since 10:00 UTC."
    run = await in_database(begin)
    async with working():
        await until(lambda: Run.objects.filter(pk=run.id, waiting_reason=model.reason).exists())
        await in_database(age_run, run.id)
        over = await ended(run.id)
    assert (over.status, over.last_error) == ("expired", {"code": "server_error", "message": model.reason})


async def test_expired_in_the_middle_of_the_answer(model: Model, begin: Callable[..., Run]) -> None:
    run, gate = await in_database(begin), Gate()
    model.answers(*text("Once"), gate, *text(" upon"), end())
    async with working() as worker:
        await until(lambda: names(run.id)[-1] == "message.delta")
        await in_database(age_run, run.id)
        over = await ended(run.id)
        await until(lambda: not worker._executions)  # its worker was fenced, and found out
        gate.opened.set()
    assert over.status == "expired"
    assert (await in_database(names, run.id))[-4:] == [
        "message.delta",
        "message.incomplete",
        "run.step.expired",
        "run.expired",
    ]
    message = await in_database(answer_of, run.id)
    assert (message.text, message.incomplete_details) == ("Once", {"reason": "run_expired"})


async def test_expired_while_tool_outputs_are_awaited(
    model: Model, begin: Callable[..., Run], tooled: Assistant, principal: Principal
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather"), end("tool_calls"))
    async with working():
        waiting = await ended(run.id)
        await in_database(age_run, run.id)
        over = await until(lambda: Run.objects.filter(pk=run.id, status="expired").first())
    assert over.required_action is None
    assert waiting.expires_at == run.expires_at
    with pytest.raises(ApiError, match=r'Runs in status "expired" do not accept tool outputs.'):
        await in_database(
            control.submit_tool_outputs,
            principal=principal,
            thread_id=run.thread_id,
            run_id=run.id,
            tool_outputs=[],
        )


async def test_a_cancelling_run_past_its_end_is_ended(begin: Callable[..., Run], cancel: Callable[[Run], Run]) -> None:
    run = await in_database(begin)
    await in_database(cancel, run)
    await in_database(age_run, run.id)
    await in_database(reaping.reap)
    over = await in_database(Run.objects.get, pk=run.id)
    assert (over.status, over.last_error) == ("cancelled", None)
    assert await in_database(is_free, run.thread_id)


async def test_one_run_that_cannot_be_ended_does_not_keep_the_others(
    begin: Callable[..., Run], principal: Principal, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runs.services import creation

    first = await in_database(begin)
    second = await in_database(
        lambda: creation.create_thread_and_run(principal=principal, assistant_id=assistant.id, thread={}).run
    )
    for run in (first, second):
        await in_database(age_run, run.id)
    end_overdue = reaping.end_overdue

    def refuse(run_id: str) -> bool:
        if run_id == first.id:
            raise KeyError("its rows are broken")
        return end_overdue(run_id)

    monkeypatch.setattr(reaping, "end_overdue", refuse)
    assert await in_database(reaping.reap) == 1
    assert (await in_database(Run.objects.get, pk=second.id)).status == "expired"
