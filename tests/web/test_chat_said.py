"""What the chat's page asks for of what was said: HTML of messages, cited passages, files and paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from assistants.knowledge.models import File
from runs.models import Run, RunStep
from runs.services.passages import passage_of
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import AuditEvent, User
from sovereign.web.chat import said, taking
from tests.web.conftest import EVIL, EVIL_MARKS
from threads.context import Past
from threads.copying import copy_thread
from threads.models import Message, Thread
from threads.services import close_message, open_message

pytestmark = pytest.mark.django_db

MARK = "【2:1†notes.md】"


def found(name: str) -> dict[str, Any]:
    content = [{"type": "text", "text": f"Passage {name}"}]
    return {"file_id": f"file-{name}", "file_name": f"{name}.md", "score": 1.0, "content": content}


@pytest.fixture
def answer(run: Run) -> Message:
    """That cites the second thing found in the run's second step."""
    thread = Thread.objects.get(pk=run.thread_id)
    text = f"**Yes**{MARK}."
    place = {"start_index": 7, "end_index": 7 + len(MARK)}
    citation = {"type": "file_citation", "text": MARK, **place, "file_citation": {"file_id": "file-b"}}
    call = {"id": "call_1", "type": "file_search", "file_search": {"results": [found("a"), found("b")]}}
    details = {"type": "tool_calls", "tool_calls": [call]}
    RunStep.objects.create(run=run, position=2, type="tool_calls", status="completed", step_details=details)
    opened = open_message(thread, message_id="msg_answer", run_id=run.pk, assistant_id=run.assistant_id or "")
    closed = close_message(opened.pk, content=[{"type": "text", "text": {"value": text, "annotations": [citation]}}])
    assert closed is not None
    return closed


def asked(client: Client, thread_id: str, what: str, **query: Any) -> Any:
    return client.get(f"/chat/{thread_id}/{what}.json", query)


def test_whole_messages_of_ones_own_thread_are_told_as_html(
    alice: User, run: Run, answer: Message, visit: Callable[[User], Client]
) -> None:
    thread = Thread.objects.get(pk=run.thread_id)
    open_message(thread, message_id="msg_open", run_id=run.pk, assistant_id="")
    response = asked(visit(alice), thread.pk, "rendered", message=[answer.pk, "msg_open", "msg_unknown"])
    told = response.json()["data"]
    assert list(told) == [answer.pk]
    assert told[answer.pk][0].startswith("<p><strong>Yes</strong><sup")
    assert response["Cache-Control"] == "no-store"


def test_much_that_is_new_is_told_in_several_answers_and_never_nothing(
    alice: User, answer: Message, visit: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Message.objects.of_thread(answer.thread_id).order_by("position")[0]
    ids, client = [first.pk, answer.pk], visit(alice)
    monkeypatch.setattr(said, "NEW_TEXT", 3)
    assert list(asked(client, answer.thread_id, "rendered", message=ids).json()["data"]) == [first.pk]
    assert list(asked(client, answer.thread_id, "rendered", message=ids[1:]).json()["data"]) == [answer.pk]
    assert len(asked(client, answer.thread_id, "rendered", message=ids).json()["data"]) == 2, "known by now"


def test_a_citation_opens_the_passage_that_was_found(
    alice: User, answer: Message, visit: Callable[[User], Client]
) -> None:
    client = visit(alice)
    File.objects.create(id="file-b", project_id=answer.project_id, filename="b.md", bytes=1, purpose="assistants")
    told = asked(client, answer.thread_id, "passage", message=answer.pk, annotation=0).json()["data"]
    assert told == {"name": "b.md", "text": "Passage b", "is_deleted": False}
    File.objects.all().delete()
    assert asked(client, answer.thread_id, "passage", message=answer.pk, annotation=0).json()["data"]["is_deleted"]


def test_a_branch_opens_what_the_first_one_cites(alice: User, answer: Message) -> None:
    source = Thread.objects.get(pk=answer.thread_id)
    principal = principal_of_person(alice.pk, source.project_id)
    made = copy_thread(principal=principal, source=source, past=Past(answer.position, answer.created_at), title="")
    copied = Message.objects.of_thread(made.pk).order_by("-position")[0]
    assert copied.run_id is None
    found = passage_of(copied, 0)
    assert found is not None
    assert found.text == "Passage b"


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: RunStep.objects.all().delete(),
        lambda answer: RunStep.objects.update(step_details={"type": "tool_calls", "tool_calls": []}),
        lambda answer: answer.content[0]["text"]["annotations"][0]["file_citation"].update(file_id="file-a"),
        lambda answer: answer.content[0]["text"]["annotations"][0].update(text="【2:9†b.md】"),
        lambda answer: answer.content[0]["text"]["annotations"][0].update(text="notes"),
    ],
)
def test_where_nothing_can_be_opened_it_is_said(
    change: Callable[[Message], Any], alice: User, answer: Message, visit: Callable[[User], Client]
) -> None:
    change(answer)
    answer.save()
    response = asked(visit(alice), answer.thread_id, "passage", message=answer.pk, annotation=0)
    assert response.status_code == 404
    assert "not kept" in response.json()["error"]["message"]


