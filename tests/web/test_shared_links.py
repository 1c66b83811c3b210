"""A conversation that its owner shares is read by whoever has the link, and by nobody without one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client, override_settings
from django.utils import timezone

from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import AuditEvent, Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.services import allow_shared_links
from sovereign.core.errors import ApiError
from sovereign.web import shared
from tests.web.conftest import EVIL, EVIL_MARKS
from threads import keeping, redaction
from threads.links import secrets, services
from threads.links.models import SharedLink
from threads.models import Message, Thread
from threads.services import close_message, create_thread, delete_thread, open_message

pytestmark = pytest.mark.django_db

SECRET_WORDS = "What was said later"
FILE_ID = "file-0123456789abcdef"


@pytest.fixture
def principal(alice: User, project: Project) -> Principal:
    return principal_of_person(alice.pk, project.pk)


@pytest.fixture
def thread(principal: Principal) -> Thread:
    made = create_thread(
        principal=principal, messages=[{"role": "user", "content": "What is **two**?"}], title="Numbers"
    )
    say(made, "It is **2**【1:0†numbers.md】.")
    return made


def cited(mark: re.Match[str]) -> dict[str, Any]:
    place = {"text": mark[0], "start_index": mark.start(), "end_index": mark.end()}
    return {"type": "file_citation", **place, "file_citation": {"file_id": FILE_ID}}


def say(thread: Thread, text: str, *, is_open: bool = False) -> Message:
    number = thread.last_position
    opened = open_message(thread, message_id=f"msg_{thread.pk}_{number}", run_id=f"run_{number}", assistant_id="asst_1")
    if is_open:
        return opened
    mark = re.search(r"【.*】", text)
    annotations = [] if mark is None else [cited(mark)]
    value = {"value": text, "annotations": annotations}
    closed = close_message(opened.pk, content=[{"type": "text", "text": value}])
    assert closed is not None
    return closed


def made(client: Client, thread: Thread) -> dict[str, Any]:
    data: dict[str, Any] = client.post(f"/chat/{thread.pk}/links.json", content_type="application/json").json()["data"]
    return data


def read(address: str, **query: Any) -> Any:
    path = re.sub(r"^https?://[^/]+", "", address)
    return Client(headers={"Accept": "text/html"}).get(path, query)


def text_of(response: Any) -> str:
    return str(response.content.decode())


def test_anybody_reads_what_was_said_until_it_was_shared(
    alice: User, thread: Thread, visit: Callable[[User], Client]
) -> None:
    address = made(visit(alice), thread)["address"]
    say(thread, SECRET_WORDS)
    response = read(address)
    shown = text_of(response)
    assert "<strong>2</strong>" in shown
    assert "What is **two**?" in shown, "as it was typed"
    assert "Numbers" in shown
    assert SECRET_WORDS not in shown
    assert FILE_ID not in shown
    assert "numbers.md" in shown
    assert response["Cache-Control"] == "no-store"
    assert response["Referrer-Policy"] == "no-referrer"
    assert "noindex" in response["X-Robots-Tag"]
    assert "alice" not in shown
    assert "sessionid" not in response.cookies


def test_its_title_is_the_one_that_was_shared(alice: User, thread: Thread, visit: Callable[[User], Client]) -> None:
    address = made(visit(alice), thread)["address"]
    Thread.objects.filter(pk=thread.pk).update(title=SECRET_WORDS)
    assert ("Numbers" in text_of(read(address)), SECRET_WORDS in text_of(read(address))) == (True, False)


def test_one_address_does_not_read_without_end(db: None, settings: Any) -> None:
    cache.clear()
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "shared": "2/m/ip"}
    assert [read("/s/unknown").status_code for _ in range(3)] == [404, 404, 429]
    cache.clear()


def test_what_is_being_written_is_not_shared(alice: User, thread: Thread, visit: Callable[[User], Client]) -> None:
    opened = say(thread, "", is_open=True)
    address = made(visit(alice), thread)["address"]
    close_message(opened.pk, content=[{"type": "text", "text": {"value": SECRET_WORDS, "annotations": []}}])
    assert SECRET_WORDS not in text_of(read(address))


def test_the_owner_sees_the_link_again_and_the_database_does_not_have_it(
    alice: User, thread: Thread, visit: Callable[[User], Client]
) -> None:
    client = visit(alice)
    address = made(client, thread)["address"]
    secret, key = address.rsplit("/", 1)[1], settings.SECRET_KEY
    assert [link["address"] for link in client.get(f"/chat/{thread.pk}/links.json").json()["data"]] == [address]
    assert secret not in str(SharedLink.objects.values())
    with override_settings(SECRET_KEY="another one altogether"):
        assert services.opened(secret) is not None, "it goes on"
        assert shown_again(alice, thread) == [False]
    with override_settings(SECRET_KEY="another one", SECRET_KEY_FALLBACKS=[key]):
        assert shown_again(alice, thread) == [True]


def shown_again(user: User, thread: Thread) -> list[bool]:
    """Of the thread's links whether their owner could see their addresses."""
    links = services.links_of(principal=principal_of_person(user.pk, thread.project_id), thread=thread)
    return [secrets.shown(link.pk, link.digest) is not None for link in links]


