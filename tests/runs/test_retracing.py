"""What a model was sent is told again, call by call, long after: word for word, or with what is doubtful about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from assistants.models import Assistant
from inference.chat import ChatRequest
from runs.events import WAITED_FOR
from runs.models import Run, RunEvent
from runs.services import control
from runs.worker.retracing import retrace, turns_of
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.support import Model, call, end, ended, outputs_for, payloads, text, until, working
from threads import services as threads
from threads import summaries
from threads.models import Message, Thread


def retraced(run_id: str) -> list[ChatRequest]:
    run = Run.objects.select_related("configuration", "thread").get(pk=run_id)
    found = [retrace(run, turn) for turn in turns_of(run)]
    assert [doubt for each in found for doubt in each.doubts] == []
    return [each.request for each in found]


def doubts_of(run_id: str) -> list[str]:
    run = Run.objects.select_related("configuration", "thread").get(pk=run_id)
    return retrace(run, turns_of(run)[0]).doubts


@pytest.mark.django_db(transaction=True)
async def test_every_call_is_told_as_it_was_sent(
    begin: Callable[..., Run], tooled: Assistant, principal: Principal, thread: Thread, model: Model
) -> None:
    """A turn with words and calls, one with calls alone, the answer; then the thread goes on, and is summed up."""
    model.answers(*text("Let me look."), *call(0, "weather", '{"at": "sea"}'), *call(1, "weather"), end("tool_calls"))
    model.answers(*call(0, "weather"), end("tool_calls"))
    model.answers(*text("Rain."), end())
    model.answers(*text("Really."), end())
    async with asyncio.timeout(90), working():
        limits = {"max_completion_tokens": 500, "max_prompt_tokens": 4_000, "truncation_strategy": {"type": "auto"}}
        run = await in_database(begin, assistant_id=tooled.pk, **limits)
        for _ in range(2):
            waiting = await ended(run.pk)
            given = {"principal": principal, "thread_id": thread.pk, "run_id": run.pk}
            await in_database(
                lambda given=given, waiting=waiting: control.submit_tool_outputs(
                    **given, tool_outputs=outputs_for(waiting, output="wet")
                )
            )
        assert (await ended(run.pk)).status == "completed"
        more = [{"role": "user", "content": "Really?"}]
        later = await in_database(begin, additional_messages=more)
        await ended(later.pk)
        last = await in_database(lambda: Message.objects.of_thread(thread.pk).count())
        await in_database(lambda: summaries.add(thread_id=thread.pk, up_to=last, text="Rain.", model="tiny"))
    assert await in_database(retraced, run.pk) == model.requests[:3]
    assert await in_database(retraced, later.pk) == model.requests[3:]
    assert [message["role"] for message in model.requests[2].messages] == [
        "user", "assistant", "tool", "tool", "assistant", "tool",
    ]  # fmt: skip


@pytest.mark.django_db(transaction=True)
async def test_a_call_that_came_to_nothing_is_told_too(begin: Callable[..., Run], model: Model) -> None:
    model.answers(ValueError("broken"))
    async with asyncio.timeout(90), working():
        failed = await ended((await in_database(begin)).pk)
    assert failed.status == "failed"
    await in_database(
        lambda: threads.add_messages(Thread.objects.get(pk=failed.thread_id), [{"role": "user", "content": "Later."}])
    )
    assert await in_database(retraced, failed.pk) == model.requests


@pytest.mark.django_db
def test_a_run_that_nobody_took_was_told_nothing(begin: Callable[..., Run], model: Model) -> None:
    assert turns_of(begin()) == []


@pytest.mark.django_db(transaction=True)
async def test_what_is_doubtful_is_said(begin: Callable[..., Run], thread: Thread, model: Model) -> None:
    model.answers(*text("Hello!"), end())
    async with asyncio.timeout(90), working():
        await in_database(lambda: threads.add_messages(thread, [{"role": "user", "content": "Anybody?"}]))
        run = await ended((await in_database(begin)).pk)
    assert await in_database(doubts_of, run.pk) == []
    await in_database(lambda: Message.objects.filter(thread=thread, position=1).delete())
    await in_database(lambda: Run.objects.filter(pk=run.pk).update(crash_count=1))
    model.ready, model.capabilities = False, replace(model.capabilities, context_length=None)
    gone, unserved, died = await in_database(doubts_of, run.pk)
    assert gone.startswith("1 of the thread's messages from before the answer has been deleted.")
    assert "8,192 tokens" in unserved
    assert died.startswith("A worker died")


@pytest.mark.django_db(transaction=True)
async def test_why_a_run_was_queued_stays_in_its_log_and_no_client_sees_it(
    begin: Callable[..., Run], model: Model
) -> None:
    model.ready, model.reason = False, "The engine is loading."
    model.answers(*text("Hello!"), end())
    run = await in_database(begin)
    async with asyncio.timeout(90), working():
        await until(lambda: Run.objects.get(pk=run.pk).waiting_reason)
        model.ready = True
        assert (await ended(run.pk)).waiting_reason == ""
    begun = await in_database(lambda: RunEvent.objects.get(run=run, type="thread.run.in_progress"))
    assert begun.data[WAITED_FOR] == "The engine is loading."
    sent = await in_database(payloads, run.pk, "run.in_progress")
    assert "The engine is loading." not in str(sent)
