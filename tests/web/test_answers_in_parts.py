"""An answer that broke off and was gone on with is one wherever somebody reads it, on branches, too."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client

from assistants.models import Assistant
from runs.models import Run, RunStep
from runs.services import branching
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import User
from sovereign.accounts.principals import Principal
from sovereign.web import shared
from tests.web.test_chat_said import asked, found
from threads.answers import MOST_PARTS, in_answers, joined, parts_of
from threads.models import Message, Thread
from threads.services import add_messages, close_message, delete_message, open_message, release

pytestmark = pytest.mark.django_db

MARK = "【2:0†notes.md】"
TEXTS = ("Look:\n\n```python\nprint(", "1)\n```\n\n| a | b |\n|---", f"|---|\n| 1 | 2 |\n\nSee{MARK}.")


def cited(text: str) -> dict[str, Any]:
    """A text part, with its mark as a citation."""
    at = text.find(MARK)
    places = {"start_index": at, "end_index": at + len(MARK)}
    citation = {"type": "file_citation", "text": MARK, **places, "file_citation": {"file_id": "file-a"}}
    return {"type": "text", "text": {"value": text, "annotations": [citation] if at >= 0 else []}}


@pytest.fixture
def person(alice: User, thread: Thread) -> Principal:
    return principal_of_person(alice.pk, thread.project_id)


@pytest.fixture
def parts(thread: Thread, run: Run, assistant: Assistant) -> list[Message]:
    """The three messages of one answer on Alice's thread; each cites what its run found."""
    made: list[Message] = []
    for number, text in enumerate(TEXTS):
        content = [cited(text.replace("Look:", f"Look{MARK}:"))]
        row = Run.objects.get(pk=run.pk)
        row.pk, row.thread, row._state.adding = f"run_{number}", thread, True
        row.status, row.continues = "failed", f"run_{number - 1}" if number else None
        row.save()
        call = {"id": "call_1", "type": "file_search", "file_search": {"results": [found("a")]}}
        call["file_search"]["results"][0]["content"][0]["text"] = f"Passage {number}"
        details = {"type": "tool_calls", "tool_calls": [call]}
        RunStep.objects.create(run=row, position=2, type="tool_calls", status="completed", step_details=details)
        opened = open_message(
            thread, message_id=f"msg_{number}", run_id=row.pk, assistant_id=assistant.pk,
            goes_on_with=made[-1].pk if made else None,
        )  # fmt: skip
        closed = close_message(opened.pk, content=content, incomplete_reason="run_failed" if number < 2 else None)
        assert closed is not None
        made.append(closed)
    return made


@pytest.fixture
def branch(person: Principal, thread: Thread, parts: list[Message], assistant: Assistant) -> Thread:
    """A branch behind the answer, and what was said on it before the branch."""
    (question,) = add_messages(Thread.objects.get(pk=thread.pk), [{"role": "user", "content": "And?"}])
    said = {"content": "And otherwise?"}
    given = {"thread_id": thread.pk, "message_id": question.pk, "assistant_id": assistant.pk, "said": said}
    run = branching.branch(principal=person, **given).run
    release(run.thread_id, run.pk)
    return Thread.objects.get(pk=run.thread_id)


def answers_of(thread: Thread) -> list[Message]:
    return [message for message in Message.objects.of_thread(thread.pk).order_by("position") if message.role != "user"]


@pytest.mark.parametrize("where", ["thread", "branch"])
def test_its_page_is_told_one_text(
    where: str, request: pytest.FixtureRequest, alice: User, parts: list[Message], visit: Callable[[User], Client]
) -> None:
    thread = request.getfixturevalue(where)
    rows = answers_of(thread)
    client = visit(alice)
    told = asked(client, thread.pk, "rendered", message=[row.pk for row in rows]).json()
    whole = told["data"][rows[2].pk]
    assert told["parts"] == {rows[1].pk: [rows[0].pk], rows[2].pk: [rows[0].pk, rows[1].pk]}
    assert len(whole) == 1
    assert (whole[0].count("<pre"), whole[0].count("<table"), "|---" in whole[0]) == (1, 1, False)
    assert "print(1)" in "".join(piece.split(">")[-1] for piece in whole[0].split("<")), "in one piece of code"
    numbers = ["Passage 0", "Passage 2"]
    for number, passage in enumerate(numbers):
        opened = asked(client, thread.pk, "passage", message=rows[2].pk, annotation=number)
        assert opened.json()["data"]["text"] == passage
    assert asked(client, thread.pk, "passage", message=rows[2].pk, annotation=2).status_code == 404