def revoked(client: Client, thread: Thread, link: dict[str, Any]) -> None:
    assert client.delete(f"/chat/{thread.pk}/links/{link['id']}").status_code == 200


@pytest.mark.parametrize("ending", ["revoked", "deleted", "trashed", "archived", "left", "inactive", "forbidden"])
def test_a_link_that_opens_nothing_is_like_one_that_never_was(
    ending: str, alice: User, principal: Principal, thread: Thread, visit: Callable[[User], Client]
) -> None:
    client = visit(alice)
    link = made(client, thread)
    assert read(link["address"]).status_code == 200
    if ending == "revoked":
        revoked(client, thread, link)
    elif ending == "deleted":
        delete_thread(principal=principal, thread_id=thread.pk)
    elif ending == "trashed":
        keeping.trash(principal=principal, thread_id=thread.pk)
    elif ending == "archived":
        Project.objects.filter(pk=thread.project_id).update(archived_at=timezone.now())
    elif ending == "left":
        Membership.objects.filter(user=alice, project_id=thread.project_id).delete()
    elif ending == "forbidden":
        allow_shared_links(project=thread.project, is_allowed=False, principal=principal)
    else:
        User.objects.filter(pk=alice.pk).update(is_active=False)
    gone, never = read(link["address"]), read("/s/" + "x" * 43)
    assert (gone.status_code, never.status_code) == (404, 404)
    assert _without_tokens(text_of(gone)) == _without_tokens(text_of(never))


def _without_tokens(page: str) -> str:
    return re.sub(r'value="[^"]*"|nonce-[^"\']*|/s/[\w-]+', "", page)


def test_a_thread_that_is_had_back_is_shared_as_before(
    alice: User, principal: Principal, thread: Thread, visit: Callable[[User], Client]
) -> None:
    address = made(visit(alice), thread)["address"]
    keeping.trash(principal=principal, thread_id=thread.pk)
    keeping.restore(principal=principal, thread_id=thread.pk)
    assert read(address).status_code == 200


def test_what_is_redacted_is_not_read_by_a_link_either(
    alice: User, principal: Principal, thread: Thread, visit: Callable[[User], Client]
) -> None:
    address = made(visit(alice), thread)["address"]
    assert "<strong>2</strong>" in text_of(read(address))
    for message in Message.objects.of_thread(thread.pk):
        redaction.redact_message(principal=principal, thread_id=thread.pk, message_id=message.pk)
    shown = text_of(read(address))
    assert "<strong>2</strong>" not in shown
    assert "**two**" not in shown


@pytest.mark.parametrize("name", ["", "Sums"])
def test_a_link_is_not_called_by_what_was_redacted(
    name: str, alice: User, principal: Principal, visit: Callable[[User], Client]
) -> None:
    """Whatever the conversation is called by now."""
    called = create_thread(principal=principal, messages=[{"role": "user", "content": f"{SECRET_WORDS}\nReally"}])
    branch = Thread.objects.create(project=called.project, owner=alice, title=called.title, family=called.pk)
    say(branch, "Of something else.")
    other = create_thread(principal=principal, messages=[{"role": "user", "content": SECRET_WORDS}])
    of_thread, of_branch, of_other = (made(visit(alice), thread) for thread in (called, branch, other))
    services.revoke(principal=principal, thread_id=called.pk, link_id=made(visit(alice), called)["id"])
    if name:
        keeping.rename(principal=principal, thread_id=called.pk, title=name)
    [message] = Message.objects.of_thread(called.pk)
    assert SECRET_WORDS in text_of(read(of_thread["address"]))
    redaction.redact_message(principal=principal, thread_id=called.pk, message_id=message.pk)
    for link in (of_thread, of_branch):
        assert SECRET_WORDS not in text_of(read(link["address"]))
    assert [*SharedLink.objects.exclude(title="").values_list("pk", flat=True)] == [of_other["id"]]
    assert Thread.objects.get(pk=called.pk).title == name


