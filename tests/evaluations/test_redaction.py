"""What is redacted in a conversation is in no case that was made of it, and in nothing that came of the case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.models import Assistant
from runs.evaluations import services
from runs.evaluations.models import EvaluationCase, EvaluationResult, EvaluationRun, EvaluationSet
from runs.models import Run
from runs.services.creation import create_thread_and_run
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError
from tests.evaluations.test_runs import over, results_of, start
from tests.runs.support import Model, end, ended, text, within, working
from tests.runs.test_redaction import tables_with
from threads.models import Message
from threads.redaction import MARK, redact_message
from threads.services import create_message

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "4111-1111"
QUESTION = f"Is my card {SECRET} good?\nI wonder"
ANSWER = f"Yes, {SECRET} is good."


async def answered(
    model: Model, principal: Principal, assistant: Assistant, *said: str | dict[str, str], answer: str = ANSWER
) -> Run:
    """:param said: by the user, where nothing else is given."""
    model.answers(*text(answer), end())
    messages = [
        one if isinstance(one, dict) else {"role": "user", "content": one} for one in said or ("Hello?", QUESTION)
    ]
    begun = await in_database(
        lambda: create_thread_and_run(principal=principal, assistant_id=assistant.id, thread={"messages": messages})
    )
    async with working():
        return await within(ended(begun.run.id))  # type: ignore[no-any-return]


async def evaluated(
    model: Model,
    principal: Principal,
    evaluation: EvaluationSet,
    run: Run,
    *,
    answer: str = f"It is: {ANSWER}",
    **fields: Any,
) -> tuple[EvaluationCase, EvaluationRun]:
    """A case of the run, and a run of the case, in which the model says the same."""
    checks: list[dict[str, Any]] = [{"type": "contains", "values": [ANSWER]}, {"type": "exact"}]
    case = await in_database(
        lambda: services.case_from_run(
            principal=principal, set_id=evaluation.id, run_id=run.id, checks=checks, **fields
        )
    )
    model.answers(*text(answer), end())
    begun = await start(principal, evaluation)
    async with working():
        return case, await over(begun)


def at(thread_id: str, position: int) -> Message:
    return Message.objects.get(thread_id=thread_id, position=position)


def redact(principal: Principal, thread_id: str, position: int) -> Message:
    message = at(thread_id, position)
    return redact_message(principal=principal, thread_id=thread_id, message_id=message.id)


async def test_neither_cases_nor_their_results_keep_what_was_redacted(
    model: Model, principal: Principal, evaluation: EvaluationSet, assistant: Assistant
) -> None:
    run = await answered(model, principal, assistant)
    case, done = await evaluated(model, principal, evaluation, run)
    assert case.name == QUESTION.split("\n")[0]
    [result] = await in_database(results_of, done)
    assert [verdict["passed"] for verdict in result.verdicts] == [True, False]
    kept = {"threads_message", "runs_runevent", "evaluations_evaluationcase", "evaluations_evaluationresult"}
    assert await in_database(tables_with, SECRET) == kept
    revision = (await in_database(EvaluationSet.objects.get)).revision

    await in_database(redact, principal, run.thread_id, 2)  # the question
    after = await in_database(EvaluationCase.objects.get)
    assert [message["content"] for message in after.messages] == ["Hello?", MARK]
    assert (after.name, after.reference) == (MARK, ANSWER)
    [result] = await in_database(results_of, done)
    assert [message["content"] for message in result.case["messages"]] == ["Hello?", MARK]
    assert (await in_database(at, result.thread_id, 2)).text == MARK, "on the thread on which it was asked again"
    assert (await in_database(EvaluationSet.objects.get)).revision == revision + 1

    await in_database(
        redact, principal, run.thread_id, 3
    )  # the answer: the reference, and a part of what was said again
    after = await in_database(EvaluationCase.objects.get)
    assert (after.reference, after.checks[0]["values"]) == (MARK, [MARK])
    [result] = await in_database(results_of, done)
    assert result.answer == f"It is: {MARK}"
    assert [verdict["detail"] for verdict in result.verdicts] == [MARK, MARK]
    said_again = await in_database(at, result.thread_id, 3)
    assert said_again.text == f"It is: {ANSWER}", "another answer, which has to be redacted itself"
    await in_database(redact, principal, result.thread_id, 3)
    assert await in_database(tables_with, SECRET) == set()


async def test_what_is_redacted_where_it_was_asked_again_is_gone_where_it_was_said_first(
    model: Model, principal: Principal, evaluation: EvaluationSet, assistant: Assistant
) -> None:
    run = await answered(model, principal, assistant)
    _, done = await evaluated(model, principal, evaluation, run)
    [result] = await in_database(results_of, done)
    await in_database(redact, principal, result.thread_id, 2)
    assert (await in_database(at, run.thread_id, 2)).text == MARK
    assert (await in_database(at, run.thread_id, 1)).text == "Hello?"
    assert (await in_database(EvaluationCase.objects.get)).messages[1]["content"] == MARK


async def test_a_kept_answer_with_a_case_is_forgotten(
    model: Model, principal: Principal, evaluation: EvaluationSet, assistant: Assistant, api: APIClient
) -> None:
    run = await answered(model, principal, assistant)
    address = f"/api/v1/evaluations/{evaluation.id}/cases"

    def make(**fields: str) -> Any:
        last = "from_run" if "run_id" in fields else ""
        path = f"{address}/{last}".rstrip("/")
        return api.post(path, fields, format="json", HTTP_IDEMPOTENCY_KEY=f"key {last}")

    await in_database(lambda: make(run_id=run.id))
    other = await in_database(lambda: make(input="Something else?", reference="Yes."))
    await in_database(redact, principal, run.thread_id, 2)
    await in_database(redact, principal, run.thread_id, 3)
    assert await in_database(tables_with, SECRET) == set()
    again = await in_database(lambda: make(input="Something else?", reference="Yes."))
    assert (again.json()["id"], again.headers["idempotent-replayed"]) == (other.json()["id"], "true")


async def test_other_cases_keep_what_they_say(
    model: Model,
    principal: Principal,
    evaluation: EvaluationSet,
    assistant: Assistant,
    add_case: Callable[..., Any],
) -> None:
    other = await in_database(add_case, "Hello?")
    run = await answered(model, principal, assistant)
    await in_database(
        lambda: services.case_from_run(principal=principal, set_id=evaluation.id, run_id=run.id, name="Cards")
    )
    await in_database(redact, principal, run.thread_id, 1)
    assert (await in_database(EvaluationCase.objects.get, pk=other.pk)).messages[0]["content"] == "Hello?"
    made = await in_database(EvaluationCase.objects.get, source_run_id=run.id)
    assert [message["content"] for message in made.messages] == [MARK, QUESTION]
    assert (made.name, made.reference) == ("Cards", ANSWER)


async def test_what_people_wrote_around_it_stays(
    model: Model, principal: Principal, evaluation: EvaluationSet, assistant: Assistant
) -> None:
    run = await answered(model, principal, assistant)
    case = await in_database(lambda: services.case_from_run(principal=principal, set_id=evaluation.id, run_id=run.id))
    told = [{"role": "user", "content": [{"type": "text", "text": f"Be quick: {QUESTION} Or Hello?not"}]}]
    await in_database(
        lambda: services.update_case(principal=principal, set_id=evaluation.id, case_id=case.id, messages=told)
    )
    await in_database(redact, principal, run.thread_id, 2)
    await in_database(redact, principal, run.thread_id, 1)
    after = await in_database(EvaluationCase.objects.get)
    assert after.messages[0]["content"] == [{"type": "text", "text": f"Be quick: {MARK} Or Hello?not"}]


async def test_of_what_was_said_more_than_once_the_same_one_goes_everywhere(
    model: Model, principal: Principal, evaluation: EvaluationSet, assistant: Assistant
) -> None:
    own = {"role": "assistant", "content": "Yes."}
    run = await answered(model, principal, assistant, "Yes.", own, "Yes.", "So?", "Yes.", answer="Yes.")
    _, done = await evaluated(model, principal, evaluation, run, answer="Yes.")
    again = await start(principal, evaluation)
    model.answers(*text("Yes."), end())
    async with working():
        await over(again)
    results = [*await in_database(results_of, done), *await in_database(results_of, again)]
    threads = [run.thread_id, *(result.thread_id for result in results)]

    def said() -> list[list[str]]:
        rows = [Message.objects.of_thread(thread_id).order_by("position") for thread_id in threads]
        kept: list[EvaluationCase | EvaluationResult] = [EvaluationCase.objects.get(), *EvaluationResult.objects.all()]
        cases = [one.messages if isinstance(one, EvaluationCase) else one.case["messages"] for one in kept]
        return [[one.text for one in row[:5]] for row in rows] + [[one["content"] for one in case] for case in cases]

    await in_database(redact, principal, results[1].thread_id, 3)
    assert await in_database(said) == [["Yes.", "Yes.", MARK, "So?", "Yes."]] * 6
    await in_database(redact, principal, run.thread_id, 1)
    assert await in_database(said) == [[MARK, "Yes.", MARK, "So?", "Yes."]] * 6
    await in_database(redact, principal, run.thread_id, 2)
    assert await in_database(said) == [[MARK, MARK, MARK, "So?", "Yes."]] * 6
    await in_database(redact, principal, run.thread_id, 6)  # the answer, which is its own everywhere
    assert await in_database(said) == [[MARK, MARK, MARK, "So?", "Yes."]] * 6
    assert [(await in_database(at, thread_id, 6)).text for thread_id in threads] == [MARK, "Yes.", "Yes."]
    assert [result.answer for result in await in_database(results_of, done)] == ["Yes."]
    await in_database(redact, principal, results[0].thread_id, 6)
    assert [result.answer for result in await in_database(results_of, done)] == [MARK]
    assert [result.answer for result in await in_database(results_of, again)] == ["Yes."]


async def test_what_is_said_in_few_words_stays_within_other_texts(
    model: Model, principal: Principal, evaluation: EvaluationSet, assistant: Assistant
) -> None:
    answer = "There is no need, and no hurry."
    run = await answered(model, principal, assistant, "Say no more", "no", answer=answer)
    case, done = await evaluated(model, principal, evaluation, run, answer=answer)
    told = [{"type": "contains", "values": ["no", "no need"]}]
    await in_database(
        lambda: services.update_case(
            principal=principal, set_id=evaluation.id, case_id=case.id, checks=told, variables={"tone": "no jokes"}
        )
    )
    later = {"role": "user", "content": "no"}
    await in_database(lambda: create_message(principal=principal, thread_id=run.thread_id, **later))
    await in_database(redact, principal, run.thread_id, 4)
    after = await in_database(EvaluationCase.objects.get)
    assert (after.messages[1]["content"], after.checks[0]["values"]) == ("no", ["no", "no need"]), "it was said later"
    await in_database(redact, principal, run.thread_id, 2)
    after = await in_database(EvaluationCase.objects.get)
    assert [message["content"] for message in after.messages] == ["Say no more", MARK]
    assert (after.name, after.reference, after.variables) == (MARK, answer, {"tone": "no jokes"})
    assert after.checks[0]["values"] == [MARK, "no need"]
    [result] = await in_database(results_of, done)
    assert (result.answer, result.case["reference"]) == (answer, answer)


@pytest.mark.parametrize("status", ["running", "checking"])
async def test_what_is_just_being_evaluated_is_waited_for(
    model: Model, principal: Principal, evaluation: EvaluationSet, assistant: Assistant, status: str
) -> None:
    run = await answered(model, principal, assistant)
    _, done = await evaluated(model, principal, evaluation, run)
    await in_database(lambda: EvaluationResult.objects.update(status=status))
    with pytest.raises(ApiError, match=done.id) as refused:
        await in_database(redact, principal, run.thread_id, 2)
    assert refused.value.code == "run_active"
    assert (await in_database(at, run.thread_id, 2)).text == QUESTION, "all of it, or nothing"