@pytest.mark.parametrize("where", ["thread", "branch"])
def test_it_is_taken_along_printed_and_shared_as_one(
    where: str, request: pytest.FixtureRequest, alice: User, parts: list[Message], visit: Callable[[User], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    thread, client = request.getfixturevalue(where), visit(alice)
    rows = answers_of(thread)
    markdown = b"".join(client.get(f"/chat/{thread.pk}/export.md")).decode()
    assert markdown.count("## Assistant") == 1
    assert "> print(1)" in markdown
    assert "(incomplete)" not in markdown
    told = json.loads(b"".join(client.get(f"/chat/{thread.pk}/export.json")))
    (answer,) = [message for message in told["messages"] if message["role"] == "assistant"]
    assert answer["parts"] == [row.pk for row in rows]
    assert (answer["id"], answer["status"]) == (rows[2].pk, "completed")
    value, annotations = answer["content"][0]["text"]["value"], answer["content"][0]["text"]["annotations"]
    assert {value[one["start_index"] : one["end_index"]] for one in annotations} == {MARK}
    assert len(annotations) == 2

    printed = client.get(f"/chat/{thread.pk}/print").content.decode()
    link = client.post(f"/chat/{thread.pk}/links.json", {}, content_type="application/json").json()["data"]
    path = link["address"].partition("/s/")[2]
    read = Client().get(f"/s/{path}").content.decode()
    for page in (printed, read):
        assert (page.count("<pre"), page.count("<table")) == (1, 1)
    monkeypatch.setattr(shared, "AT_ONCE", 2)  # in the middle of it: it is not cut
    first = Client().get(f"/s/{path}").content.decode()
    assert ("<pre" in first, "?after=1" in first) == (False, True)


def test_of_parts_of_which_one_is_gone_the_others_stay(person: Principal, parts: list[Message]) -> None:
    delete_message(principal=person, thread_id=parts[1].thread_id, message_id=parts[1].pk)
    last = Message.objects.get(pk=parts[2].pk)
    assert parts_of(last) == [last]
    rows = Message.objects.of_thread(last.thread_id).exclude(role="user").order_by("position")
    assert list(in_answers(rows)) == [[parts[0]], [last]]


def test_pictures_and_files_stay_in_their_places() -> None:
    picture = {"type": "image_file", "image_file": {"file_id": "file-x"}}
    first = Message(id="msg_1", content=[cited("a"), picture, cited("b")], attachments=[{"file_id": "file-1"}])
    second = Message(
        id="msg_2", content=[cited("c"), picture], attachments=[{"file_id": "file-2"}], goes_on_with="msg_1"
    )
    third = Message(id="msg_3", content=[cited("d")], goes_on_with="msg_2")
    whole = joined([first, second, third])
    assert [part.get("text", {}).get("value") for part in whole.content] == ["a", None, "bc", None, "d"]
    assert whole.attachments == [{"file_id": "file-1"}, {"file_id": "file-2"}]
    assert first.content[2]["text"]["value"] == "b", "what is stored stays"
    assert joined([first]) is first


def test_an_answer_has_no_end_of_parts() -> None:
    rows = [Message(id=f"msg_{number}", goes_on_with=f"msg_{number - 1}") for number in range(2 * MOST_PARTS)]
    assert [len(parts) for parts in in_answers(rows)] == [MOST_PARTS, MOST_PARTS]


def test_what_was_continued_before_messages_said_so_is_marked_and_unmarked(parts: list[Message]) -> None:
    migration = import_module("runs.migrations.0019_continued_messages")
    before = [part.goes_on_with for part in parts]

    def marks() -> list[str | None]:
        return [Message.objects.get(pk=part.pk).goes_on_with for part in parts]

    editor = SimpleNamespace(connection=connection)
    migration.unmark(apps, editor)
    assert marks() == [None, None, None]
    migration.mark(apps, editor)
    assert marks() == before == [None, "msg_0", "msg_1"]
