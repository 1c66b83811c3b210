"""Tokens: what is counted for whom, also where workers die, and what ends where a budget does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assistants.models import Assistant
from inference.chat import InferenceError, Usage
from runs.models import Run
from runs.services import control
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.support import (
    Gate,
    Model,
    call,
    end,
    ended,
    kill,
    names,
    outputs_for,
    payloads,
    steps_of,
    streamed_text,
    text,
    until,
    working,
)

pytestmark = pytest.mark.django_db(transaction=True)


def counted(run: Run) -> tuple[int, int, int]:
    return run.prompt_tokens, run.completion_tokens, run.cached_tokens


async def test_an_answer_that_was_continued_counts_as_one_that_was_not(model: Model, begin: Callable[..., Run]) -> None:
    """The engine counts what earlier workers wrote as the prompt of what comes after it."""
    run = await in_database(begin, max_completion_tokens=300)
    model.answers(*text("a", "b"), Gate())
    model.answers(*text("c", "d", "e"), Gate())
    model.answers(*text("f"), end("stop", Usage(prompt_tokens=20 + 5, completion_tokens=1, cached_tokens=24)))
    async with working() as worker:
        for so_far in ("ab", "abcde"):
            await until(lambda so_far=so_far: streamed_text(run.id) == so_far)
            await kill(worker, run.id)
        over = await ended(run.id)
    assert over.status == "completed"
    assert [request.max_tokens for request in model.requests] == [300, 298, 295]
    assert counted(over) == (20, 6, 20)
    (step,) = await in_database(steps_of, run.id)
    assert (step.usage["prompt_tokens"], step.usage["completion_tokens"]) == (20, 6)


async def test_what_a_dead_worker_wrote_may_have_used_the_budget_up(model: Model, begin: Callable[..., Run]) -> None:
    run, gate = await in_database(begin, max_completion_tokens=256), Gate()
    words = [f"w{number} " for number in range(256)]
    model.answers(*text(*words), gate)
    async with working() as worker:
        await until(lambda: streamed_text(run.id) == "".join(words))
        await kill(worker, run.id)
        over = await ended(run.id)
    assert (over.status, over.incomplete_details) == ("incomplete", {"reason": "max_completion_tokens"})
    assert (len(model.requests), counted(over)) == (1, (0, 256, 0))
    assert (await in_database(names, run.id))[-3:] == ["message.incomplete", "run.step.completed", "run.incomplete"]


async def test_a_call_that_was_cut_is_counted_and_asked_for_again(
    model: Model, begin: Callable[..., Run], tooled: Assistant
) -> None:
    """A forced choice holds for the first model call, and that was never finished."""
    run = await in_database(begin, assistant_id=tooled.id, max_completion_tokens=300, tool_choice="required")
    gate = Gate()
    model.answers(*text("Let", " me"), *call(0, "weather", '{"a'), gate)
    model.answers(*call(0, "weather", "{}"), end("tool_calls", Usage(20, 5)))
    async with working() as worker:
        await until(lambda: [delta for delta in payloads(run.id, "run.step.delta") if '{"a' in str(delta)])
        await kill(worker, run.id)
        waiting = await ended(run.id)
    assert waiting.status == "requires_action"
    assert [request.max_tokens for request in model.requests] == [300, 300 - 2 - 2]
    assert [request.tool_choice for request in model.requests] == ["required", "required"]
    assert counted(waiting) == (20, 2 + 2 + 5, 0)
    usages = [step.usage["completion_tokens"] for step in await in_database(steps_of, run.id)]
    assert usages == [2, 2, 5]


@pytest.mark.parametrize("said", [text("Once", " upon"), call(0, "weather", "{")])
async def test_a_failed_run_tells_what_it_had_of_the_model(
    model: Model, begin: Callable[..., Run], tooled: Assistant, said: list[Any]
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*said, InferenceError("gone"))
    async with working():
        over = await ended(run.id)
    assert (over.status, counted(over)) == ("failed", (0, 2, 0))
    (failed,) = await in_database(payloads, run.id, "run.failed")
    (step,) = await in_database(payloads, run.id, "run.step.failed")
    assert failed["usage"]["completion_tokens"] == step["usage"]["completion_tokens"] == 2


async def test_calls_that_were_counted_are_not_counted_again_when_the_run_is_cancelled(
    model: Model, begin: Callable[..., Run], tooled: Assistant, principal: Principal
) -> None:
    run = await in_database(begin, assistant_id=tooled.id)
    model.answers(*call(0, "weather"), end("tool_calls", Usage(20, 5)))
    async with working():
        await ended(run.id)
        await in_database(control.cancel_run, principal=principal, thread_id=run.thread_id, run_id=run.id)
        over = await until(lambda: Run.objects.filter(pk=run.id, status="cancelled").first())
    assert counted(over) == (20, 5, 0)
    (step,) = await in_database(steps_of, run.id)
    assert step.usage["total_tokens"] == 25


async def test_the_prompt_budget_is_what_earlier_calls_left(
    model: Model, begin: Callable[..., Run], tooled: Assistant, principal: Principal
) -> None:
    """The run's own turns stay whole, so the thread gives way to them."""
    said = [{"role": "user", "content": f"{number} " + "word " * 50} for number in range(4)]
    run = await in_database(begin, assistant_id=tooled.id, max_prompt_tokens=700, additional_messages=said)
    model.answers(*call(0, "weather"), end("tool_calls", Usage(300, 5)))
    model.answers(*text("Sunny"), end("stop", Usage(350, 1)))
    async with working():
        waiting = await ended(run.id)
        outputs = outputs_for(waiting, output="x" * 400)
        await in_database(
            control.submit_tool_outputs,
            principal=principal,
            thread_id=run.thread_id,
            run_id=run.id,
            tool_outputs=outputs,
        )
        over = await until(lambda: Run.objects.filter(pk=run.id, status="completed").first())
    first, second = ([m["content"] and m["content"][:2] for m in r.messages] for r in model.requests)
    assert first == ["He", "0 ", "1 ", "2 ", "3 "]
    assert second == ["He", "3 ", None, "xx"]  # 400 tokens are left: the middle of the thread goes, the pair stays
    assert counted(over) == (650, 6, 0)
