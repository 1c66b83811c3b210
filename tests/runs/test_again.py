"""An answer that ended badly is continued or retried by another run: what models are sent, and who may ask for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from inference.chat import Capabilities
from runs.models import Run
from runs.services import again, branching, control, creation, replaying
from runs.worker.conversation import GO_ON
from runs.worker.retracing import retrace, turns_of
from sovereign.accounts import credentials
from sovereign.accounts.models import User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import CONVERSATIONS_READ
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError
from tests.runs.support import (
    Gate,
    Model,
    answer_of,
    call,
    end,
    ended,
    kill,
    outputs_for,
    streamed_text,
    text,
    until,
    working,
)
from threads import services as threads
from threads import summaries
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db(transaction=True)

Begin = Callable[..., Run]


@pytest.fixture
def resume(principal: Principal, thread: Thread) -> Callable[[Any, str], Run]:
    return lambda how, run_id: how(principal=principal, thread_id=thread.id, run_id=run_id).run


@pytest.fixture
def say(principal: Principal, thread: Thread) -> Callable[[str], Any]:
    return lambda content: threads.create_message(
        principal=principal, thread_id=thread.id, role="user", content=content
    )


async def cut(model: Model, begin: Begin, *pieces: str) -> Run:
    """A run that broke off after these."""
    model.answers(*text(*pieces), RuntimeError("engine"))
    run = await in_database(begin)
    return await ended(run.id)


def sent(model: Model) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in model.requests[-1].messages]


ASKED = [("system", "Be brief."), ("user", "Hello?")]


async def test_the_engine_goes_on_with_what_was_kept_and_later_runs_see_one_answer(
    model: Model, begin: Begin, resume: Callable[..., Run], say: Callable[..., Any]
) -> None:
    async with working():
        first = await cut(model, begin, "Once upon", " a")
        model.answers(*text(" time", " there"), RuntimeError("engine"))
        second = await ended((await in_database(resume, again.continue_answer, first.id)).id)
        assert sent(model) == [*ASKED, ("assistant", "Once upon a")]
        assert model.requests[-1].continues
        assert (second.continues, second.status) == (first.id, "failed")

        model.answers(*text(" was."), end())
        third = await ended((await in_database(resume, again.continue_answer, second.id)).id)
        assert sent(model) == [*ASKED, ("assistant", "Once upon a time there")]
        assert (await in_database(answer_of, third.id)).text == " was."
        parts = [await in_database(answer_of, run.id) for run in (first, second, third)]
        assert [part.goes_on_with for part in parts] == [None, parts[0].pk, parts[1].pk]

        model.answers(*text("Yes."), end())
        await in_database(say, "Go on?")
        await ended((await in_database(begin)).id)
    assert sent(model) == [*ASKED, ("assistant", "Once upon a time there was."), ("user", "Go on?")]


async def test_an_engine_that_cannot_is_asked_to_in_words_that_the_thread_does_not_keep(
    model: Model, begin: Begin, resume: Callable[..., Run], thread: Thread
) -> None:
    model.capabilities = Capabilities(continuation=False, context_length=8_192)
    async with working():
        first = await cut(model, begin, "Once upon a")
        model.answers(*text(" time."), end())
        await ended((await in_database(resume, again.continue_answer, first.id)).id)
    assert sent(model) == [*ASKED, ("assistant", "Once upon a"), ("user", GO_ON)]
    assert not model.requests[-1].continues
    said = await in_database(lambda: [message.text for message in thread.messages.order_by("position")])
    assert said == ["Hello?", "Once upon a", " time."]


async def test_a_continuation_whose_worker_dies_goes_on_from_both_texts(
    model: Model, begin: Begin, resume: Callable[..., Run]
) -> None:
    gate = Gate()
    async with working() as worker:
        first = await cut(model, begin, "Once upon")
        model.answers(*text(" a"), gate, end())
        second = await in_database(resume, again.continue_answer, first.id)
        await gate.reached.wait()
        await until(lambda: streamed_text(second.id) == " a")
        model.answers(*text(" time."), end())
        await kill(worker, second.id)
        await ended(second.id)
    assert sent(model)[-1] == ("assistant", "Once upon a")
    assert (await in_database(answer_of, second.id)).text == " a time."


async def test_a_continuation_may_call_tools(
    model: Model, begin: Begin, resume: Callable[..., Run], tooled: Any, thread: Thread, principal: Principal
) -> None:
    async with working():
        model.answers(*text("Let me look"), RuntimeError("engine"))
        first = await ended((await in_database(begin, assistant_id=tooled.id)).id)
        model.answers(*call(0, "weather"), end("tool_calls"))
        second = await ended((await in_database(resume, again.continue_answer, first.id)).id)
        model.answers(*text("Sunny."), end())
        outputs = {"tool_outputs": outputs_for(second), "thread_id": thread.id, "run_id": second.id}
        await in_database(control.submit_tool_outputs, principal=principal, **outputs)
        await ended(second.id)
    last = model.requests[-1]
    assert [message["role"] for message in last.messages] == ["user", "assistant", "tool"]
    assert last.messages[1]["content"] == "Let me look"
    assert not last.continues


async def test_a_retry_and_all_later_runs_see_nothing_of_what_went_wrong(
    model: Model, begin: Begin, resume: Callable[..., Run], say: Callable[..., Any]
) -> None:
    async with working():
        first = await cut(model, begin, "Once")
        model.answers(*text(" upon"), RuntimeError("engine"))
        second = await ended((await in_database(resume, again.continue_answer, first.id)).id)
        model.answers(*text("Here it is."), end())
        third = await ended((await in_database(resume, again.retry, second.id)).id)
        assert sent(model) == ASKED
        assert third.retries == second.id

        model.answers(*text("Yes."), end())
        await in_database(say, "More?")
        await ended((await in_database(begin)).id)
    assert sent(model) == [*ASKED, ("assistant", "Here it is."), ("user", "More?")]


async def test_what_cannot_be_done_again_is_told(model: Model, begin: Begin, resume: Callable[..., Run]) -> None:
    async def refusal(how: Any, run_id: str) -> str | None:
        with pytest.raises(ApiError) as refused:
            await in_database(resume, how, run_id)
        return refused.value.code

    async with working():
        model.answers(RuntimeError("engine"))
        silent = await ended((await in_database(begin)).id)
        assert await refusal(again.continue_answer, silent.id) == "nothing_to_continue"
        model.answers(*text("Well."), end())
        good = await ended((await in_database(begin)).id)
    assert await refusal(again.retry, good.id) == "run_ended_well"
    assert await refusal(again.retry, silent.id) == "run_not_newest"
    waiting = await in_database(begin)
    assert await refusal(again.retry, waiting.id) == "run_not_over"
    assert await refusal(again.retry, "run_unknown") is None  # 404


async def test_a_question_that_was_asked_since_is_not_gone_over(
    model: Model, begin: Begin, resume: Callable[..., Run], say: Callable[..., Any]
) -> None:
    async with working():
        first = await cut(model, begin, "Once")
    await in_database(say, "Or this?")
    for how in (again.continue_answer, again.retry):
        with pytest.raises(ApiError, match="gone on since"):
            await in_database(resume, how, first.id)


async def test_nobody_else_goes_on_with_a_persons_chat(
    model: Model, alice: User, bob: User, principal: Principal, assistant: Any
) -> None:
    owner = await in_database(credentials.principal_of_person, alice.pk, principal.project_id)
    colleague = await in_database(credentials.principal_of_person, bob.pk, principal.project_id)
    other = replace(colleague, scopes=colleague.scopes - {CONVERSATIONS_READ})
    model.answers(*text("Once"), RuntimeError("engine"))
    question = {"messages": [{"role": "user", "content": "Hello?"}]}
    begun = await in_database(
        creation.create_thread_and_run, principal=owner, assistant_id=assistant.id, thread=question
    )
    async with working():
        await ended(begun.run.id)
    for how in (again.continue_answer, again.retry):
        with pytest.raises(ApiError) as refused:
            await in_database(how, principal=other, thread_id=begun.run.thread_id, run_id=begun.run.id)
        assert refused.value.status == 404


async def test_what_a_model_was_sent_is_retraced_whatever_was_retried_since(
    model: Model, begin: Begin, resume: Callable[..., Run]
) -> None:
    model.capabilities = Capabilities(continuation=False, context_length=8_192)
    async with working():
        first = await cut(model, begin, "Once")
        model.answers(*text(" upon"), RuntimeError("engine"))
        second = await ended((await in_database(resume, again.continue_answer, first.id)).id)
        was_sent = sent(model)
        model.answers(*text("Here it is."), end())
        await ended((await in_database(resume, again.retry, second.id)).id)

    def retraced() -> list[tuple[str, str]]:
        run = Run.objects.select_related("configuration", "thread").get(pk=second.pk)
        request = retrace(run, turns_of(run)[0]).request
        return [(message["role"], message["content"]) for message in request.messages]

    assert await in_database(retraced) == was_sent == [*ASKED, ("assistant", "Once"), ("user", GO_ON)]


async def test_a_branch_has_what_models_are_sent_and_nothing_of_what_was_retried(
    model: Model, begin: Begin, resume: Callable[..., Run], say: Any, principal: Principal, thread: Thread
) -> None:
    async def branched(source: str) -> Run:
        """Its last question, put otherwise."""
        asked = Message.objects.filter(thread=source, role="user")
        newest = await in_database(lambda: asked.latest("position"))
        more = {"message_id": newest.pk, "assistant_id": newest_run.assistant_id, "said": {"content": "Or that?"}}
        made = await in_database(branching.branch, principal=principal, thread_id=source, **more)
        return await ended(made.run.id)

    async with working():
        broken = await cut(model, begin, "Broken")
        model.answers(*text("Once upon"), RuntimeError("engine"))
        retried = await ended((await in_database(resume, again.retry, broken.id)).id)
        model.answers(*text(" a time."), end())
        await ended((await in_database(resume, again.continue_answer, retried.id)).id)
        model.answers(*text("Yes."), end())
        await in_database(say, "Go on?")
        newest_run = await ended((await in_database(begin)).id)
        expected = [*ASKED, ("assistant", "Once upon a time."), ("user", "Or that?")]
        for _ in range(3):
            model.answers(*text("No."), end())
        first = await branched(thread.id)
        assert sent(model) == expected
        await branched(first.thread_id)  # whose messages are copies, and copied once more
        assert sent(model) == expected
        await ended((await in_database(replaying.replay, principal=principal, run_id=newest_run.id)).run.id)
        assert sent(model) == [*expected[:-1], ("user", "Go on?")]


async def test_a_summary_of_what_is_retried_is_forgotten(
    model: Model, begin: Begin, resume: Callable[..., Run], thread: Thread
) -> None:
    async with working():
        broken = await cut(model, begin, "Broken")

    def sum_up(position: int) -> None:
        summaries.add(thread_id=thread.id, up_to=position, text="So far.", model="tiny")

    for position in (1, 2):
        await in_database(sum_up, position)
    await in_database(resume, again.retry, broken.id)
    left = await in_database(summaries.newest, thread.id)
    assert left is not None
    assert left.up_to == 1
