"""A run's question asked again: what the model is sent then, who may, and that the first run stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from rest_framework.test import APIClient

from assistants.models import Assistant
from assistants.prompts import services as prompts
from assistants.services import links, update_assistant, versions
from inference.chat import ChatRequest
from inference.models import RegisteredModel
from runs.analytics.models import Rollup
from runs.analytics.sources import dimensions_of
from runs.conversations import services as conversations
from runs.models import Run
from runs.services import creation, replaying
from sovereign.accounts import credentials, services
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import CONVERSATIONS_READ, RUNS_READ, RUNS_WRITE, THREADS_WRITE
from sovereign.accounts.services.idempotency import answers_with
from sovereign.core.database import begin_in_database, in_database
from sovereign.core.errors import ApiError
from sovereign.web.chat.sidebar import listed
from tests.runs.support import Model, end, ended, text, working
from threads import copying, redaction, summaries
from threads import services as threads
from threads.models import Message, Thread
from threads.querysets import MessageQuerySet
from threads.redaction import MARK, redact_message

pytestmark = pytest.mark.django_db


def over(run: Run, answer: str = "Hello!") -> Run:
    """As its worker leaves it."""
    thread = Thread.objects.get(pk=run.thread_id)
    message = threads.open_message(thread, message_id=f"msg_{run.pk}", run_id=run.pk, assistant_id="asst_x")
    threads.close_message(message.pk, content=[threads.text_part(answer)])
    Run.objects.filter(pk=run.pk).update(status="completed", started_at=run.created_at, completed_at=run.created_at)
    threads.release(thread.pk, run.pk)
    run.refresh_from_db()
    return run


@pytest.fixture
def run(begin: Callable[..., Run], model: Model) -> Run:
    """A run that is over, with overrides of its own; the talk went on behind it."""
    made = over(begin(instructions="Answer in Latin.", temperature=0.3, metadata={"tone": "dry"}))
    threads.add_messages(Thread.objects.get(pk=made.thread_id), [{"role": "user", "content": "And later?"}])
    return made


def address(run: Run) -> str:
    return f"/api/v1/runs/{run.pk}/replay"


def said_on(run: Run) -> list[tuple[str, str]]:
    rows = Message.objects.of_thread(run.thread_id).order_by("position")
    return [(message.role, message.text) for message in rows]


# ------------------------------------------------------------------------------------------------ what is asked


@pytest.mark.django_db(transaction=True)
async def test_the_model_is_sent_the_very_same_again(
    begin: Callable[..., Run], principal: Principal, model: Model
) -> None:
    async def answered(made: Run, words: str) -> Run:
        model.answers(*text(words), end())
        return await ended(made.pk)

    async with asyncio.timeout(90), working():
        first = await answered(await in_database(begin, instructions="Answer in Latin."), "Salve.")
        later = await answered(await in_database(begin, instructions="Answer in Greek."), "Chaire.")
        again = await in_database(lambda: replaying.replay(principal=principal, run_id=first.pk).run)
        assert (await answered(again, "Ave.")).status == "completed"
        again_later = await in_database(lambda: replaying.replay(principal=principal, run_id=later.pk).run)
        await answered(again_later, "Yassou.")

    def sent(request: ChatRequest) -> dict[str, Any]:
        return {name: getattr(request, name) for name in ("model", "messages", "tools", "temperature", "max_tokens")}

    one, two, one_again, two_again = map(sent, model.requests)
    assert one_again == one
    assert two_again == two
    assert one != two
    assert again.configuration_id == first.configuration_id


def test_it_is_on_a_thread_of_its_own_that_ends_with_the_question(run: Run, principal: Principal) -> None:
    before = said_on(run)
    replay = replaying.replay(principal=principal, run_id=run.pk).run
    assert said_on(replay) == [("user", "Hello?")]
    assert said_on(run) == before == [("user", "Hello?"), ("assistant", "Hello!"), ("user", "And later?")]
    assert (replay.replay_of, replay.environment, replay.deployment_id) == (run.pk, None, None)
    assert replay.metadata == {"tone": "dry", "sovereign_purpose": "replay", "sovereign_replay_of": run.pk}
    assert replay.thread.metadata == replay.metadata
    assert replay.configuration_id == run.configuration_id
    assert dimensions_of(replay).environment == Rollup.TRIAL
    assert list(Run.objects.of_people_and_applications()) == [run]
    event = AuditEvent.objects.get(action="run.replayed")
    assert (event.object_id, event.details["replay"]) == (run.pk, replay.pk)


def test_a_version_answers_with_what_it_is_and_a_model_takes_its_place(
    run: Run, principal: Principal, assistant: Assistant
) -> None:
    RegisteredModel.objects.create(name="other", created_at="2026-01-01T00:00:00Z")
    published = versions.publish(principal=principal, assistant_id=assistant.pk)
    update_assistant(principal=principal, assistant_id=assistant.pk, instructions="Be long.")
    seen = {}
    for name, asked in {
        "version": {"version": "1"},
        "by id": {"version": published.pk},
        "draft": {"version": "draft"},
        "model": {"model": "other"},
        "both": {"version": "1", "model": "other"},
    }.items():
        made = replaying.replay(principal=principal, run_id=run.pk, **asked).run
        data = made.configuration.data
        seen[name] = (data["instructions"], data["model"], made.model, data["temperature"], made.version_id)
    assert seen == {
        "version": ("Be brief.", "tiny", "tiny", 1.0, published.pk),
        "by id": ("Be brief.", "tiny", "tiny", 1.0, published.pk),
        "draft": ("Be long.", "tiny", "tiny", 1.0, None),
        "model": ("Answer in Latin.", "other", "other", 0.3, None),
        "both": ("Be brief.", "other", "other", 1.0, published.pk),
    }


def test_prompts_are_filled_in_as_they_were(alice: User, assistant: Assistant, model: Model) -> None:
    principal = credentials.principal_of_person(alice.pk)
    prompt = prompts.create_prompt(
        principal=principal, name="Town", template="Speak of {{town}} in {{mood}}.",
        variables=[{"name": "town"}, {"name": "mood"}],
    )  # fmt: skip
    links.link_prompt(principal=principal, assistant_id=assistant.pk, prompt_id=prompt.pk)
    conversation = conversations.start(
        principal=principal, assistant_id=assistant.pk, variables={"town": "Bonn", "mood": "awe"}
    )
    run = over(conversations.say(principal=principal, conversation_id=conversation.pk, content="Hello?").run)
    conversations.end(principal=principal, conversation_id=conversation.pk)
    replay = replaying.replay(principal=principal, run_id=run.pk, version="draft").run
    assert (
        replay.configuration.data["instructions"] == run.configuration.data["instructions"] == "Speak of Bonn in awe."
    )
    assert replay.configuration.data["conversation"] == run.configuration.data["conversation"]


def test_a_replay_is_replayed(run: Run, principal: Principal) -> None:
    first = over(replaying.replay(principal=principal, run_id=run.pk).run)
    second = replaying.replay(principal=principal, run_id=first.pk).run
    assert second.replay_of == first.pk
    assert said_on(second) == said_on(first)[:1] == [("user", "Hello?")]


def test_of_a_long_thread_the_opening_and_the_newest_are_copied_with_its_summary(
    begin: Callable[..., Run], principal: Principal, thread: Thread, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("threads.copying.MOST_COPIED", 3)
    threads.add_messages(thread, [{"role": "user", "content": f"message {number}"} for number in range(6)])
    made = begin()
    summaries.add(thread_id=thread.pk, up_to=5, text="They talked.", model="tiny")
    run = over(made)
    Run.objects.filter(pk=run.pk).update(started_at=thread.summaries.get().created_at)
    later = Thread.objects.get(pk=thread.pk)
    threads.add_messages(later, [{"role": "user", "content": "afterwards"}])
    summaries.add(thread_id=thread.pk, up_to=8, text="They talked on.", model="tiny")
    replay = replaying.replay(principal=principal, run_id=run.pk).run
    assert [words for _, words in said_on(replay)] == ["Hello?", "message 3", "message 4", "message 5"]
    copied = replay.thread.summaries.get()
    assert (copied.text, copied.up_to) == ("They talked.", 2)  # up to "message 3", which is the second here


# ------------------------------------------------------------------------------------------------ the API


def test_both_runs_tell_of_each_other(api: APIClient, run: Run) -> None:
    made = api.post(address(run), {}, format="json").json()
    assert (made["object"], made["replay_of"], made["replays"]) == ("run.origin", run.pk, [])
    assert (made["environment"], made["version"], made["status"]) == (None, None, "queued")
    assert made["thread_id"] != run.thread_id
    first = api.get(f"/api/v1/runs/{run.pk}").json()
    assert (first["replay_of"], first["replays"]) == (None, [made["id"]])
    assert api.get(f"/v1/threads/{made['thread_id']}/runs/{made['id']}").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"version": 3}, 400, "invalid_type"),
        ({"version": "x" * 65}, 400, "string_above_max_length"),
        ({"model": ""}, 404, "model_not_found"),
        ({"model": "unknown"}, 404, "model_not_found"),
        ({"version": "9"}, 404, None),
        ({"stream": True}, 400, "unknown_parameter"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    api: APIClient, run: Run, body: dict[str, Any], status: int, code: str | None
) -> None:
    answer = api.post(address(run), body, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert (Run.objects.count(), Thread.objects.count()) == (1, 1)
    assert AuditEvent.objects.filter(action="run.replay_refused", object_id=run.pk).exists()


def test_a_run_at_work_is_not_replayed(api: APIClient, begin: Callable[..., Run], model: Model) -> None:
    answer = api.post(address(begin()), {}, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "run_not_over")


def test_the_assistant_may_be_gone_but_then_it_has_no_versions(
    run: Run, principal: Principal, assistant: Assistant
) -> None:
    assistant.delete()
    assert replaying.replay(principal=principal, run_id=run.pk).run.configuration_id == run.configuration_id
    with pytest.raises(ApiError) as refused:
        replaying.replay(principal=principal, run_id=run.pk, version="draft")
    assert refused.value.status == 404


# ------------------------------------------------------------------------------------------------ who may


def test_another_tenants_run_is_not_there(outsider: APIClient, run: Run) -> None:
    answers = [outsider.post(f"/api/v1/runs/{run_id}/replay", {}, format="json") for run_id in (run.pk, "run_none")]
    assert {answer.status_code for answer in answers} == {404}
    assert Run.objects.count() == 1


@pytest.mark.parametrize("scopes", [[RUNS_READ], [RUNS_WRITE, THREADS_WRITE], [RUNS_READ, RUNS_WRITE]])
def test_scopes_are_needed(
    client_of: Callable[[str], APIClient], project: Project, run: Run, scopes: list[str]
) -> None:
    client = client_of(services.create_api_key(project=project, scopes=scopes)[1])
    assert client.post(address(run), {}, format="json").status_code == 403
    assert Run.objects.count() == 1


def test_what_an_environment_has_is_not_gone_around(
    client_of: Callable[[str], APIClient], project: Project, run: Run, bob: User
) -> None:
    bound = services.create_api_key(project=project, environment="production")[1]
    answer = client_of(bound).post(address(run), {}, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "key_bound_to_environment")
    viewer = User.objects.create_user("vera")
    services.add_member(project=project, user=viewer, role="viewer")
    with pytest.raises(ApiError, match="assistants:deploy"):
        replaying.replay(principal=credentials.principal_of_person(viewer.pk), run_id=run.pk)
    assert replaying.replay(principal=credentials.principal_of_person(bob.pk), run_id=run.pk).run.replay_of == run.pk


def test_a_chat_stays_among_those_who_may_read_it(
    alice: User, bob: User, project: Project, assistant: Assistant, model: Model
) -> None:
    """Alice's chat, replayed by Bob, and by a key: neither copy is everybody's, and no chat list has one."""
    hers = credentials.principal_of_person(alice.pk)
    thread = threads.create_thread(principal=hers, messages=[{"role": "user", "content": "A secret."}])
    run = over(creation.create_run(principal=hers, thread_id=thread.pk, assistant_id=assistant.pk).run)
    his = credentials.principal_of_person(bob.pk)
    assert replaying.replay(principal=his, run_id=run.pk).run.thread.owner_id == bob.pk
    assert AuditEvent.objects.filter(action="thread.read", object_id=thread.pk, user_id=bob.pk).exists()
    secret = services.create_api_key(
        project=project, scopes=[RUNS_READ, RUNS_WRITE, THREADS_WRITE, CONVERSATIONS_READ]
    )[1]
    by_key = replaying.replay(principal=credentials.principal_of_key(secret), run_id=run.pk).run
    assert by_key.thread.owner_id == alice.pk
    assert [entry["id"] for entry in listed(hers)["data"]] == [thread.pk]
    assert listed(his)["data"] == []


def test_what_is_redacted_is_gone_from_replays_too(
    alice: User, assistant: Assistant, thread: Thread, begin: Callable[..., Run], model: Model
) -> None:
    hers = credentials.principal_of_person(alice.pk)
    run = over(begin())
    replay = over(replaying.replay(principal=hers, run_id=run.pk).run)
    again = replaying.replay(principal=hers, run_id=replay.pk).run
    question = Message.objects.get(thread=thread, position=1)
    refused: dict[str, Any] = {"principal": hers, "thread_id": thread.pk, "message_id": question.pk}
    with pytest.raises(ApiError, match=again.pk):  # which reads it
        redact_message(**refused)
    assert said_on(run)[0] == ("user", "Hello?")
    over(again)
    redact_message(**refused)
    assert {said_on(each)[0] for each in (run, replay, again)} == {("user", MARK)}
    assert not Message.objects.filter(content__icontains="Hello?").exists()
    assert not Thread.objects.filter(title__icontains="Hello?").exists()


def test_what_is_copied_while_it_is_redacted_is_redacted_too(
    alice: User, thread: Thread, begin: Callable[..., Run], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    hers = credentials.principal_of_person(alice.pk)
    runs = [over(begin())]
    runs.append(over(replaying.replay(principal=hers, run_id=runs[0].pk).run))

    def meanwhile(project_id: str, signs: Sequence[Collection[str]]) -> list[int]:
        """All threads are copied, when all copies that there were have been found; twice."""
        if len(runs) < 8:
            runs.extend([over(replaying.replay(principal=hers, run_id=run.pk).run) for run in runs])
        return answers_with(project_id, signs)

    monkeypatch.setattr(redaction, "answers_with", meanwhile)
    question = Message.objects.get(thread=thread, position=1)
    wanted = {"thread_id": thread.pk, "message_id": question.pk}
    with monkeypatch.context() as patience:
        patience.setattr(redaction, "ATTEMPTS", 1)
        with pytest.raises(ApiError) as refused:
            redact_message(principal=hers, **wanted)
    assert (refused.value.status, said_on(runs[0])[0]) == (503, ("user", "Hello?")), "all of them, or none"
    redact_message(principal=hers, **wanted)
    assert [said_on(run)[0] for run in runs] == [("user", MARK)] * 8
    assert not Message.objects.filter(content__icontains="Hello?").exists()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="nothing is written beside another transaction")
@pytest.mark.django_db(transaction=True)
def test_nothing_is_redacted_while_it_is_copied(
    run: Run, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[BaseException | None] = []
    first_copied = copying._first_copied

    def lock() -> bool:
        with transaction.atomic():
            return Thread.objects.select_for_update(no_key=True, nowait=True).filter(pk=run.thread_id).exists()

    def meanwhile(said: MessageQuerySet) -> int:
        found.append(begin_in_database(lock).exception(60))
        return first_copied(said)

    monkeypatch.setattr(copying, "_first_copied", meanwhile)
    replaying.replay(principal=principal, run_id=run.pk)
    assert [type(error) for error in found] == [OperationalError], "the lock is the copy's until all of it is there"
    assert begin_in_database(lock).result(60)
