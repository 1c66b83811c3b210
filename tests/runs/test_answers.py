"""A worker executes runs against a scripted model: what is written, in which order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import InterfaceError, OperationalError

from assistants.models import Assistant
from inference.chat import Attribution, EngineUnavailable, InferenceError, ToolCallDelta, Usage
from runs.models import Run
from runs.services import control
from runs.worker import execution
from runs.worker.rebuild import Assignment, rebuild
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.support import (
    Gate,
    Model,
    answer_of,
    call,
    end,
    ended,
    names,
    payloads,
    sequence,
    steps_of,
    streamed_text,
    text,
    until,
    within,
    working,
)
from threads import services as threads
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db(transaction=True)

PLAIN = [
    "run.created",
    "run.queued",
    "run.in_progress",
    "run.step.created",
    "run.step.in_progress",
    "message.created",
    "message.in_progress",
    "message.delta",
    "message.completed",
    "run.step.completed",
    "run.completed",
]


async def test_a_plain_answer_is_told_in_the_contracts_order(model: Model, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    model.answers(*text("Good", " morning", "."), end())
    async with working():
        over = await ended(run.id)

    assert over.status == "completed"
    assert await in_database(names, run.id) == PLAIN
    assert await in_database(sequence, run.id) == list(range(1, over.last_seq + 1))
    assert await in_database(streamed_text, run.id) == "Good morning."
    message = await in_database(answer_of, run.id)
    assert message.content == [{"type": "text", "text": {"value": "Good morning.", "annotations": []}}]
    assert (message.status, message.run_id, message.assistant_id) == ("completed", run.id, run.assistant_id)
    assert await in_database(lambda: Thread.objects.get(pk=run.thread_id).active_run_id) is None


async def test_the_payloads_fit_the_clients_accumulators(model: Model, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    model.answers(*text("a", "b"), end())
    async with working():
        await ended(run.id)

    (created,) = await in_database(payloads, run.id, "message.created")
    assert created["content"] == []
    assert created["status"] == "in_progress"
    (step,) = await in_database(payloads, run.id, "run.step.created")
    assert step["step_details"] == {"type": "message_creation", "message_creation": {"message_id": created["id"]}}
    assert step["expires_at"] is not None
    assert step["usage"] is None
    first, *later = await in_database(payloads, run.id, "message.delta")
    assert first["id"] == created["id"]
    assert first["delta"]["content"][0]["text"]["annotations"] == []
    assert all("annotations" not in delta["delta"]["content"][0]["text"] for delta in later)
    (completed,) = await in_database(payloads, run.id, "run.completed")
    assert completed["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "total_tokens": 14,
        "prompt_token_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    assert completed["expires_at"] is None
    assert completed["started_at"] is not None
    (finished,) = await in_database(payloads, run.id, "run.step.completed")
    assert finished["usage"] == completed["usage"]


async def test_the_request_says_everything(model: Model, begin: Callable[..., Run], principal: Principal) -> None:
    run = await in_database(
        begin,
        additional_instructions="Rhyme.",
        additional_messages=[{"role": "user", "content": "Well?"}],
        temperature=0,
        max_completion_tokens=300,
    )
    model.answers(*text("Yes"), end())
    async with working():
        await ended(run.id)

    (request,) = model.requests
    assert request.messages == [
        {"role": "system", "content": "Be brief.\n\nRhyme."},
        {"role": "user", "content": "Hello?"},
        {"role": "user", "content": "Well?"},
    ]
    assert (request.model, request.temperature, request.max_tokens, request.continues) == ("tiny", 0, 300, False)
    assert (request.tools, request.tool_choice, request.response_format) == ([], None, None)
    assert request.attribution == Attribution(
        project=principal.project_id,
        key=principal.key_id,
        assistant=run.assistant_id,
        thread=run.thread_id,
        run=run.id,
        purpose="run",
    )


async def test_a_prompt_budget_bounds_the_window(
    model: Model, begin: Callable[..., Run], principal: Principal, thread: Thread
) -> None:
    def talk() -> None:
        for index in range(4):
            threads.create_message(
                principal=principal, thread_id=thread.id, role="user", content=f"{index} " + "word " * 100
            )

    await in_database(talk)
    run = await in_database(begin, max_prompt_tokens=256)
    model.answers(*text("Yes"), end())
    async with working():
        await ended(run.id)
    assert [message["content"][:2] for message in model.requests[0].messages] == ["Be", "He", "3 "]  # not the middle


async def test_an_empty_answer_is_a_message_without_text(model: Model, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    model.answers(*text("", " \n", "\x00"), end())
    async with working():
        over = await ended(run.id)

    assert over.status == "completed"
    assert await in_database(names, run.id) == [name for name in PLAIN if name != "message.delta"]
    assert (await in_database(answer_of, run.id)).content[0]["text"]["value"] == ""


async def test_white_space_before_the_text_is_kept_and_nul_is_dropped(model: Model, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    model.answers(*text("\n", " ", "\x00", "a\x00b", "\x00", "c"), end())
    async with working():
        over = await ended(run.id)

    assert over.status == "completed"
    assert (await in_database(answer_of, run.id)).text == "\n abc" == await in_database(streamed_text, run.id)


async def test_the_completion_budget_ends_a_run_incomplete(model: Model, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    model.answers(*text("Once upon"), end("length"))
    async with working():
        over = await ended(run.id)

    assert (over.status, over.incomplete_details) == ("incomplete", {"reason": "max_completion_tokens"})
    assert (await in_database(names, run.id))[-3:] == ["message.incomplete", "run.step.completed", "run.incomplete"]
    message = await in_database(answer_of, run.id)
    assert (message.status, message.incomplete_details, message.text) == (
        "incomplete",
        {"reason": "max_tokens"},
        "Once upon",
    )
    (step,) = await in_database(steps_of, run.id)
    assert step.usage["total_tokens"] == 14


async def test_an_error_before_the_answer_fails_the_run(model: Model, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    model.answers(InferenceError("Rate limit reached for tiny.", "rate_limit_exceeded"))
    async with working():
        over = await ended(run.id)

    assert (over.status, over.last_error) == (
        "failed",
        {"code": "rate_limit_exceeded", "message": "Rate limit reached for tiny."},
    )
    assert await in_database(names, run.id) == ["run.created", "run.queued", "run.in_progress", "run.failed"]
    assert over.failed_at is not None
    assert await in_database(lambda: Thread.objects.get(pk=run.thread_id).active_run_id) is None


async def test_an_error_in_the_middle_keeps_the_text_and_tells_the_end(model: Model, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    model.answers(*text("Once ", "upon"), InferenceError("The engine went away."))
    async with working():
        over = await ended(run.id)

    assert over.status == "failed"
    assert (await in_database(names, run.id))[-4:] == [
        "message.delta",
        "message.incomplete",
        "run.step.failed",
        "run.failed",
    ]
    message = await in_database(answer_of, run.id)
    assert (message.text, message.incomplete_details) == ("Once upon", {"reason": "run_failed"})
    (step,) = await in_database(steps_of, run.id)
    assert (step.status, step.last_error["code"]) == ("failed", "server_error")


async def test_an_unexpected_exception_is_not_told_to_the_client(model: Model, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    model.answers(RuntimeError("the password is hunter2"))
    async with working():
        over = await ended(run.id)
    assert over.last_error == {"code": "server_error", "message": "Sorry, something went wrong."}


async def test_an_answer_that_just_stops_is_a_failure(model: Model, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    model.answers(*text("Once"))
    async with working():
        over = await ended(run.id)
    assert (over.status, over.last_error["code"]) == ("failed", "server_error")


async def test_a_tool_call_without_a_name_is_a_failure(model: Model, begin: Callable[..., Run]) -> None:
    run = await in_database(begin)
    model.answers(ToolCallDelta(0, "x", None, "{}"), end("tool_calls"))
    async with working():
        over = await ended(run.id)
    assert (over.status, over.last_error["message"]) == ("failed", "The engine began a tool call without a name.")


async def test_an_engine_that_is_away_is_waited_for(
    model: Model, begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "ENGINE_PAUSE", 0.01)
    run = await in_database(begin)
    model.answers(EngineUnavailable("down"))
    model.answers(EngineUnavailable("down"))
    model.answers(*text("Back"), end())
    async with working():
        over = await ended(run.id)
    assert (over.status, len(model.requests)) == ("completed", 3)


async def test_an_engine_that_stays_away_fails_a_started_run_with_the_reason(
    model: Model, begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "ENGINE_PATIENCE", -1.0)
    run = await in_database(begin)
    model.answers(EngineUnavailable("The engine of tiny is down since 10:00 UTC."))
    async with working():
        over = await ended(run.id)
    assert (over.status, over.last_error["message"]) == ("failed", "The engine of tiny is down since 10:00 UTC.")


async def test_a_moment_without_the_database_ends_nothing(
    model: Model, begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the answer, and in the middle of it: what was said stands, and the model is asked for the rest."""
    monkeypatch.setattr(execution, "ENGINE_PAUSE", 0.01)
    run = await in_database(begin)
    model.answers(OperationalError("the connection is lost"))
    model.answers(*text("Good"), InterfaceError("the connection is closed"))
    model.answers(*text(" morning"), end())
    async with working():
        over = await ended(run.id)
    assert (over.status, over.lease_epoch) == ("completed", 1)
    assert [request.continues for request in model.requests] == [False, False, True]
    assert (await in_database(answer_of, run.id)).text == "Good morning"
    assert await in_database(streamed_text, run.id) == "Good morning"


