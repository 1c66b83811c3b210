"""What waits is sent in order, once, as its person, whether or not anybody looks; and what cannot be sent is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connections, transaction

from assistants import services as assistants
from assistants.models import Assistant
from runs.models import Run
from runs.outbox import chores, services
from runs.outbox.models import QueuedMessage
from runs.services import control, creation
from sovereign.accounts import services as accounts
from sovereign.accounts.models import Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.services.quotas import Limits
from sovereign.core.database import in_database, now
from sovereign.core.errors import ApiError
from tests.runs.support import Gate, Model, age_run, end, ended, text, until, working
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db(transaction=True)

Ask, Queue = Callable[[], Run], Callable[..., QueuedMessage]


def said() -> list[str]:
    return [message.text for message in Message.objects.order_by("position")]


def holds() -> list[tuple[str, str]]:
    return list(QueuedMessage.objects.order_by("position").values_list("hold", "problem"))


async def test_each_is_sent_when_the_answer_before_it_has_ended(
    model: Model, ask: Ask, queue: Queue, chat: Thread, alice: User
) -> None:
    gate = Gate()
    model.answers(*text("One"), gate, end())
    model.answers(*text("Two"), end())
    model.answers(*text("Three"), end())
    await in_database(ask)
    async with working():
        await gate.reached.wait()
        await in_database(queue, "And then?")
        await in_database(queue, "And after that?")
        gate.opened.set()
        await until(lambda: Message.objects.filter(role="assistant", status="completed").count() == 3)
    assert await in_database(said) == ["Hello?", "One", "And then?", "Two", "And after that?", "Three"]
    runs = await in_database(lambda: list(Run.objects.values_list("created_by_user", "thread_id")))
    assert runs == [(alice.pk, chat.pk)] * 3
    assert not await in_database(QueuedMessage.objects.exists)


async def test_one_that_comes_when_the_thread_is_free_by_now_is_sent_at_once(model: Model, queue: Queue) -> None:
    model.answers(*text("Here"), end())
    async with working():
        await in_database(queue, "Anybody?")
        await until(lambda: Message.objects.filter(role="assistant", status="completed").exists())


async def test_after_a_stop_the_next_one_is_sent(model: Model, ask: Ask, queue: Queue, person: Principal) -> None:
    gate = Gate()
    model.answers(*text("One"), gate)
    model.answers(*text("Two"), end())
    run = await in_database(ask)
    async with working():
        await gate.reached.wait()
        await in_database(queue, "Rather this")
        await in_database(control.cancel_run, principal=person, thread_id=run.thread_id, run_id=run.id)
        await until(lambda: Message.objects.filter(role="assistant", status="completed").exists())


@pytest.mark.parametrize("how", ["failed", "expired"])
async def test_after_an_answer_that_went_wrong_it_is_held_until_it_is_sent_or_another_answer_ends_well(
    model: Model, ask: Ask, queue: Queue, person: Principal, chat: Thread, how: str
) -> None:
    run = await in_database(ask)
    await in_database(queue, "And then?")
    await in_database(queue, "And after that?")
    if how == "expired":
        await in_database(age_run, run.id)
    else:
        model.answers(RuntimeError("engine"))
    async with working():
        await ended(run.id)
        await until(lambda: holds()[0][0] == how)
        assert await in_database(Run.objects.count) == 1

        model.answers(*text("Well"), end())  # somebody asks anew …
        model.answers(RuntimeError("engine"))  # … which frees the first one, whose answer fails
        await in_database(ask)
        await until(lambda: [hold for hold, _ in holds()] == ["failed"])
        model.answers(*text("At last"), end())
        assert await in_database(services.send_now, principal=person, thread_id=chat.pk) is not None
        await until(lambda: said()[-1:] == ["At last"])
    assert await in_database(said) == ["Hello?", "Well", "And then?", "And after that?", "At last"]


async def test_what_is_refused_keeps_its_row_and_says_why(
    model: Model, queue: Queue, principal: Principal, person: Principal, assistant: Assistant, chat: Thread, alice: User
) -> None:
    def remove() -> None:
        assistants.delete_assistant(principal=principal, assistant_id=assistant.id)

    first = await in_database(queue, "Anybody?")
    await in_database(remove)
    await in_database(services.send_due, chat.pk)
    assert await in_database(holds) == [("refused", f"No assistant found with id '{assistant.id}'.")]
    assert await in_database(chores.due_threads) == []  # it is not tried for ever
    assert await in_database(services.send_now, principal=person, thread_id=chat.pk) is None

    another = await in_database(assistants.create_assistant, principal=principal, model="tiny")
    change = {"principal": person, "thread_id": chat.pk, "message_id": first.pk}
    await in_database(services.change, **change, assistant_id=another.id)
    await in_database(Membership.objects.filter(user=alice).delete)
    await in_database(services.send_due, chat.pk)
    (hold, problem), *_ = await in_database(holds)
    assert hold == "refused"
    assert "not a member" in problem
    assert await in_database(said) == ["Hello?"]


async def test_one_that_breaks_is_held_and_keeps_no_other(
    queue: Queue, chat: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_database(queue, "Anybody?")
    monkeypatch.setattr(creation, "create_run", lambda **_: 1 / 0)
    await chores._send(chat.pk)
    assert await in_database(holds) == [("refused", services.BROKEN)]


def test_of_many_who_send_at_once_one_does(queue: Queue, chat: Thread, model: Model) -> None:
    queue("Once")
    queue("Later")
    barrier = threading.Barrier(4)
    sent: list[Run | None] = []

    def send() -> None:
        barrier.wait()
        sent.append(services.send_due(chat.pk))
        connections.close_all()

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert len([run for run in sent if run]) == 1
    assert said() == ["Hello?", "Once"]
    assert QueuedMessage.objects.get().preview == "Later"


def test_a_process_that_dies_in_between_leaves_both_or_neither(queue: Queue, chat: Thread, model: Model) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        with transaction.atomic():
            services.send_due(chat.pk)
            raise Killed

    queue("Once")
    with pytest.raises(Killed):
        die()
    assert (said(), Run.objects.count(), QueuedMessage.objects.count()) == (["Hello?"], 0, 1)
    assert services.send_due(chat.pk) is not None
    assert services.send_due(chat.pk) is None
    assert (said(), Run.objects.count(), QueuedMessage.objects.count()) == (["Hello?", "Once"], 1, 0)


def test_nothing_is_sent_by_hand_while_an_answer_is_written(
    ask: Ask, queue: Queue, person: Principal, chat: Thread, model: Model
) -> None:
    ask()
    queue("And then?")
    with pytest.raises(ApiError) as refused:
        services.send_now(principal=person, thread_id=chat.pk)
    assert refused.value.code == "thread_busy"
    assert services.send_due(chat.pk) is None


def test_what_a_limit_refuses_waits_for_it_and_is_sent_by_itself(
    queue: Queue, chat: Thread, project: Project, model: Model
) -> None:
    accounts.set_project_limits(project=project, limits=Limits(requests_per_minute=1))
    for text_of_it in ("One", "Two"):
        queue(text_of_it)
    begun = services.send_due(chat.pk)
    assert begun is not None
    Run.objects.filter(pk=begun.pk).update(status="completed")
    Thread.objects.filter(pk=chat.pk).update(active_run_id=None)

    assert services.send_due(chat.pk) is None, "the first one was the minute's"
    waiting = QueuedMessage.objects.get()
    assert waiting.hold == "refused"
    assert "Rate limit reached for this project on requests" in waiting.problem
    assert waiting.not_before is not None
    assert timedelta(0) < waiting.not_before - now() <= services.LONGEST_WAIT
    assert chores.due_threads() == []

    QueuedMessage.objects.update(not_before=now() - timedelta(seconds=1))
    assert chores.due_threads() == [chat.pk]
    assert services.send_due(chat.pk) is None, "it is as before"
    assert chores.due_threads() == []
    accounts.set_project_limits(project=project, limits=Limits(requests_per_minute=2))
    QueuedMessage.objects.update(not_before=now() - timedelta(seconds=1))
    assert services.send_due(chat.pk) is not None
    assert said()[-2:] == ["One", "Two"]
    assert not QueuedMessage.objects.exists()


def test_a_refusal_that_is_no_limits_is_not_tried_by_itself(
    queue: Queue, chat: Thread, person: Principal, assistant: Assistant
) -> None:
    queue("One")
    assistants.delete_assistant(principal=person, assistant_id=assistant.pk)
    assert services.send_due(chat.pk) is None
    assert QueuedMessage.objects.get().not_before is None
    assert chores.due_threads() == []
