"""Sets are run against versions in the background: by workers, some of which die."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from assistants import services as assistants
from assistants.models import Assistant, AssistantVersion
from assistants.services import versions
from inference import gateway
from inference.chat import EngineUnavailable, InferenceError
from runs.evaluations import chores, services
from runs.evaluations.models import EvaluationResult, EvaluationRun, EvaluationSet
from runs.evaluations.services import checking, progress
from runs.models import Run
from runs.services import control
from runs.states import Status
from sovereign.accounts.models import AuditEvent
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError
from tests.runs.support import WEATHER, Gate, Model, call, end, kill, text, until, working

pytestmark = pytest.mark.django_db(transaction=True)


async def start(principal: Principal, evaluation: EvaluationSet, **fields: Any) -> EvaluationRun:
    return await in_database(services.start_run, principal=principal, set_id=evaluation.id, **fields)


async def over(run: EvaluationRun) -> EvaluationRun:
    """The run once it is over."""
    done = (EvaluationRun.Status.COMPLETED, EvaluationRun.Status.CANCELLED)
    return await until(lambda: EvaluationRun.objects.filter(pk=run.pk, status__in=done).first())  # type: ignore[no-any-return]


def results_of(run: EvaluationRun) -> list[EvaluationResult]:
    return list(run.results.order_by("position"))


async def test_a_set_is_run_against_the_draft_and_each_case_is_checked(
    model: Model, principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any], assistant: Assistant
) -> None:
    await in_database(add_case, "The capital of France?", variables={"language": "en"})
    await in_database(add_case, "And of Spain?")
    model.answers(*text("Paris"), end())
    model.answers(*text("Paris"), end())
    begun = await start(principal, evaluation)
    assert (begun.status, begun.total, begun.version.number) == ("queued", 2, 1)
    async with working():
        done = await over(begun)
    assert (done.passed, done.failed, done.errored, done.pass_rate) == (2, 0, 0, 1.0)
    first, second = await in_database(results_of, done)
    assert (first.status, first.answer, first.verdicts[0]["passed"]) == ("passed", "Paris", True)
    run = await in_database(Run.objects.select_related("thread").get, pk=first.run_id)
    assert (run.version_id, run.deployment_id, run.assistant_id) == (begun.version_id, None, assistant.id)
    assert run.metadata == {"language": "en", "evaluation_run": done.id, "evaluation_case": first.case_id}
    assert run.thread.owner_id is None  # nobody's chat
    assert {request.messages[-1]["content"] for request in model.requests} == {
        "The capital of France?", "And of Spain?"
    }  # fmt: skip
    assert second.prompt_tokens == 10


async def test_what_fails_and_what_cannot_be_tried_is_told_apart(
    model: Model,
    principal: Principal,
    evaluation: EvaluationSet,
    add_case: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for question in ("Right?", "Wrong?", "Broken?"):
        await in_database(add_case, question)

    async def stream(request: Any) -> Any:
        match request.messages[-1]["content"]:
            case "Right?":
                yield text("Paris")[0]
            case "Wrong?":
                yield text("Rome")[0]
            case _:
                raise InferenceError("The engine broke.")
        yield end()

    monkeypatch.setattr(gateway, "stream", stream)
    begun = await start(principal, evaluation)
    async with working():
        done = await over(begun)
    assert (done.passed, done.failed, done.errored) == (1, 1, 1)
    assert done.pass_rate == pytest.approx(1 / 3)
    _, wrong, broken = await in_database(results_of, done)
    assert wrong.verdicts == [{"type": "exact", "passed": False, "detail": "It is not 'Paris'.", "score": None}]
    assert (broken.status, broken.error) == ("error", "The engine broke.")


async def test_no_more_cases_than_may_are_answered_at_once(
    model: Model, principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any]
) -> None:
    for number in range(progress.AT_ONCE + 2):
        await in_database(add_case, f"Question {number}?")
    begun = await start(principal, evaluation)
    assert await in_database(progress.advance, begun.id)
    assert not await in_database(progress.advance, begun.id)  # nothing has changed
    statuses = [result.status for result in await in_database(results_of, begun)]
    assert statuses == ["running"] * progress.AT_ONCE + ["waiting"] * 2
    assert await in_database(Run.objects.count) == progress.AT_ONCE


async def test_a_run_goes_on_where_a_worker_died_and_no_case_is_answered_twice(
    model: Model, principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any]
) -> None:
    await in_database(add_case)
    gate = Gate()
    model.answers(gate, *text("lost"), end())
    model.answers(*text("Paris"), end())
    begun = await start(principal, evaluation)
    async with working() as worker:
        await gate.reached.wait()
        await kill(worker, (await in_database(results_of, begun))[0].run_id or "")
        done = await over(begun)
    assert done.passed == 1
    run = await in_database(Run.objects.get)
    assert run.lease_epoch == 2  # it was claimed twice


async def test_an_answer_whose_checker_died_is_checked_by_another_one(
    principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any], version: AssistantVersion
) -> None:
    await in_database(add_case)
    begun = await start(principal, evaluation)

    def answered() -> None:
        begun.results.update(status="checking", answer="Paris")

    await in_database(answered)
    (lost,) = await in_database(checking.claim, 4)
    assert await in_database(checking.claim, 4) == []  # one worker has it
    await chores.check_answers()
    assert (await in_database(results_of, begun))[0].status == "checking"
    await in_database(lambda: begun.results.update(lease_expires_at=begun.created_at))
    await chores.check_answers()
    (result,) = await in_database(results_of, begun)
    assert (result.status, result.attempts) == ("passed", 2)
    assert not await in_database(checking.conclude, lost, [{"passed": False}])  # it comes too late


JUDGE = {"type": "judge", "criterion": "It is a capital.", "model": "tiny"}


@pytest.fixture
async def judged(
    model: Model,
    principal: Principal,
    evaluation: EvaluationSet,
    add_case: Callable[..., Any],
    version: AssistantVersion,
) -> EvaluationRun:
    """A run whose only answer waits for its judge."""
    await in_database(add_case, checks=[JUDGE])
    begun = await start(principal, evaluation)
    await in_database(lambda: begun.results.update(status="checking", answer="Paris"))
    return begun


async def test_a_worker_that_stops_leaves_its_answers_to_the_others_at_once(
    model: Model, judged: EvaluationRun
) -> None:
    gate = Gate()
    model.answers(gate)
    model.answers(*text('{"reason": "It is.", "points": 10}'), end())
    checked = asyncio.create_task(chores.check_answers())
    await gate.reached.wait()
    checked.cancel()
    await asyncio.gather(checked, return_exceptions=True)
    (result,) = await in_database(results_of, judged)
    assert (result.status, result.attempts) == ("checking", 0)
    await chores.check_answers()
    (result,) = await in_database(results_of, judged)
    assert (result.status, result.attempts, result.verdicts[0]["score"]) == ("passed", 1, 1.0)


async def test_a_judge_who_is_not_there_is_asked_again_and_then_given_up(model: Model, judged: EvaluationRun) -> None:
    for attempt in range(1, checking.MOST_ATTEMPTS + 1):
        model.answers(EngineUnavailable("Nobody is there."))
        await chores.check_answers()
        (result,) = await in_database(results_of, judged)
        assert (result.attempts, result.error) == (attempt, "Nobody is there.")
        await chores.check_answers()  # not before some time has passed
        assert len(model.requests) == attempt
        await in_database(lambda: judged.results.update(lease_expires_at=judged.created_at))
    assert result.status == "error"


async def test_what_takes_worker_after_worker_is_given_up(
    principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any], version: AssistantVersion
) -> None:
    await in_database(add_case)
    begun = await start(principal, evaluation)
    poison = {"status": "checking", "answer": "Paris", "attempts": checking.MOST_ATTEMPTS, "lease_owner": "gone"}
    await in_database(lambda: begun.results.update(lease_expires_at=begun.created_at, **poison))
    await chores.check_answers()
    (result,) = await in_database(results_of, begun)
    assert (result.status, result.error) == ("error", checking.DIED)


async def test_a_run_is_cancelled_with_the_answers_that_are_under_way(
    model: Model, principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any]
) -> None:
    for number in range(progress.AT_ONCE + 1):
        await in_database(add_case, f"Question {number}?")
    gate = Gate()
    for _ in range(progress.AT_ONCE):
        model.answers(gate, *text("Paris"), end())
    begun = await start(principal, evaluation)
    async with working():
        await gate.reached.wait()
        cancelled = await in_database(services.cancel_run, principal=principal, run_id=begun.id)
        assert (cancelled.status, cancelled.pass_rate) == ("cancelled", None)
        ended = Run.objects.filter(status=Status.CANCELLED)
        await until(lambda: ended.count() == progress.AT_ONCE)
        await chores.move_on()
    assert {result.status for result in await in_database(results_of, begun)} == {"cancelled"}
    assert await in_database(Run.objects.count) == progress.AT_ONCE
    with pytest.raises(ApiError, match="Cannot cancel an evaluation run with status 'cancelled'"):
        await in_database(services.cancel_run, principal=principal, run_id=begun.id)


async def test_a_run_that_waits_for_an_application_is_ended(
    model: Model, principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any], assistant: Assistant
) -> None:
    await in_database(assistants.update_assistant, principal=principal, assistant_id=assistant.id, tools=[WEATHER])
    await in_database(add_case)
    model.answers(*call(0, "weather"), end("tool_calls"))
    begun = await start(principal, evaluation)
    async with working():
        done = await over(begun)
        (result,) = await in_database(results_of, done)
        await until(lambda: Run.objects.filter(pk=result.run_id, status=Status.CANCELLED).first())
    assert (result.status, result.error) == ("error", progress.WAITS)


async def test_a_run_that_was_deleted_is_told(
    principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any], version: AssistantVersion
) -> None:
    await in_database(add_case)
    begun = await start(principal, evaluation)
    await in_database(progress.advance, begun.id)
    await in_database(Run.objects.all().delete)
    await in_database(progress.advance, begun.id)
    (result,) = await in_database(results_of, begun)
    assert (result.status, result.error) == ("error", progress.GONE)
    assert (await over(begun)).errored == 1


async def test_a_case_that_no_run_can_be_made_of_keeps_no_other_from_running(
    principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for question in ("First?", "Second?"):
        await in_database(add_case, question)
    begun = await start(principal, evaluation)
    real, refusals = progress.try_version, [ApiError("No such model.", status=404)]

    def refuse_once(**request: Any) -> Any:
        made = real(**request)
        if refusals:
            raise refusals.pop()
        return made

    monkeypatch.setattr(progress, "try_version", refuse_once)
    await in_database(progress.advance, begun.id)
    first, second = await in_database(results_of, begun)
    assert (first.status, first.error, first.run_id) == ("error", "No such model.", None)
    assert second.status == "running"
    assert await in_database(Run.objects.count) == 1  # nothing is left of the refused one


async def test_where_the_limits_are_reached_cases_wait(
    principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_database(add_case)
    begun = await start(principal, evaluation)

    def refuse(**_: Any) -> Any:
        raise ApiError("Used up.", status=429, code="insufficient_quota")

    with monkeypatch.context() as patch:
        patch.setattr(progress, "try_version", refuse)
        assert not await in_database(progress.advance, begun.id)
    assert await in_database(progress.advance, begun.id)
    assert (await in_database(results_of, begun))[0].status == "running"


async def test_a_case_that_is_changed_meanwhile_is_run_as_it_was(
    model: Model, principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any]
) -> None:
    case = await in_database(add_case)
    begun = await start(principal, evaluation)
    await in_database(
        services.update_case, principal=principal, set_id=evaluation.id, case_id=case.id, input="Something else?"
    )
    await in_database(services.delete_case, principal=principal, set_id=evaluation.id, case_id=case.id)
    model.answers(*text("Paris"), end())
    async with working():
        done = await over(begun)
    assert done.passed == 1
    assert model.requests[0].messages[-1]["content"] == "The capital of France?"


async def test_the_same_run_is_not_begun_twice_and_an_empty_one_never(
    principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any], version: AssistantVersion
) -> None:
    with pytest.raises(ApiError, match="no cases"):
        await start(principal, evaluation)
    await in_database(add_case)
    begun = await start(principal, evaluation, version="1")
    with pytest.raises(ApiError, match=begun.id) as refused:
        await start(principal, evaluation)
    assert (refused.value.status, refused.value.code) == (409, "evaluation_in_progress")
    assert await in_database(AuditEvent.objects.filter(action="evaluation.run_started").count) == 1


async def test_an_older_version_is_evaluated_as_it_was_published(
    model: Model,
    principal: Principal,
    evaluation: EvaluationSet,
    add_case: Callable[..., Any],
    assistant: Assistant,
    version: AssistantVersion,
) -> None:
    await in_database(add_case)
    await in_database(
        assistants.update_assistant, principal=principal, assistant_id=assistant.id, instructions="Be rude."
    )
    model.answers(*text("Paris"), end())
    begun = await start(principal, evaluation, version=version.id)
    async with working():
        await over(begun)
    assert model.requests[0].messages[0]["content"] == "Be brief."
    newest = await start(principal, evaluation)
    assert newest.version.number == 2
    assert await in_database(versions.get_version, principal=principal, assistant_id=assistant.id, version="2")


async def test_a_deleted_set_ends_what_runs_of_it(
    principal: Principal, evaluation: EvaluationSet, add_case: Callable[..., Any], version: AssistantVersion
) -> None:
    await in_database(add_case)
    begun = await start(principal, evaluation)
    await in_database(progress.advance, begun.id)
    await in_database(services.delete_set, principal=principal, set_id=evaluation.id)
    run = await in_database(Run.objects.get)
    assert run.status == Status.CANCELLING
    assert run.status not in control.CANCELLABLE
    assert not await in_database(EvaluationRun.objects.exists)