async def test_a_run_that_cannot_be_read_for_a_moment_is_read_again(
    model: Model, begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    away = iter([True, False])

    def read(run_id: str) -> Assignment:
        if next(away):
            raise OperationalError("the connection is lost")
        return rebuild(run_id)

    monkeypatch.setattr(execution, "ENGINE_PAUSE", 0.01)
    monkeypatch.setattr(execution, "rebuild", read)
    run = await in_database(begin)
    model.answers(*text("Hello"), end())
    async with working():
        assert (await ended(run.id)).status == "completed"


async def test_a_database_that_stays_away_is_not_waited_for_for_ever(
    model: Model, begin: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "DATABASE_PATIENCE", -1.0)
    run = await in_database(begin)
    model.answers(OperationalError("a secret"))
    async with working():
        over = await ended(run.id)
    assert (over.status, over.last_error["message"]) == ("failed", execution.UNEXPECTED)


async def test_a_run_without_an_engine_stays_queued_and_says_why(
    model: Model, begin: Callable[..., Run], principal: Principal
) -> None:
    model.ready, model.reason = False, "The engine is loading tiny: 3 s so far."
    run = await in_database(begin)
    model.answers(*text("Ready"), end())
    async with working():
        await until(lambda: Run.objects.filter(pk=run.id, waiting_reason=model.reason).exists())
        waiting = await in_database(control.get_run, principal=principal, thread_id=run.thread_id, run_id=run.id)
        assert waiting.status == "queued"
        model.ready = True
        over = await ended(run.id)
    assert (over.status, over.waiting_reason) == ("completed", "")


async def test_many_runs_at_once_each_get_their_own_answer(
    model: Model, principal: Principal, assistant: Assistant
) -> None:
    from runs.services import creation

    def begin_all() -> list[Run]:
        return [
            creation.create_thread_and_run(
                principal=principal,
                assistant_id=assistant.id,
                thread={"messages": [{"role": "user", "content": f"number {index}"}]},
            ).run
            for index in range(12)
        ]

    async def echo(request: object) -> object:  # answers what was asked, slowly enough to overlap
        model.requests.append(request)  # type: ignore[arg-type]
        for word in request.messages[-1]["content"].split(" "):  # type: ignore[attr-defined]
            for delta in text(word + " "):
                yield delta
        yield end()

    from inference import gateway

    gateway.stream = echo  # type: ignore[assignment]  # the fixture puts it back
    runs = await in_database(begin_all)
    async with working(concurrency=5):
        for index, run in enumerate(runs):
            assert (await ended(run.id)).status == "completed"
            assert await in_database(streamed_text, run.id) == f"number {index} "
            assert (await in_database(answer_of, run.id)).text == f"number {index} "


async def test_a_thread_deleted_under_a_run_drops_the_run(
    model: Model, begin: Callable[..., Run], principal: Principal
) -> None:
    run, gate = await in_database(begin), Gate()
    model.answers(*text("Once"), gate, *text(" more"), end())
    async with working() as worker:
        await within(gate.reached.wait())
        await in_database(threads.delete_thread, principal=principal, thread_id=run.thread_id)
        gate.opened.set()
        await until(lambda: not worker._executions)
    assert model.closed == 1
    assert not await in_database(lambda: Run.objects.exists() or Message.objects.exists())


async def test_the_message_being_written_cannot_be_deleted(
    model: Model, begin: Callable[..., Run], principal: Principal
) -> None:
    from sovereign.core.errors import ApiError

    run, gate = await in_database(begin), Gate()
    model.answers(*text("Once"), gate, end())
    async with working():
        await within(gate.reached.wait())
        message = await until(lambda: Message.objects.filter(run_id=run.id).first())
        with pytest.raises(ApiError, match="is writing it"):
            await in_database(
                threads.delete_message, principal=principal, thread_id=run.thread_id, message_id=message.id
            )
        gate.opened.set()
        assert (await ended(run.id)).status == "completed"


async def test_one_run_whose_rows_are_gone_does_not_stop_the_writer(
    model: Model, principal: Principal, assistant: Assistant
) -> None:
    """All runs of a worker share a transaction: what one of them cannot write is its own matter."""
    from runs.services import creation

    def begin_one() -> Run:
        return creation.create_thread_and_run(principal=principal, assistant_id=assistant.id, thread={}).run

    broken, gate = await in_database(begin_one), Gate()
    model.answers(*text("a"), gate, end())
    async with working():
        await within(gate.reached.wait())
        await until(lambda: names(broken.id)[-1] == "message.delta")
        await in_database(lambda: [step.delete() for step in steps_of(broken.id)])
        gate.opened.set()
        assert (await ended(broken.id)).status == "failed"
        sound = await in_database(begin_one)
        model.answers(*text("b"), end())
        assert (await ended(sound.id)).status == "completed"


async def test_two_model_calls_share_one_budget(
    model: Model, begin: Callable[..., Run], tooled: Assistant, principal: Principal
) -> None:
    run = await in_database(begin, assistant_id=tooled.id, max_completion_tokens=256)
    model.answers(*call(0, "weather"), end("tool_calls", Usage(100, 250)))
    async with working():
        waiting = await ended(run.id)
        model.answers(*text("Sunny"), end("stop", Usage(120, 6)))
        from tests.runs.support import outputs_for

        await in_database(
            control.submit_tool_outputs,
            principal=principal,
            thread_id=run.thread_id,
            run_id=run.id,
            tool_outputs=outputs_for(waiting),
        )
        over = await until(lambda: Run.objects.filter(pk=run.id, status="completed").first())
    assert [request.max_tokens for request in model.requests] == [256, 6]
    assert (over.prompt_tokens, over.completion_tokens) == (220, 256)
