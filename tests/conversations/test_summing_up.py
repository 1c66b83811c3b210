"""A memory that does not break: what does not fit is summed up, and the thread keeps all of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from assistants.models import Assistant
from inference import gateway
from inference.chat import ChatRequest, Delta, EngineUnavailable
from runs.conversations import chores, claims, folding, services
from runs.conversations.models import Conversation
from runs.conversations.view import ContextView, view_of
from runs.models import Run
from runs.states import Status
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database, now
from tests.runs.support import Model, end, ended, text, until, working
from threads import services as threads
from threads import summaries
from threads.models import Message

pytestmark = pytest.mark.django_db(transaction=True)

WINDOW = 250  # tokens
FACT = re.compile(r"My (\w+) is (\w+)\.")
QUESTION = re.compile(r"What is my (\w+)\?")
SMALL_TALK = [f"{number}: how lovely the weather is today, and how green the meadows are!" for number in range(12)]
HISTORY = ["Hello.", "Good day.", "My cat is Mimi.", "Noted.", *SMALL_TALK]


class Reader(Model):
    """Knows what it is sent and nothing else: it sums up as a list of facts, and answers questions about them."""

    def __init__(self) -> None:
        super().__init__()
        self.summing: list[ChatRequest] = []
        self.down: Exception | None = None

    async def stream(self, request: ChatRequest) -> AsyncIterator[Delta]:
        if request.attribution.purpose == "summary":
            self.summing.append(request)
            if self.down is not None:
                raise self.down
            said = " ".join(f"My {thing} is {name}." for thing, name in FACT.findall(said_in(request))) or "Small talk."
        else:
            self.requests.append(request)
            asked = QUESTION.search(request.messages[-1]["content"])
            known = dict(FACT.findall(said_in(request)))
            said = known.get(asked[1], "I do not know") if asked else "Indeed!"
        for delta in (*text(said), end()):
            yield delta


def said_in(request: ChatRequest) -> str:
    return " ".join(message["content"] for message in request.messages)


@pytest.fixture
def reader(model: Model, monkeypatch: pytest.MonkeyPatch) -> Reader:
    reading = Reader()
    monkeypatch.setattr(gateway, "stream", reading.stream)
    monkeypatch.setattr("runs.worker.worker.CHORE", 0.02)
    return reading


@pytest.fixture(autouse=True)
async def no_connection_stays() -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture
def begin(principal: Principal, assistant: Assistant) -> Callable[..., Conversation]:
    def make(**context: Any) -> Conversation:
        said = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(HISTORY)]
        given = {"messages": said, "window_tokens": WINDOW, **context}
        return services.start(principal=principal, assistant_id=assistant.id, **given)

    return make


async def told(principal: Principal, conversation: Conversation, *texts: str) -> str:
    """What is answered to the last of these, each said when nothing is left to do about those before."""
    for said in texts:
        begun = await in_database(services.say, principal=principal, conversation_id=conversation.id, content=said)
        await ended(begun.run.id)
        await until(lambda: not waiting(conversation))
    return (await in_database(thread_of, conversation))[-1]


def waiting(conversation: Conversation) -> bool:
    """Whether it is still to be seen to, and that is not put off."""
    rows = Conversation.objects.filter(pk=conversation.pk)
    return rows.filter(summary_due_at__lte=now()).exists() or rows.exclude(summary_lease_owner=None).exists()


def thread_of(conversation: Conversation) -> list[str]:
    return [message.text for message in Message.objects.of_thread(conversation.thread_id).order_by("position")]


def seen(conversation: Conversation) -> ContextView:
    return view_of(Conversation.objects.get(pk=conversation.pk))


async def test_a_fact_that_only_the_summary_holds_answers_a_later_question(
    principal: Principal, begin: Callable[..., Conversation], reader: Reader
) -> None:
    conversation = await in_database(begin)
    async with working():
        assert await told(principal, conversation, "What is my cat?") == "I do not know", "there is no summary yet"
        assert await told(principal, conversation, "What is my cat?") == "Mimi"
    system, *verbatim = reader.requests[-1].messages
    assert system["content"].startswith(f"Be brief.\n\n{summaries.HEAD}\n> My cat is Mimi.")
    assert "Mimi" not in str(verbatim)
    asked = ["What is my cat?", "I do not know", "What is my cat?"]
    assert [message["content"] for message in verbatim[-4:]] == [SMALL_TALK[-1], *asked]

    assert await in_database(thread_of, conversation) == [*HISTORY, *asked, "Mimi"], "nothing is taken from the thread"
    view = await in_database(seen, conversation)
    assert (view.cut, view.left_out, view.messages) == ("summary", 0, len(HISTORY) + 4)
    shown = await in_database(lambda: Message.objects.get(pk=view.shown_from))
    assert shown.position == view.summarised + 1 > 4, "nothing is between the summary and what is seen word for word"
    assert view.tokens <= WINDOW
    assert {request.attribution.assistant for request in reader.summing} == {conversation.assistant_id}


async def test_what_was_retried_is_in_no_summary(
    principal: Principal, begin: Callable[..., Conversation], reader: Reader
) -> None:
    conversation = await in_database(begin)
    begun = await in_database(services.say, principal=principal, conversation_id=conversation.id, content="Hello?")

    def retry() -> None:
        """As if the answer "Noted." had been given in two tries, of which the first one ended badly."""
        rows = Message.objects.filter(thread_id=conversation.thread_id)
        rows.filter(position=3).update(role="assistant", run_id="run_broken")
        Run.objects.filter(pk=begun.run.id).update(retries="run_broken")

    await in_database(retry)
    async with working():
        await ended(begun.run.id)
        await until(lambda: not waiting(conversation))
        assert await told(principal, conversation, "What is my cat?") == "I do not know"
    assert reader.summing
    assert "Mimi" not in " ".join(said_in(request) for request in [*reader.summing, *reader.requests])
    newest = await in_database(summaries.newest, conversation.thread_id)
    assert newest is not None
    view = await in_database(seen, conversation)
    assert (view.summarised, view.left_out) == (newest.up_to - 1, 0)


async def test_what_is_pruned_is_forgotten_and_said_to_be(
    principal: Principal, begin: Callable[..., Conversation], reader: Reader
) -> None:
    conversation = await in_database(begin, compression="pruning")
    async with working():
        asked = ["What is my cat?"] * 2
        assert await told(principal, conversation, *asked) == "I do not know"
    view = await in_database(seen, conversation)
    assert (view.cut, view.summarised, reader.summing) == ("pruning", 0, [])
    first, oldest = await in_database(lambda: [Message.objects.get(pk=pk) for pk in (view.opening, view.shown_from)])
    assert (first.position, view.left_out) == (1, oldest.position - 2)


async def test_while_the_engine_is_down_the_pruned_window_is_used_and_it_is_said(
    principal: Principal, begin: Callable[..., Conversation], reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "PAUSE", timedelta(hours=1))  # however long what is said meanwhile takes
    reader.down = EngineUnavailable("No engine serves 'tiny' now.")
    conversation = await in_database(begin)
    async with working():
        assert await told(principal, conversation, "Hello?", "What is my cat?") == "I do not know"
        broken = await in_database(Conversation.objects.get, pk=conversation.pk)
        assert broken.summary_error == "No engine serves 'tiny' now."
        assert (broken.summary_attempts, len(reader.summing)) == (1, 1), "whatever is said, it is not tried at once"
        assert (await in_database(seen, conversation)).cut == "pruning"

        reader.down = None
        await in_database(Conversation.objects.filter(pk=conversation.pk).update, summary_due_at=broken.created_at)
        await until(lambda: not waiting(conversation))
        assert await told(principal, conversation, "What is my cat?") == "Mimi"
    mended = await in_database(Conversation.objects.get, pk=conversation.pk)
    assert (mended.summary_error, mended.summary_attempts, mended.summary_due_at) == ("", 0, None)


async def test_one_with_much_to_be_summed_up_lets_others_go_first(
    principal: Principal, begin: Callable[..., Conversation], reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chores, "TURN", 0.0)
    monkeypatch.setattr(folding, "LEAST_READ", 300)
    monkeypatch.setattr(folding, "MOST_READ", 300)

    def ready() -> Conversation:
        conversation = begin()
        run = services.say(principal=principal, conversation_id=conversation.id, content="Hello?").run
        Run.objects.filter(pk=run.pk).update(status=Status.COMPLETED)
        threads.release(run.thread_id, run.id)
        return conversation

    conversation = await in_database(ready)
    for turn in (1, 2):
        claimed = await in_database(claims.claim)
        assert claimed is not None
        await chores._sum_up(claimed)
        assert len(reader.summing) == turn
        left = await in_database(Conversation.objects.get, pk=conversation.pk)
        assert (left.summary_lease_owner, left.summary_attempts) == (None, 0)
        assert left.summary_due_at > claimed.due, "at the end of the line"
