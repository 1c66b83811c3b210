"""Tool outputs twice, late, in part, after a cancel, and all at once: exactly one submit wins (R20)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from assistants.models import Assistant
from runs.models import Run
from runs.services import control, reaping
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError
from tests.runs.support import (
    Model,
    age_run,
    call,
    end,
    ended,
    names,
    outputs_for,
    steps_of,
    text,
    until,
    working,
)

pytestmark = pytest.mark.django_db(transaction=True)

RACERS = 16


@pytest.fixture
async def waiting(model: Model, begin: Callable[..., Run], tooled: Assistant) -> Run:
    """A run that waits for the outputs of two calls; no worker is there."""
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather", "1"), *call(1, "weather", "2"), end("tool_calls"))
    async with working():
        return await ended(run.id)


@pytest.fixture
def submit(principal: Principal) -> Callable[..., Any]:
    async def make(run: Run, outputs: list[dict[str, Any]]) -> str:
        """``"taken"``, or what the refusal says."""
        try:
            await in_database(
                control.submit_tool_outputs,
                principal=principal,
                thread_id=run.thread_id,
                run_id=run.id,
                tool_outputs=outputs,
            )
        except ApiError as error:
            plain = (error.status, error.param, error.code) == (400, None, None)
            return error.message if plain else repr(error.body())
        return "taken"

    return make


@pytest.fixture
def cancel(principal: Principal) -> Callable[[Run], Any]:
    return lambda run: in_database(control.cancel_run, principal=principal, thread_id=run.thread_id, run_id=run.id)


async def test_of_many_at_once_one_is_taken(model: Model, waiting: Run, submit: Callable[..., Any]) -> None:
    answers = await asyncio.gather(
        *(submit(waiting, outputs_for(waiting, output=f"racer {number}")) for number in range(RACERS))
    )
    assert answers.count("taken") == 1
    assert {answer for answer in answers if answer != "taken"} == {
        'Runs in status "queued" do not accept tool outputs.'
    }
    (step,) = await in_database(steps_of, waiting.id)
    winner = f"racer {answers.index('taken')}"
    assert [asked["function"]["output"] for asked in step.tool_calls] == [winner, winner]
    model.answers(*text("Done"), end())
    async with working():
        over = await until(lambda: Run.objects.filter(pk=waiting.id, status="completed").first())
    assert over.last_error is None
    log = await in_database(names, waiting.id)
    assert (log.count("run.requires_action"), log.count("run.queued"), len(model.requests)) == (1, 2, 2)


async def test_against_a_cancel_either_order_is_told_and_kept(
    model: Model, waiting: Run, submit: Callable[..., Any], cancel: Callable[[Run], Any]
) -> None:
    *answers, cancelled = await asyncio.gather(
        *(submit(waiting, outputs_for(waiting)) for _ in range(RACERS)), cancel(waiting)
    )
    assert cancelled.status == "cancelling"
    assert answers.count("taken") <= 1
    refused = {f'Runs in status "{status}" do not accept tool outputs.' for status in ("queued", "cancelling")}
    assert {answer for answer in answers if answer != "taken"} <= refused
    await in_database(reaping.reap)
    over = await in_database(Run.objects.get, pk=waiting.id)
    assert over.status == "cancelled"
    (step,) = await in_database(steps_of, waiting.id)
    assert step.status == ("completed" if "taken" in answers else "cancelled")
    log = await in_database(names, waiting.id)
    assert log[-2:] == ["run.cancelling", "run.cancelled"] or log[-3:-1] == ["run.cancelling", "run.step.cancelled"]


async def test_in_part_or_with_others_and_then_whole(waiting: Run, submit: Callable[..., Any]) -> None:
    first, second = outputs_for(waiting)
    ids = [output["tool_call_id"] for output in (first, second)]
    strange = {"tool_call_id": "call_x", "output": ""}
    for part in ([], [first], [second], [first, first], [first, second, second], [first, second, strange]):
        given = [output["tool_call_id"] for output in part]
        assert await submit(waiting, part) == f"Expected tool outputs for call_ids {ids}, got {given}"
    assert (await in_database(Run.objects.get, pk=waiting.id)).last_seq == waiting.last_seq
    assert await submit(waiting, [second, first]) == "taken"


async def test_of_others_calls(waiting: Run, submit: Callable[..., Any]) -> None:
    strange = [{"tool_call_id": "x" * 100_000, "output": ""}] * 1_000
    answer = await submit(waiting, strange)
    assert answer.startswith("Expected tool outputs for call_ids ['call_")
    assert len(answer) < 10_000  # what a client sent is not sent back whole


async def test_twice_late_after_a_cancel_and_after_the_end(
    model: Model, waiting: Run, submit: Callable[..., Any], cancel: Callable[[Run], Any]
) -> None:
    outputs = outputs_for(waiting)
    assert await submit(waiting, outputs) == "taken"
    assert await submit(waiting, outputs) == 'Runs in status "queued" do not accept tool outputs.'
    await cancel(waiting)
    assert await submit(waiting, outputs) == 'Runs in status "cancelling" do not accept tool outputs.'
    await in_database(reaping.reap)
    assert await submit(waiting, outputs) == 'Runs in status "cancelled" do not accept tool outputs.'


async def test_after_the_end_of_its_life(waiting: Run, submit: Callable[..., Any]) -> None:
    await in_database(age_run, waiting.id)
    assert await submit(waiting, outputs_for(waiting)) == 'Runs in status "expired" do not accept tool outputs.'
    over = await in_database(Run.objects.get, pk=waiting.id)
    assert (over.status, over.required_action) == ("expired", None)
    (step,) = await in_database(steps_of, waiting.id)
    assert (step.status, step.expired_at is not None) == ("expired", True)
