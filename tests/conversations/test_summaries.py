"""What is folded into a summary, by whom, and what becomes of it when the thread changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistants.models import Assistant
from inference.chat import Attribution, ChatRequest
from runs.configuration import cut_of
from runs.conversations import chores, claims, folding, services
from runs.conversations.claims import Claimed
from runs.conversations.folding import Piece
from runs.conversations.models import Conversation
from runs.conversations.view import view_of, window_of
from runs.models import Run
from runs.services import creation
from runs.states import Status
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES
from sovereign.core.database import now
from tests.runs.support import Gate, Model, end, text
from threads import services as threads
from threads import summaries
from threads.models import Message, Thread, ThreadSummary
from threads.redaction import MARK, redact_message

pytestmark = pytest.mark.django_db

Begin = Callable[..., Conversation]
LONG_AGO = timedelta(hours=1)
LARGEST_SMALL_NUMBER = 32_767  # that a column of that kind takes
ROOM_LEFT = 1 - folding.SHARE  # of a window, beside a summary


@pytest.fixture
def begin(principal: Principal, assistant: Assistant, model: Model) -> Begin:
    """``begin(*texts)``: a conversation that had a run, which is over, after messages like these."""

    def make(*texts: str, window_tokens: int | None = 100) -> Conversation:
        said = [{"role": "user", "content": "Hello?"}]
        made = services.start(
            principal=principal, assistant_id=assistant.id, messages=said, window_tokens=window_tokens
        )
        run = services.say(principal=principal, conversation_id=made.id, content="Hello?").run
        end_of(run)
        say(made, *texts)
        return made

    return make


def end_of(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(status=Status.COMPLETED)
    threads.release(run.thread_id, run.id)


def say(conversation: Conversation, *texts: str) -> None:
    drafts = [{"role": ("assistant", "user")[place % 2], "content": text} for place, text in enumerate(texts)]
    threads.add_messages(Thread.objects.get(pk=conversation.thread_id), drafts)


def age(conversation: Conversation, column: str) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(**{column: now() - LONG_AGO})


def claimed(conversation: Conversation) -> Claimed:
    claims.mark_thread(conversation.thread_id)
    age(conversation, "summary_due_at")  # the machine's clock may be set back by some milliseconds
    found = claims.claim()
    assert found is not None
    assert found.conversation_id == conversation.id
    return found


def texts_of(piece: Piece) -> list[str]:
    """Of its messages, as the model is given them."""
    if len(piece.parts) > 1:
        return ["".join(entry["text"] for (entry,) in piece.parts)]
    return [entry["text"] for entry in piece.parts[0]]


def folded(claim: Claimed) -> list[str]:
    """Fold all that is to be folded, and give the texts of the messages that a model was shown for it."""
    shown: list[str] = []
    while (piece := folding.next_piece(claim)) is not None:
        shown += texts_of(piece)
        assert folding.keep(claim, piece, f"Up to {piece.up_to}.") is not None
    return shown


def newest_text(conversation: Conversation) -> str | None:
    newest = summaries.newest(conversation.thread_id)
    return newest.text if newest is not None else None


def all_texts(conversation: Conversation) -> list[str]:
    return [message.text for message in Message.objects.of_thread(conversation.thread_id).order_by("position")]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    turns=st.lists(st.lists(st.integers(min_value=1, max_value=900), max_size=12), min_size=1, max_size=4),
    window_tokens=st.sampled_from([256, 400, None]),
)
def test_every_message_is_seen_summed_up_or_said_to_be_left_out(
    begin: Begin, turns: list[list[int]], window_tokens: int | None
) -> None:
    Conversation.objects.update(summary_due_at=None, summary_lease_expires_at=None)  # of an example that failed
    conversation = begin(window_tokens=window_tokens)
    shown: list[str] = []
    for turn, sizes in enumerate(turns):
        say(conversation, *(f"{turn}.{place} ".ljust(size, "x") for place, size in enumerate(sizes)))
        claim = claimed(conversation)
        shown += folded(claim)
        claims.rest(claim)
        every, view = all_texts(conversation), view_of(conversation)
        assert shown == every[: len(shown)], "each message is folded once, in order, and whole"
        assert len(every) - len(shown) >= folding.LAST
        seen = [message.text for message in window_of(conversation).rows]
        assert view.messages == len(every) == view.summarised + view.left_out + len(seen)
        if view.cut is not None:
            assert seen == every[-len(seen) :]
            assert (
                view.left_out == 0 or sum(map(len, every[-folding.LAST :])) > ROOM_LEFT * (window_tokens or 1_000) * 3
            )


def test_a_message_that_no_model_can_read_at_once_is_read_in_parts(
    begin: Begin, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "MOST_READ", 1_024)
    novel = "".join(f"Chapter {number}: “Ünïcode”. " for number in range(60))
    conversation = begin(novel, "I see.", "Do you?")
    claim = claimed(conversation)
    first = folding.next_piece(claim)
    assert first is not None
    assert (len(first.parts), first.number) == (1, 2), "what is before it goes first"
    folding.keep(claim, first, "They said hello.")
    piece = folding.next_piece(claim)
    assert piece is not None
    assert (piece.so_far, piece.base, piece.number) == ("They said hello.", 2, 1)
    assert texts_of(piece) == [novel]
    assert all(len(part[0]["text"].encode()) <= 1_024 for part in piece.parts)


def test_of_a_message_without_end_the_beginning_and_the_end_are_read(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "MOST_READ", 1_024)
    endless = f"It began. {'…' * 100_000} It ended."
    conversation = begin(endless, "I see.", "Do you?")
    claim = claimed(conversation)
    hello = folding.next_piece(claim)
    assert hello is not None
    folding.keep(claim, hello, "They said hello.")
    piece = folding.next_piece(claim)
    assert piece is not None
    assert len(piece.parts) <= folding.MOST_PARTS + 1, "a character that does not fit begins the next part"
    (read,) = texts_of(piece)
    assert (read[:10], read[-10:], read.count(folding.LEFT_OUT)) == ("It began. ", " It ended.", 1)
    assert folding.keep(claim, piece, "It was long.") is not None


def test_of_messages_that_may_be_large_few_are_read_at_once(
    begin: Begin, django_assert_num_queries: Callable[..., Any]
) -> None:
    conversation = begin(*["x" * 600] * 40)
    with django_assert_num_queries(2) as asked:  # one says what was retried
        _, up_to, number, _ = folding._read(conversation.thread_id, 0, 40, 1_024)
    assert (up_to, number) == (3, 3), "two greetings, and the first long one"
    assert f"LIMIT {folding.READ_AT_ONCE}" in asked[1]["sql"]
    with django_assert_num_queries(5):
        assert folding._read(conversation.thread_id, 0, 16, 60_000)[1:] == (16, 16, 0)


async def test_a_model_that_says_nothing_more_is_not_waited_for(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "SILENCE", 0.05)
    model.answers(*text("They"), Gate())
    with pytest.raises(TimeoutError):
        await chores._written(ChatRequest(model="tiny", messages=[]))
    assert model.closed == 1


async def test_what_a_model_writes_is_cut_where_a_sentence_ends(model: Model) -> None:
    piece = Piece(
        model="tiny", base=0, so_far="", parts=[[{"role": "user", "text": "a"}], [{"role": "user", "text": "b"}]],
        up_to=1, number=1, redacted=0, summary_tokens=20, answer_tokens=30, attribution=Attribution(),
    )  # fmt: skip
    model.answers(*text("First."), end())
    model.answers(*text("One sentence. ", "Another\0 one. ", "And a third one that is longer than all of them."), end())
    assert await chores._told(piece) == "One sentence. Another one."
    second = model.requests[1]
    assert second.messages[1]["content"] == '{"summary":"First.","messages":[{"role":"user","text":"b"}]}'
    assert (second.max_tokens, second.temperature) == (30, 0.0)


def test_of_several_workers_one_sums_up_and_a_dead_ones_work_is_taken_over(begin: Begin) -> None:
    conversation = begin("a" * 200, "b" * 200, "c" * 20, "d" * 20)
    dead = claimed(conversation)
    piece = folding.next_piece(dead)
    assert piece is not None
    assert claims.claim() is None, "somebody has it"
    age(conversation, "summary_lease_expires_at")
    alive = claims.claim()
    assert alive is not None
    assert folding.keep(dead, piece, "Late.") is None, "it is another's"
    assert folding.next_piece(dead) is None
    claims.rest(dead)
    claims.postpone(dead, "Died.")
    assert folded(alive) == texts_of(piece)
    claims.rest(alive)
    assert [summary.text for summary in ThreadSummary.objects.all()] == [f"Up to {piece.up_to}."]
    conversation.refresh_from_db()
    assert (conversation.summary_due_at, conversation.summary_error, conversation.summary_attempts) == (None, "", 0)
    assert claims.claim() is None


def theirs(project: Project, **fields: Any) -> Conversation:
    """A conversation of another project, which is to be summed up."""
    return Conversation.objects.create(
        project=project, thread=Thread.objects.create(project=project), assistant_id="asst_theirs",
        last_activity_at=now(), summary_due_at=now(), **fields,
    )  # fmt: skip


def test_of_one_project_only_some_are_summed_up_at_the_same_time(
    begin: Begin, charlies_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "LOOKED_AT", 1)
    for _ in range(claims.MOST_OF_PROJECT):
        claimed(begin())
    another = begin()
    claims.mark_thread(another.thread_id)
    age(another, "summary_due_at")
    younger = theirs(charlies_project)
    claim = claims.claim()
    assert claim is not None
    assert claim.conversation_id == younger.id, "however many of another project wait for longer"
    assert claims.claim() is None
    assert chores.PLACES > claims.MOST_OF_PROJECT, "one project does not take all of a worker"
    Conversation.objects.exclude(pk=another.pk).update(summary_lease_owner=None, summary_lease_expires_at=None)
    assert claims.claim() is not None


def test_it_is_not_tried_for_ever(begin: Begin) -> None:
    conversation = begin()
    for attempt in range(1, claims.MOST_ATTEMPTS + 1):
        claim = claimed(conversation)
        assert claim.attempt == attempt
        claims.postpone(claim, "The engine is down.")
        assert claims.claim() is None, "there is a pause"
        conversation.refresh_from_db()
        assert (conversation.summary_due_at is None) is (attempt == claims.MOST_ATTEMPTS)
        Conversation.objects.filter(pk=conversation.pk, summary_due_at__isnull=False).update(summary_due_at=now())
    assert conversation.summary_error == "The engine is down."


def test_one_that_always_fails_is_tried_once_for_each_message(begin: Begin) -> None:
    conversation = begin()
    for attempts in (claims.MOST_ATTEMPTS, 1_000, LARGEST_SMALL_NUMBER):
        Conversation.objects.update(summary_attempts=attempts)
        claims.postpone(claimed(conversation), "The model wrote nothing.")
        conversation.refresh_from_db()
        assert (conversation.summary_due_at, conversation.summary_lease_owner) == (None, None)
        assert conversation.summary_attempts == claims.MOST_ATTEMPTS


def test_one_that_ends_the_workers_is_left_alone(begin: Begin, charlies_project: Project) -> None:
    conversation = begin()
    claims.mark_thread(conversation.thread_id)
    for _ in range(claims.MOST_ATTEMPTS):
        assert claims.claim() is not None
        age(conversation, "summary_lease_expires_at")
    next_one = theirs(charlies_project)
    claim = claims.claim()
    assert claim is not None
    assert claim.conversation_id == next_one.id
    conversation.refresh_from_db()
    assert (conversation.summary_due_at, conversation.summary_error) == (None, claims.DIED)
    assert claimed(conversation).attempt == claims.MOST_ATTEMPTS, "until somebody says something again"


@pytest.mark.parametrize("how", [claims.rest, partial(claims.postpone, reason="It did not work.")])
def test_what_changes_while_one_is_summed_up_is_looked_at_afterwards(begin: Begin, how: Callable[..., None]) -> None:
    conversation = begin()
    claims.mark_thread(conversation.thread_id)
    age(conversation, "summary_due_at")
    Conversation.objects.update(summary_attempts=claims.MOST_ATTEMPTS - 1)
    claim = claims.claim()
    assert claim is not None
    claims.mark_thread(conversation.thread_id)
    how(claim)
    again = claims.claim()
    assert again is not None
    how(again)
    assert claims.claim() is None


def test_a_run_is_waited_for_unless_there_always_is_one(begin: Begin, principal: Principal) -> None:
    conversation = begin("a" * 200, "b" * 200, "c" * 20, "d" * 20)
    run = services.say(principal=principal, conversation_id=conversation.id, content="And?").run
    assert Conversation.objects.get().summary_due_at is not None
    assert claims.claim() is None
    Conversation.objects.update(summary_due_at=now() - 2 * claims.PATIENCE)
    claim = claims.claim()
    assert claim is not None
    own = Message.objects.create(
        project_id=run.project_id, thread_id=run.thread_id, position=99, role="assistant", run_id=run.id,
        content=[threads.text_part("x" * 2_000)],
    )  # fmt: skip
    piece = folding.next_piece(claim)
    assert piece is not None
    assert piece.up_to < own.position - 2, "what the run says itself is in its own hands"
    folding.keep(claim, piece, "So far.")
    claims.rest(claim)
    conversation.refresh_from_db()
    assert conversation.summary_due_at is not None, "there is more to come"
    end_of(run)
    assert claims.claim() is not None


def test_a_deleted_message_is_in_no_summary(begin: Begin, principal: Principal) -> None:
    conversation = begin("a" * 200, "b" * 200, "My PIN is 1234.", "d" * 200, "e" * 20, "f" * 20)
    claim = claimed(conversation)
    summaries.add(thread_id=conversation.thread_id, up_to=3, text="Hello.", model="tiny")
    piece = folding.next_piece(claim)
    assert piece is not None
    assert "My PIN is 1234." in texts_of(piece)
    secret = Message.objects.get(position=5)
    threads.delete_message(principal=principal, thread_id=conversation.thread_id, message_id=secret.id)
    assert folding.keep(claim, piece, "The PIN is 1234.") is None, "it was deleted while the model wrote"
    again = folding.next_piece(claim)
    assert again is not None
    assert "My PIN is 1234." not in texts_of(again)
    assert folding.keep(claim, again, "Nothing is secret.") is not None
    assert newest_text(conversation) == "Nothing is secret."

    claims.rest(claim)
    assert claims.claim() is None
    late = Message.objects.get(position=4)
    threads.delete_message(principal=principal, thread_id=conversation.thread_id, message_id=late.id)
    assert newest_text(conversation) == "Hello.", "what came before it is still known"
    assert claims.claim() is not None, "the others are summed up anew, whether or not somebody says something"


def test_what_is_redacted_while_the_model_reads_it_is_in_no_summary(begin: Begin, principal: Principal) -> None:
    conversation = begin("a" * 200, "My PIN is 1234.", "c" * 200, "d" * 200, "e" * 20, "f" * 20)
    claim = claimed(conversation)
    piece = folding.next_piece(claim)
    assert piece is not None
    assert "My PIN is 1234." in texts_of(piece)
    secret = Message.objects.get(position=4)
    officer = replace(principal, scopes=ALL_SCOPES)
    redact_message(principal=officer, thread_id=conversation.thread_id, message_id=secret.id)
    assert folding.keep(claim, piece, "The PIN is 1234.") is None
    assert newest_text(conversation) is None
    again = folding.next_piece(claim)
    assert again is not None
    assert (MARK in texts_of(again), "My PIN is 1234." in texts_of(again)) == (True, False)
    assert folding.keep(claim, again, "Nothing is secret.") is not None, "one that was redacted before is no reason"


@pytest.mark.parametrize("change", ["ended", "pruning"])
def test_nothing_is_summed_up_for_nobody(begin: Begin, principal: Principal, change: str) -> None:
    conversation = begin("a" * 200, "b" * 200, "c" * 20, "d" * 20)
    claim = claimed(conversation)
    if change == "ended":
        services.end(principal=principal, conversation_id=conversation.id)
    else:
        services.change_context(principal=principal, conversation_id=conversation.id, compression="pruning")
    assert folding.next_piece(claim) is None
    claims.rest(claim)
    assert Conversation.objects.get().summary_due_at is None


def test_a_request_that_says_itself_how_the_thread_is_cut_is_obeyed(begin: Begin, principal: Principal) -> None:
    conversation = begin()
    request = {"thread_id": conversation.thread_id, "assistant_id": conversation.assistant_id}
    told = {"type": "last_messages", "last_messages": 1}
    run = creation.create_run(principal=principal, **request, truncation_strategy=told).run
    assert cut_of(run.configuration.data) == {"truncation": told, "window_tokens": None, "is_summed_up": False}
    end_of(run)
    run = creation.create_run(principal=principal, **request).run
    assert cut_of(run.configuration.data)["window_tokens"] == conversation.window_tokens
