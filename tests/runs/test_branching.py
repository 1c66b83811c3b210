"""A question put otherwise and an answer made again: on a branch, and what was said stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from assistants.models import Assistant
from inference.models import RegisteredModel
from runs.models import Run
from runs.services import branching, creation
from sovereign.accounts import credentials
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from sovereign.web.chat.sidebar import listed
from tests.knowledge.filled import a_file
from tests.runs.test_replays import over
from threads import branches, comparing, keeping, services, summaries
from threads.branches import Version
from threads.context import window
from threads.models import Message, Thread
from threads.redaction import MARK, redact_message

pytestmark = pytest.mark.django_db


@pytest.fixture
def hers(alice: User, project: Project) -> Principal:
    """Alice, as she is in the chat."""
    return credentials.principal_of_person(alice.pk)


@pytest.fixture
def talk(hers: Principal, assistant: Assistant) -> Thread:
    """Two questions, and their answers."""
    thread = services.create_thread(principal=hers, metadata={"tone": "dry", "sovereign_purpose": "trial"})
    for question, answer in (("One?", "1."), ("Two?", "2.")):
        said = {"role": "user", "content": question}
        over(ask(hers, thread, assistant, additional_messages=[said]), answer)
    return Thread.objects.get(pk=thread.pk)


def ask(hers: Principal, thread: Thread, assistant: Assistant, **request: Any) -> Run:
    return creation.create_run(principal=hers, thread_id=thread.pk, assistant_id=assistant.pk, **request).run


def texts(thread: Thread) -> list[str]:
    return [message.text for message in Message.objects.of_thread(thread.pk).order_by("position")]


def at(thread: Thread, position: int) -> Message:
    return Message.objects.get(thread=thread, position=position)


@pytest.fixture
def branch(hers: Principal, assistant: Assistant) -> Callable[..., Run]:
    """``branch(thread, position, text, answer)``: a branch at a message; without a text the answer is made again."""

    def make(thread: Thread, position: int, text: str | None = None, answer: str = "Otherwise.", **more: Any) -> Run:
        run = branching.branch(
            principal=hers,
            thread_id=thread.pk,
            message_id=at(thread, position).pk,
            assistant_id=assistant.pk,
            said=None if text is None else {"content": text},
            **more,
        ).run
        return over(run, answer)

    return make


def shown(thread: Thread, user: User) -> dict[str, str]:
    """``{text of the message: "2 of 3"}`` of where the thread branches."""
    forks = branches.forks(Thread.objects.get(pk=thread.pk), user.pk)
    words = {fork.message_id: f"{fork.current + 1} of {len(fork.versions)}" for fork in forks}
    return {message.text: words[message.pk] for message in Message.objects.filter(pk__in=words)}


def test_a_question_put_otherwise_leaves_what_there_is(
    alice: User, talk: Thread, branch: Callable[..., Run], hers: Principal
) -> None:
    run = branch(talk, 3, "Three?", "3.")
    assert texts(talk) == ["One?", "1.", "Two?", "2."]
    assert texts(run.thread) == ["One?", "1.", "Three?", "3."]
    assert (run.thread.title, run.thread.owner_id, run.thread.metadata) == ("One?", alice.pk, {"tone": "dry"})
    copied = at(run.thread, 2)
    assert (copied.assistant_id, copied.run_id) == (at(talk, 2).assistant_id, None), "who said it is still told"
    assert branches.origin_of(run.thread, alice.pk) == talk
    assert [entry["is_branch"] for entry in listed(hers)["data"]] == [True], "and a trial is no chat"


def test_an_answer_made_again_answers_the_same_question(talk: Thread, branch: Callable[..., Run]) -> None:
    run = branch(talk, 4, answer="Two.")
    assert texts(run.thread) == ["One?", "1.", "Two?", "Two."]
    assert texts(branch(talk, 2, answer="I").thread) == ["One?", "I"]


def test_siblings_are_told_wherever_one_is(alice: User, talk: Thread, branch: Callable[..., Run]) -> None:
    assert shown(talk, alice) == {}
    second = branch(talk, 3, "Zwei?").thread
    third = branch(second, 3, "Deux?").thread  # of the branch's own message: of the same fork
    deeper = branch(third, 1, "Un?").thread  # of a message that it has from the first one
    regenerated = branch(third, 4, answer="Autrement.").thread
    assert shown(talk, alice) == {"Two?": "1 of 3", "One?": "1 of 2"}
    assert shown(second, alice) == {"Zwei?": "2 of 3", "One?": "1 of 2"}
    assert shown(third, alice) == {"Deux?": "3 of 3", "One?": "1 of 2", "Otherwise.": "1 of 2"}
    assert shown(deeper, alice) == {"Un?": "2 of 2"}
    assert shown(regenerated, alice) == {"Deux?": "3 of 3", "One?": "1 of 2", "Autrement.": "2 of 2"}
    fork = next(fork for fork in branches.forks(talk, alice.pk) if len(fork.versions) == 3)
    assert fork.versions == [Version(each.pk, at(each, 3).pk) for each in (talk, second, third)]


def test_what_was_thrown_away_is_no_sibling(
    alice: User, bob: User, hers: Principal, talk: Thread, branch: Callable[..., Run]
) -> None:
    second, third = branch(talk, 3, "Zwei?").thread, branch(talk, 3, "Deux?").thread
    assert branches.forks(talk, bob.pk) == []
    keeping.trash(principal=hers, thread_id=second.pk)
    assert shown(talk, alice) == {"Two?": "1 of 2"}
    keeping.trash(principal=hers, thread_id=talk.pk)
    assert shown(third, alice) == {}
    assert branches.origin_of(third, alice.pk) is None


def test_a_branch_that_is_being_answered_is_one_already(
    alice: User, hers: Principal, assistant: Assistant, talk: Thread
) -> None:
    run = branching.branch(principal=hers, thread_id=talk.pk, message_id=at(talk, 4).pk, assistant_id=assistant.pk).run
    (fork,) = branches.forks(Thread.objects.get(pk=run.thread_id), alice.pk)
    assert (fork.message_id, fork.current) == (None, 1)
    assert fork.versions[1] == Version(run.thread_id, None)


def test_what_came_with_a_message_comes_along(
    hers: Principal, assistant: Assistant, talk: Thread, project: Project
) -> None:
    """Sources, pictures and files of what was said before; of an edited message what it had, or what it is to have."""
    cited = {"type": "text", "text": {"value": "See [1].", "annotations": [{"type": "file_citation", "text": "[1]"}]}}
    picture = {"type": "image_file", "image_file": {"file_id": "file-x"}}
    attached = [{"file_id": "file-y", "tools": []}]
    Message.objects.filter(thread=talk, position=2).update(content=[picture, cited])
    Message.objects.filter(thread=talk, position=1).update(attachments=attached)
    wanted: dict[str, Any] = {"principal": hers, "thread_id": talk.pk, "assistant_id": assistant.pk}
    run = branching.branch(message_id=at(talk, 3).pk, said={"content": "Three?"}, **wanted).run
    assert (at(run.thread, 2).content, at(run.thread, 1).attachments) == ([picture, cited], attached)
    sent = window(thread_id=run.thread_id, before_run=run.pk, truncation={"type": "auto"}, context_length=None).messages
    assert sent[1] == {"role": "assistant", "content": "See [1]."}, "a model's own pictures are not what it said"
    kept = {"file_id": a_file(project).pk, "tools": [{"type": "code_interpreter"}]}
    Message.objects.filter(thread=talk, position=1).update(attachments=[kept, *attached])
    edited = branching.branch(message_id=at(talk, 1).pk, said={"content": "Null?"}, **wanted).run
    assert at(edited.thread, 1).attachments == [kept], "the other file was deleted since"
    assert edited.thread.tool_resources == {"code_interpreter": {"file_ids": [kept["file_id"]]}}
    without = branching.branch(message_id=at(talk, 1).pk, said={"content": "Null?", "attachments": []}, **wanted).run
    assert at(without.thread, 1).attachments == []


def test_a_summary_comes_along_as_far_as_it_is_of_what_was_said_before(
    talk: Thread, branch: Callable[..., Run]
) -> None:
    for up_to in (2, 3):
        summaries.add(thread_id=talk.pk, up_to=up_to, text=f"up to {up_to}", model="tiny")
    kept = summaries.newest(branch(talk, 3, "Three?").thread_id)
    assert kept is not None
    assert (kept.up_to, kept.text) == (2, "up to 2")


def test_another_model_may_answer(
    hers: Principal, assistant: Assistant, talk: Thread, registered: RegisteredModel
) -> None:
    wanted: dict[str, Any] = {"principal": hers, "thread_id": talk.pk, "assistant_id": assistant.pk}
    other = RegisteredModel.objects.create(name="other", created_at=registered.created_at)
    run = branching.branch(message_id=at(talk, 4).pk, model=other.name, **wanted).run
    assert run.model == "other"
    before = Thread.objects.count()
    for more, status in (({"model": "nobody's"}, 404), ({"said": {"content": "no question of hers"}}, 400)):
        with pytest.raises(ApiError) as refused, transaction.atomic():
            branching.branch(message_id=at(talk, 4).pk, **wanted, **more)
        assert refused.value.status == status
    assert Thread.objects.count() == before, "what is refused leaves no branch"


def test_what_is_being_written_is_not_made_again(hers: Principal, assistant: Assistant, talk: Thread) -> None:
    run = ask(hers, talk, assistant, additional_messages=[{"role": "user", "content": "Three?"}])
    thread = Thread.objects.get(pk=talk.pk)
    services.open_message(thread, message_id="msg_new", run_id=run.pk, assistant_id=assistant.pk)
    wanted: dict[str, Any] = {"principal": hers, "thread_id": talk.pk, "assistant_id": assistant.pk}
    with pytest.raises(ApiError, match="still being written"):
        branching.branch(message_id="msg_new", **wanted)
    earlier = branching.branch(message_id=at(talk, 4).pk, **wanted).run
    assert texts(earlier.thread) == ["One?", "1.", "Two?"], "what was said before can be, meanwhile"


def test_a_redaction_finds_what_branches_have(hers: Principal, talk: Thread, branch: Callable[..., Run]) -> None:
    second = branch(talk, 3, "Zwei?").thread
    deeper = branch(second, 3, "Deux?").thread
    redact_message(principal=hers, thread_id=talk.pk, message_id=at(talk, 1).pk)
    assert [texts(thread)[0] for thread in (talk, second, deeper)] == [MARK] * 3
    assert not Thread.objects.filter(title__icontains="One").exists()


def test_a_redaction_on_a_branch_finds_the_original_and_its_siblings(
    hers: Principal, talk: Thread, branch: Callable[..., Run]
) -> None:
    second, third = branch(talk, 3, "Zwei?").thread, branch(talk, 3, "Deux?").thread
    deeper = branch(second, 3, "Deux?").thread
    redact_message(principal=hers, thread_id=deeper.pk, message_id=at(deeper, 2).pk)
    threads = [talk, second, third, deeper]
    assert [texts(thread)[:2] for thread in threads] == [["One?", MARK]] * 4
    assert AuditEvent.objects.filter(action="message.redacted").count() == 4
    keeping.trash(principal=hers, thread_id=second.pk)
    services.delete_thread(principal=hers, thread_id=talk.pk)  # where it was said first
    redact_message(principal=hers, thread_id=deeper.pk, message_id=at(deeper, 1).pk)
    assert [texts(thread)[0] for thread in (second, third, deeper)] == [MARK] * 3, "also in the trash"


def test_a_branch_that_begins_otherwise_is_called_by_no_redacted_words(
    hers: Principal, talk: Thread, branch: Callable[..., Run]
) -> None:
    otherwise = branch(talk, 1, "Un?").thread
    assert (texts(otherwise)[0], otherwise.title) == ("Un?", "One?")
    redact_message(principal=hers, thread_id=talk.pk, message_id=at(talk, 1).pk)
    assert not Thread.objects.filter(title__icontains="One").exists()
    assert texts(otherwise)[0] == "Un?"


def test_a_redaction_finds_summaries_on_branches_that_have_no_copy_of_the_message(
    hers: Principal, talk: Thread, assistant: Assistant, branch: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"role": "user", "content": "Three?"}
    over(ask(hers, talk, assistant, additional_messages=[said]), "3.")
    earlier = branch(talk, 3, "Zwei?").thread  # before the message: what is summed up there does not tell of it
    summaries.add(thread_id=earlier.pk, up_to=2, text="One is 1.", model="tiny")
    summaries.add(thread_id=talk.pk, up_to=3, text="One is 1, and two is asked for.", model="tiny")
    monkeypatch.setattr("threads.copying.MOST_COPIED", 2)
    later = branch(talk, 6, answer="III").thread
    assert texts(later) == ["One?", "2.", "Three?", "III"]
    assert summaries.newest(later.pk) is not None
    redact_message(principal=hers, thread_id=talk.pk, message_id=at(talk, 3).pk)
    assert [summaries.newest(thread.pk) for thread in (talk, later)] == [None, None]
    assert summaries.newest(earlier.pk) is not None


def test_a_question_to_two_assistants_is_redacted_on_both_sides(hers: Principal, assistant: Assistant) -> None:
    sides = comparing.begin(principal=hers)
    for side in sides:
        for number in range(2):
            said = {"role": "user", "content": ["Mine?", "Yours?"][number]}
            over(ask(hers, side, assistant, additional_messages=[said]), f"{number}.")
    redact_message(principal=hers, thread_id=sides[1].pk, message_id=at(sides[1], 1).pk)
    assert [texts(side) for side in sides] == [[MARK, "0.", "Yours?", "1."]] * 2
    assert [Thread.objects.get(pk=side.pk).title for side in sides] == ["", ""]


def test_of_what_two_assistants_were_asked_more_than_once_one_is_redacted(
    hers: Principal, assistant: Assistant
) -> None:
    sides = comparing.begin(principal=hers)
    for side in sides:
        for number in range(3):
            over(ask(hers, side, assistant, additional_messages=[{"role": "user", "content": "Yes"}]), f"{number}.")
    redact_message(principal=hers, thread_id=sides[1].pk, message_id=at(sides[1], 3).pk)
    assert [texts(side) for side in sides] == [["Yes", "0.", MARK, "1.", "Yes", "2."]] * 2
    redact_message(principal=hers, thread_id=sides[0].pk, message_id=at(sides[0], 5).pk)
    assert [texts(side) for side in sides] == [["Yes", "0.", MARK, "1.", MARK, "2."]] * 2


@pytest.mark.parametrize("at_once", [1, 2, 500])
def test_a_long_thread_is_copied_whole(
    talk: Thread, branch: Callable[..., Run], alice: User, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("threads.copying.AT_ONCE", at_once)
    monkeypatch.setattr("threads.copying.MOST_COPIED", 3)
    summaries.add(thread_id=talk.pk, up_to=2, text="So far.", model="tiny")
    run = branch(talk, 4, answer="Two.")
    assert texts(run.thread) == ["One?", "1.", "Two?", "Two."]
    assert run.thread.left_out == 0
    kept = summaries.newest(run.thread_id)
    assert kept is not None
    assert kept.up_to == 2
    again = branch(Thread.objects.get(pk=run.thread_id), 4, answer="II").thread
    assert shown(again, alice) == {"II": "3 of 3"}


def test_of_one_that_is_longer_still_a_branch_says_what_it_does_not_have(
    talk: Thread, branch: Callable[..., Run], alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most, said, left_out in ((2, ["One?", "1.", "Two?"], 0), (1, ["One?", "Two?"], 1)):
        monkeypatch.setattr("threads.copying.MOST_COPIED", most)
        run = branch(talk, 4, answer="Two.")
        assert (texts(run.thread), run.thread.left_out) == ([*said, "Two."], left_out)
    again = branch(run.thread, 3, answer="II").thread
    assert (texts(again), again.left_out) == (["One?", "Two?", "II"], 1), "also a branch of a branch"
    assert shown(again, alice) == {"II": "4 of 4"}
