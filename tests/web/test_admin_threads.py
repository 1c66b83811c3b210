"""A conversation's page: leafed through, searched, taken along, redacted and deleted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from assistants.models import Assistant
from runs.services.creation import create_run
from sovereign.accounts import services as accounts
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from tests.web.conftest import EVIL, EVIL_MARKS
from threads.admin.reading import SHOWN
from threads.models import Message, Thread
from threads.redaction import MARK
from threads.services import create_thread

pytestmark = pytest.mark.django_db

LIST = "/admin/threads/thread/"


def page(thread: Thread, view: str = "change", *args: str) -> str:
    return reverse(f"admin:threads_thread_{view}", args=[quote(thread.pk), *args])


def said(content: str) -> list[str]:
    return re.findall(r"message number (\d+)\.", content)


@pytest.fixture
def client(alice: User, project: Project, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


@pytest.fixture
def analyst(project: Project) -> User:
    user = User.objects.create_user("ann")
    accounts.add_member(project=project, user=user, role=Role.ANALYST)
    user.refresh_from_db()
    return user


@pytest.fixture
def long(principal: Principal) -> Thread:
    drafts = [{"role": "user", "content": f"message number {n}."} for n in range(3 * SHOWN)]
    return create_thread(principal=principal, messages=drafts, title="Long")


def test_a_long_thread_is_leafed_through_to_its_first_message(client: Client, long: Thread) -> None:
    seen: list[str] = []
    address = page(long)
    for expected in ("101 to 150 of 150", "51 to 100 of 150", "1 to 50 of 150"):
        content = client.get(address).content.decode()
        assert expected in content
        seen = said(content) + seen
        earlier = re.search(r'href="(\?[^"#]*)#conversation" rel="prev"', content)
        address = page(long) + (earlier[1].replace("&amp;", "&") if earlier else "")
    assert earlier is None
    assert seen == [str(n) for n in range(150)]
    later = client.get(page(long), {"after": "25"}).content.decode()
    assert said(later) == [str(n) for n in range(25, 75)]
    one = Message.objects.get(thread=long, position=100)
    around = client.get(page(long), {"message": one.pk}).content.decode()
    assert (said(around)[0], said(around)[-1], f'id="{one.pk}"' in around) == ("89", "138", True)
    for nonsense in ({"before": "x"}, {"after": "-1"}, {"before": "9" * 30}, {"message": "msg_none"}, {"after": "٣"}):
        assert client.get(page(long), nonsense).status_code == 200
    assert "There are no messages here" in client.get(page(long), {"before": "0"}).content.decode()


def test_a_message_is_found_wherever_it_is(client: Client, long: Thread, principal: Principal) -> None:
    content = client.get(page(long), {"search": "NUMBER 107."}).content.decode()
    assert "message <mark>number</mark> <mark>107.</mark>" in content
    assert "1 message with all of these words" in content
    found = re.search(r'href="(\?message=msg_[^"#]*)#', content)
    assert found is not None
    assert "107" in said(client.get(page(long) + found[1].replace("&amp;", "&")).content.decode())
    assert "No message holds all of these words" in client.get(page(long), {"search": "absent"}).content.decode()
    assert "or may be more" in client.get(page(long), {"search": "message"}).content.decode()
    umlauts = [{"role": "user", "content": 'Über "Köln" \\ Straße'}]
    other = create_thread(principal=principal, messages=umlauts, title="German")
    for words in ("über köln", '"köln"', "\\", "straße", "STRASSE"):
        assert "1 message with" in client.get(page(other), {"search": words}).content.decode(), words


def test_the_list_finds_what_was_said(client: Client, long: Thread, principal: Principal, charlie: User,
                                      visit: Callable[[User], Client]) -> None:  # fmt: skip
    create_thread(principal=principal, messages=[{"role": "user", "content": "Something else"}], title="Other")
    content = client.get(LIST, {"q": "number 149."}).content.decode()
    assert "Long" in content
    assert "Other" not in content
    assert "Words are also looked for in messages" in content
    opened = client.get(page(long), {"_changelist_filters": "q=number+149."}).content.decode()
    assert "message <mark>number</mark> <mark>149.</mark>" in opened
    assert "Long" not in visit(charlie).get(LIST, {"q": "number 149."}).content.decode()


def test_a_thread_is_taken_along_and_that_is_noted(client: Client, long: Thread, bob: User, charlie: User,
                                                   visit: Callable[[User], Client]) -> None:  # fmt: skip
    answer = client.get(page(long, "export", "json"))
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{long.pk}.json"'
    told = json.loads(b"".join(answer.streaming_content))
    assert (told["id"], told["title"], len(told["messages"])) == (long.pk, "Long", 150)
    assert told["messages"][149]["content"][0]["text"]["value"] == "message number 149."
    Message.objects.filter(thread=long, position=1).update(content=[
        {"type": "text", "text": {"value": "# Not a heading\n## User, now", "annotations": []}},
        {"type": "image_file", "image_file": {"file_id": "file-1"}},
    ])  # fmt: skip
    markdown = b"".join(client.get(page(long, "export", "md")).streaming_content).decode()
    assert markdown.startswith(f"# Long\n\nThread `{long.pk}`, begun ")
    assert "\n> # Not a heading\n> ## User, now\n> [image file-1]\n" in markdown
    assert [line for line in markdown.splitlines() if line.startswith("#")][0:1] == ["# Long"]
    assert client.get(page(long, "export", "exe")).status_code == 404
    assert visit(charlie).get(page(long, "export", "json")).status_code == 404
    assert visit(bob).get(page(long, "export", "json")).status_code == 200
    noted = AuditEvent.objects.filter(action="thread.exported", object_id=long.pk).order_by("id")
    assert [(event.user_id == bob.pk, event.details) for event in noted] == [
        (False, {"format": "json"}), (False, {"format": "md"}), (True, {"format": "json"})
    ]  # fmt: skip


def test_several_are_exported_and_deleted_at_once(client: Client, long: Thread, thread: Thread) -> None:
    chosen = [long.pk, thread.pk]
    answer = client.post(LIST, {"action": "export_json", "_selected_action": chosen})
    told: Any = json.loads(b"".join(answer.streaming_content))
    assert {one["id"]: len(one["messages"]) for one in told} == {long.pk: 150, thread.pk: 1}
    asked = client.post(LIST, {"action": "delete_selected", "_selected_action": chosen}).content.decode()
    assert "151" in asked
    client.post(LIST, {"action": "delete_selected", "_selected_action": chosen, "post": "yes"})
    assert not Thread.objects.exists()
    assert AuditEvent.objects.filter(action="thread.deleted").count() == 2


def test_a_message_is_redacted_after_one_was_asked(
    client: Client, thread: Thread, analyst: User, charlie: User, visit: Callable[[User], Client]
) -> None:
    [message] = Message.objects.filter(thread=thread)
    address = page(thread, "redact", message.pk)
    assert address in client.get(page(thread)).content.decode()
    asked = client.get(address).content.decode()
    assert "Where is the station?" in asked
    assert "This is for good" in asked
    assert visit(analyst).get(page(thread)).status_code == 200
    assert address not in visit(analyst).get(page(thread)).content.decode()
    for method in ("get", "post"):
        assert getattr(visit(analyst), method)(address).status_code == 403
        assert getattr(visit(charlie), method)(address).status_code == 404
        assert getattr(client, method)(page(thread, "redact", "msg_none")).status_code == 404
    answer = client.post(address, {"reason": "Asked\0 for"})
    assert answer.headers["Location"] == f"{page(thread)}?message={quote(message.pk)}#{message.pk}"
    content = client.get(page(thread)).content.decode()
    assert MARK in content
    assert "Where is the station?" not in content
    assert "This message was redacted" in client.get(address).content.decode()
    assert AuditEvent.objects.get(action="message.redacted").details["reason"] == "Asked for"


def test_while_a_run_is_active_nothing_is_redacted(
    client: Client, thread: Thread, principal: Principal, assistant: Assistant
) -> None:
    create_run(principal=principal, thread_id=thread.pk, assistant_id=assistant.pk)
    [message] = Message.objects.filter(thread=thread)
    answer = client.post(page(thread, "redact", message.pk))
    assert "Cancel it or wait" in " ".join(map(str, get_messages(answer.wsgi_request)))
    assert Message.objects.get().text == "Where is the station?"


def test_what_was_said_stands_escaped_wherever_it_is_found(client: Client, principal: Principal) -> None:
    evil = create_thread(principal=principal, messages=[{"role": "user", "content": EVIL}], title=EVIL)
    [message] = Message.objects.filter(thread=evil)
    for address in (
        f"{page(evil)}?search=script", f"{page(evil)}?search=%3Cscript", f"{page(evil)}?search={EVIL.replace('#', '')}",
        page(evil, "redact", message.pk), f"{LIST}?q=script",
    ):  # fmt: skip
        content = client.get(address).content.decode()
        assert not any(mark in content for mark in EVIL_MARKS), address
