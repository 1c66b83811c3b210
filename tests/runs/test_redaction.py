"""A redacted message: its words lie nowhere any more, and everything about it that is no words stays."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from django.apps import apps
from rest_framework.test import APIClient

from assistants.models import Assistant
from runs.fold import fold
from runs.models import Run, RunEvent, RunStep
from runs.services import control, creation
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES, ROLE_SCOPES, Role
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError
from tests.runs.support import Model, call, end, ended, text, within, working
from threads import services as threads
from threads.models import Message, Thread, ThreadSummary
from threads.redaction import MARK, redact_message

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "4111-1111"


@pytest.fixture
def officer(principal: Principal) -> Principal:
    return Principal(project_id=principal.project_id, key_id="key_officer", scopes=ALL_SCOPES)


def tables_with(word: str) -> set[str]:
    """Every table of the database in which a word stands, in whatever column."""
    found = set()
    for model in apps.get_models():
        for row in model._base_manager.all().values():
            if word in json.dumps(row, default=_readable):
                found.add(model._meta.db_table)
    return found


def _readable(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        try:
            return zlib.decompress(bytes(value)).decode(errors="replace")
        except zlib.error:
            return bytes(value).decode(errors="replace")
    return str(value)


async def talk(model: Model, principal: Principal, assistant: Assistant, thread: Thread, question: str) -> Run:
    """A question whose answer takes a function call, which has the secret in all of its parts."""
    model.answers(*call(0, "weather", f'{{"card": "{SECRET}', '"}'), end("tool_calls"))
    model.answers(*text(f"Your card {SECRET} ", "is ", "fine."), end())
    async with working():
        begun = await in_database(
            lambda: creation.create_run(
                principal=principal, thread_id=thread.id, assistant_id=assistant.id,
                additional_messages=[{"role": "user", "content": question}],
            )
        )  # fmt: skip
        run = await within(ended(begun.run.id))
        outputs = [
            {"tool_call_id": one["id"], "output": f"{SECRET} is good"}
            for one in run.required_action["submit_tool_outputs"]["tool_calls"]
        ]
        await in_database(
            lambda: control.submit_tool_outputs(
                principal=principal, thread_id=thread.id, run_id=run.id, tool_outputs=outputs
            )
        )
        done = await within(ended(run.id))
    assert done.status == "completed", done.last_error
    return done


async def test_a_question_and_its_answer_leave_no_word_behind(
    model: Model, principal: Principal, officer: Principal, tooled: Assistant, alice: User, project: Project
) -> None:
    made = await in_database(lambda: threads.create_thread(principal=principal))
    run = await talk(model, principal, tooled, made, f"Is {SECRET} good?\nMy card")
    await in_database(lambda: ThreadSummary.objects.create(thread=made, up_to=2, text=f"About {SECRET}", model="tiny"))
    assert await in_database(tables_with, SECRET) == {
        "threads_message", "threads_thread", "threads_threadsummary", "runs_runstep", "runs_runevent",
    }  # fmt: skip
    before = await in_database(lambda: list(RunEvent.objects.filter(run=run).values_list("seq", "type")))
    question, answer = await in_database(lambda: list(Message.objects.of_thread(made.id).order_by("position")))

    await in_database(
        lambda: redact_message(principal=officer, thread_id=made.id, message_id=question.id, reason="GDPR")
    )
    assert await in_database(tables_with, SECRET) == {"threads_message", "runs_runevent"}  # of the answer
    shown = await in_database(lambda: Message.objects.get(pk=answer.id))
    assert SECRET in shown.text
    await in_database(lambda: redact_message(principal=officer, thread_id=made.id, message_id=answer.id))
    assert await in_database(tables_with, SECRET) == set()

    after = await in_database(lambda: list(RunEvent.objects.filter(run=run).order_by("seq")))
    assert [(event.seq, event.type) for event in after] == before  # readers resume as before
    folded = fold(after)
    assert folded.text_of(answer.id) == MARK
    step = await in_database(lambda: RunStep.objects.get(run=run, type="tool_calls"))
    assert folded.tool_calls[step.id] == step.tool_calls
    [called] = step.tool_calls
    assert called["function"] == {"name": "weather", "arguments": "{}", "output": MARK}
    assert await in_database(lambda: ThreadSummary.objects.count()) == 0
    assert (await in_database(lambda: Thread.objects.get(pk=made.id))).title == ""
    events = await in_database(lambda: list(AuditEvent.objects.filter(action="message.redacted").order_by("id")))
    assert [(event.object_id, event.key_id) for event in events] == [
        (one.id, "key_officer") for one in (question, answer)
    ]
    assert events[0].details == {"thread": made.id, "runs": [run.id], "reason": "GDPR"}

    model.answers(*text("What?"), end())
    async with working():
        again = await in_database(
            lambda: creation.create_run(
                principal=principal, thread_id=made.id, assistant_id=tooled.id,
                additional_messages=[{"role": "user", "content": "And now?"}],
            )
        )  # fmt: skip
        await within(ended(again.run.id))
    assert SECRET not in json.dumps(model.requests[-1].messages)
    assert MARK in json.dumps(model.requests[-1].messages)


async def test_what_other_conversations_found_is_taken_out_of_their_searches(
    model: Model, principal: Principal, officer: Principal, assistant: Assistant
) -> None:
    def said(*texts: str) -> Thread:
        return threads.create_thread(
            principal=principal, messages=[{"role": "user", "content": text} for text in texts]
        )

    await in_database(Assistant.objects.filter(pk=assistant.pk).update, server_tools=[{"type": "search_threads"}])
    other = await in_database(said, f"A card: {SECRET}, and {'more ' * 200}", "A card of paper")
    asking = await in_database(said, "Which cards?")
    model.answers(
        *call(0, "search_threads", '{"query": "card more"}'),
        *call(1, "search_threads", '{"query": "paper"}'),
        end("tool_calls"),
    )
    model.answers(*text("There is one."), end())
    async with working():
        begun = await in_database(
            lambda: creation.create_run(principal=principal, thread_id=asking.id, assistant_id=assistant.id)
        )
        run = await within(ended(begun.run.id))
    assert await in_database(tables_with, SECRET) == {
        "threads_message", "threads_thread", "runs_runstep", "runs_runevent",
    }  # fmt: skip
    first, _ = await in_database(lambda: list(Message.objects.of_thread(other.id).order_by("position")))
    await in_database(Run.objects.filter(pk=run.id).update, status="in_progress")
    with pytest.raises(ApiError, match=run.id):
        await in_database(lambda: redact_message(principal=officer, thread_id=other.id, message_id=first.id))
    await in_database(Run.objects.filter(pk=run.id).update, status="completed")
    await in_database(lambda: redact_message(principal=officer, thread_id=other.id, message_id=first.id))
    assert await in_database(tables_with, SECRET) == set()
    step = await in_database(lambda: RunStep.objects.get(run=run, type="tool_calls"))
    folded = fold(await in_database(lambda: list(RunEvent.objects.filter(run=run).order_by("seq"))))
    assert folded.tool_calls[step.id] == step.tool_calls
    assert [one["function"]["output"] for one in step.tool_calls] == [MARK, MARK]
    told = await in_database(lambda: AuditEvent.objects.get(action="message.redacted"))
    assert told.details["runs"] == [run.id]
    answer = await in_database(lambda: Message.objects.get(run_id=run.id))
    assert answer.text == "There is one."


async def test_other_runs_of_the_thread_keep_what_they_said(
    model: Model, principal: Principal, officer: Principal, tooled: Assistant
) -> None:
    made = await in_database(lambda: threads.create_thread(principal=principal))
    first = await talk(model, principal, tooled, made, "One?")
    second = await talk(model, principal, tooled, made, "Two?")
    third = await talk(model, principal, tooled, made, "Three?")
    asked = await in_database(lambda: Message.objects.of_thread(made.id).filter(role="user").order_by("position")[1])
    await in_database(lambda: redact_message(principal=officer, thread_id=made.id, message_id=asked.id))
    for run, is_redacted in ((first, False), (second, True), (third, False)):
        step = await in_database(lambda run=run: RunStep.objects.get(run=run, type="tool_calls"))
        assert (SECRET not in json.dumps(step.step_details)) == is_redacted
        answer = await in_database(lambda run=run: Message.objects.get(run_id=run.id))
        events = await in_database(lambda run=run: list(RunEvent.objects.after(run.id, 0)))
        assert answer.text == fold(events).text_of(answer.id) == f"Your card {SECRET} is fine."


def test_an_answer_that_is_kept_to_be_repeated_is_forgotten(api: APIClient, officer: Principal) -> None:
    thread = api.post("/v1/threads", {}, format="json").json()["id"]
    said = {"role": "user", "content": f"My card is {SECRET}"}
    message = api.post(f"/v1/threads/{thread}/messages", said, format="json", HTTP_IDEMPOTENCY_KEY="a").json()["id"]
    api.post(f"/v1/threads/{thread}/messages", {**said, "content": "x"}, format="json", HTTP_IDEMPOTENCY_KEY="b")
    assert "accounts_idempotencyrecord" in tables_with(SECRET)
    redact_message(principal=officer, thread_id=thread, message_id=message)
    assert tables_with(SECRET) == set()
    shown = api.get(f"/v1/threads/{thread}/messages/{message}").json()
    assert shown["content"] == [{"type": "text", "text": {"value": MARK, "annotations": []}}]
    assert "redacted_at" not in shown
    other = api.post(
        f"/v1/threads/{thread}/messages", {**said, "content": "x"}, format="json", HTTP_IDEMPOTENCY_KEY="b"
    )
    assert other.headers["idempotent-replayed"] == "true"


def test_answers_that_tell_it_without_its_id_are_forgotten(
    api: APIClient, principal: Principal, officer: Principal, assistant: Assistant
) -> None:
    """Of conversations that are called by it, and of runs that ask for functions. Those that tell nothing are kept."""

    def start(key: str, text: str) -> Any:
        said = {"assistant_id": assistant.id, "messages": [{"role": "user", "content": text}]}
        return api.post("/api/v1/conversations", said, format="json", HTTP_IDEMPOTENCY_KEY=key)

    thread_id = start("a", f"My card is {SECRET}").json()["thread_id"]
    start("b", "Something else")
    begun = f"/v1/threads/{thread_id}/runs"
    run_id = api.post(begun, {"assistant_id": assistant.id}, format="json", HTTP_IDEMPOTENCY_KEY="c").json()["id"]
    [question] = Message.objects.of_thread(thread_id)
    work = {"name": "weather", "arguments": f'{{"card": "{SECRET}"}}'}
    wanted = {"tool_calls": [{"id": "call_1", "type": "function", "function": work}]}
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": wanted}
    Run.objects.filter(pk=run_id).update(status="requires_action", required_action=action)
    changed = api.post(f"{begun}/{run_id}", {"metadata": {}}, format="json", HTTP_IDEMPOTENCY_KEY="d").json()
    assert SECRET in json.dumps(changed["required_action"])
    Run.objects.filter(pk=run_id).update(status="completed", required_action=None)
    Thread.objects.update(active_run_id=None)

    redact_message(principal=officer, thread_id=thread_id, message_id=question.pk)
    assert tables_with(SECRET) == set()
    assert start("b", "Something else").headers["idempotent-replayed"] == "true"
    again = api.post(begun, {"assistant_id": assistant.id}, format="json", HTTP_IDEMPOTENCY_KEY="c")
    assert (again.headers["idempotent-replayed"], again.json()["id"]) == ("true", run_id)


def test_who_may_and_when(
    principal: Principal, officer: Principal, thread: Thread, assistant: Assistant, alice: User, charlie: User
) -> None:
    [message] = Message.objects.of_thread(thread.id)
    wanted = {"thread_id": thread.id, "message_id": message.id}

    def refusal(who: Principal, **changes: str) -> tuple[int, str | None]:
        with pytest.raises(ApiError) as caught:
            redact_message(principal=who, **{**wanted, **changes})
        return caught.value.status, caught.value.code

    for role in (Role.VIEWER, Role.ANALYST):
        who = Principal(project_id=principal.project_id, user_id=alice.pk, role=role, scopes=ROLE_SCOPES[role])
        assert refusal(who)[0] == 403
    assert refusal(principal)[0] == 403  # what a key may by default
    stranger = Principal(project_id="proj_other", user_id=charlie.pk, role=Role.OWNER, scopes=ROLE_SCOPES[Role.OWNER])
    assert refusal(stranger)[0] == 404
    assert refusal(officer, message_id="msg_none")[0] == 404
    run = creation.create_run(principal=principal, thread_id=thread.id, assistant_id=assistant.id).run
    assert refusal(officer) == (400, "run_active")
    control.cancel_run(principal=principal, thread_id=thread.id, run_id=run.id)
    Run.objects.filter(pk=run.id).update(status="cancelled")
    Thread.objects.update(active_run_id=None)
    first = redact_message(principal=officer, **wanted)
    assert redact_message(principal=officer, **wanted).redacted_at == first.redacted_at
    assert AuditEvent.objects.filter(action="message.redacted").count() == 1