@pytest.mark.parametrize("number", ["1", "-1", "x", "99999999", "", "²"])
def test_an_annotation_that_there_is_none_of_opens_nothing(
    number: str, alice: User, answer: Message, visit: Callable[[User], Client]
) -> None:
    assert asked(visit(alice), answer.thread_id, "passage", message=answer.pk, annotation=number).status_code == 404


@pytest.mark.parametrize("what", ["rendered.json", "passage.json?annotation=0", "export.md", "export.json", "print"])
def test_the_conversations_of_others_do_not_exist(
    what: str, bob: User, charlie: User, answer: Message, visit: Callable[[User], Client]
) -> None:
    for person in (bob, charlie):
        assert visit(person).get(f"/chat/{answer.thread_id}/{what}", {"message": answer.pk}).status_code == 404
    assert Client().get(f"/chat/{answer.thread_id}/{what}").status_code in (302, 401)


@pytest.mark.parametrize(("kind", "mark"), [("md", "> **Yes**"), ("json", '"value":"**Yes**')])
def test_a_conversation_is_taken_along_as_a_file(
    kind: str, mark: str, alice: User, answer: Message, visit: Callable[[User], Client]
) -> None:
    response = visit(alice).get(f"/chat/{answer.thread_id}/export.{kind}")
    assert mark in response.getvalue().decode()
    assert response["Content-Disposition"] == f'attachment; filename="{answer.thread_id}.{kind}"'
    assert AuditEvent.objects.filter(action="thread.exported", object_id=answer.thread_id).exists()
    assert visit(alice).get(f"/chat/{answer.thread_id}/export.exe").status_code == 404


def test_on_paper_nothing_can_be_clicked_and_nothing_runs(
    alice: User, answer: Message, visit: Callable[[User], Client]
) -> None:
    Message.objects.of_thread(answer.thread_id).filter(role="user").update(
        content=[{"type": "text", "text": {"value": EVIL, "annotations": []}}]
    )
    page = visit(alice).get(f"/chat/{answer.thread_id}/print").content.decode()
    assert "<strong>Yes</strong>" in page
    assert "data-annotation" not in page
    for mark in EVIL_MARKS:
        assert mark not in page


def test_of_what_is_too_long_for_paper_the_newest_is_printed(
    alice: User, answer: Message, visit: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "PRINTED_TEXT", 1)
    page = visit(alice).get(f"/chat/{answer.thread_id}/print").content.decode()
    assert "<strong>Yes</strong>" in page
    assert "How are you?" not in page.partition("<main")[2].partition("</h1>")[2]
    assert "Only the newest messages are here" in page