def test_only_the_owner_shares_and_revokes(
    alice: User, bob: User, charlie: User, thread: Thread, visit: Callable[[User], Client]
) -> None:
    link = made(visit(alice), thread)
    for person in (bob, charlie):
        client = visit(person)
        assert client.get(f"/chat/{thread.pk}/links.json").status_code == 404
        assert client.post(f"/chat/{thread.pk}/links.json", content_type="application/json").status_code == 404
        assert client.delete(f"/chat/{thread.pk}/links/{link['id']}").status_code == 404
    with pytest.raises(ApiError, match="No thread"):
        services.share(principal=principal_of_person(bob.pk, thread.project_id), thread_id=thread.pk)
    other = create_thread(principal=principal_of_person(alice.pk, thread.project_id))
    assert visit(alice).delete(f"/chat/{other.pk}/links/{link['id']}").status_code == 404, "it is another thread's"
    assert read(link["address"]).status_code == 200


def test_sharing_and_revoking_are_written_down_without_the_secret(
    alice: User, thread: Thread, visit: Callable[[User], Client]
) -> None:
    client = visit(alice)
    link = made(client, thread)
    revoked(client, thread, link)
    revoked(client, thread, link)
    noted = AuditEvent.objects.filter(object_id=thread.pk, action__in=["thread.shared", "thread.link_revoked"])
    assert [*noted.order_by("id").values_list("action", flat=True)] == ["thread.shared", "thread.link_revoked"]
    assert link["address"].rsplit("/", 1)[1] not in str(noted.values())


def test_nothing_is_shared_where_nothing_was_said_and_not_without_end(
    alice: User, principal: Principal, thread: Thread, visit: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = create_thread(principal=principal)
    assert visit(alice).post(f"/chat/{empty.pk}/links.json", content_type="application/json").status_code == 400
    monkeypatch.setattr(services, "MOST", 1)
    made(visit(alice), thread)
    refused = visit(alice).post(f"/chat/{thread.pk}/links.json", content_type="application/json")
    assert refused.json()["error"]["code"] == "too_many_links"


def test_where_links_are_forbidden_none_is_made_or_offered(
    alice: User, thread: Thread, visit: Callable[[User], Client]
) -> None:
    client = visit(alice)
    link, other = made(client, thread), made(client, thread)
    assert "data-make" in text_of(client.get(f"/chat/{thread.pk}"))
    allow_shared_links(project=thread.project, is_allowed=False)
    page = text_of(client.get(f"/chat/{thread.pk}"))
    assert ("data-make" in page, "turned off in this project" in page) == (False, True)
    refused = client.post(f"/chat/{thread.pk}/links.json", content_type="application/json")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "sharing_forbidden")
    listed = client.get(f"/chat/{thread.pk}/links.json").json()["data"]
    assert {one["id"] for one in listed} == {link["id"], other["id"]}, "their owner sees and revokes them still"
    revoked(client, thread, other)
    assert [one["id"] for one in client.get(f"/chat/{thread.pk}/links.json").json()["data"]] == [link["id"]]
    allow_shared_links(project=thread.project, is_allowed=True)
    assert read(link["address"]).status_code == 200, "what nobody revoked opens again"


def test_a_use_is_noted_once_a_minute(alice: User, thread: Thread, visit: Callable[[User], Client]) -> None:
    client = visit(alice)
    link = made(client, thread)
    read(link["address"])
    first = SharedLink.objects.get(pk=link["id"]).last_used
    assert first is not None
    read(link["address"])
    assert SharedLink.objects.get(pk=link["id"]).last_used == first
    assert client.get(f"/chat/{thread.pk}/links.json").json()["data"][0]["last_used"] == int(first.timestamp())


@pytest.mark.parametrize("bound", ["AT_ONCE", "TEXT_AT_ONCE"])
def test_a_long_one_is_read_page_by_page(
    bound: str, alice: User, thread: Thread, visit: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, bound, 1)
    address = made(visit(alice), thread)["address"]
    assert '?after=1"' in text_of(read(address))
    assert "<strong>2</strong>" in text_of(read(address, after=1))
    assert read(address, after="x").status_code == 200


def test_a_shared_page_runs_nothing_that_was_said(
    alice: User, principal: Principal, visit: Callable[[User], Client]
) -> None:
    thread = create_thread(principal=principal, messages=[{"role": "user", "content": EVIL}], title=EVIL[:100])
    say(thread, EVIL)
    response = read(made(visit(alice), thread)["address"])
    for mark in EVIL_MARKS:
        assert mark not in text_of(response)
    assert "unsafe" not in response["Content-Security-Policy"]
