"""A person's list of conversations, and what they do with one as a whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from assistants.models import Assistant
from runs.models import Run
from runs.states import Status
from runs.worker import trash
from runs.worker.chores import CHORES
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.core.database import now
from sovereign.web.chat import sidebar
from sovereign.web.chat.sidebar import listed
from threads import keeping, services
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def talk(principal: Principal) -> Callable[..., Thread]:
    """``talk(title, **columns)``: a conversation of Alice's."""

    def make(title: str = "", said: str = "Hello?", **columns: Any) -> Thread:
        made = services.create_thread(principal=principal, title=title, messages=[{"role": "user", "content": said}])
        Thread.objects.filter(pk=made.pk).update(**columns)
        made.refresh_from_db()
        return made

    return make


@pytest.fixture
def keep(alice: User, visit: Callable[[User], Client]) -> Callable[..., Any]:
    """``keep(thread, user=…, **change)``: the answer to what the page sends."""

    def make(thread: Thread, user: User = alice, **change: Any) -> Any:
        return visit(user).post(f"/chat/{thread.pk}/keep", change, content_type="application/json")

    return make


def ids(answer: Any) -> list[str]:
    return [entry["id"] for entry in answer["data"]]


# ------------------------------------------------------------------------------------------ the list


def test_conversations_stand_under_their_day_in_the_readers_zone(
    alice: User, talk: Callable[..., Thread], visit: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOON)
    ages = {"now": 0, "night": 11.5, "day": 30, "week": 6.9 * 24, "month": 30 * 24}
    for title, hours in ages.items():
        talk(title, last_activity_at=NOON - timedelta(hours=hours))
    talk("old but dear", last_activity_at=NOON - timedelta(days=90), pinned_at=NOON)
    client = visit(alice)
    client.cookies["timezone"] = "Europe/Berlin"  # where it is 13 o'clock, and 11.5 hours ago was today
    told = client.get("/chat/threads.json").json()["data"]
    assert [(entry["title"], entry["group"]) for entry in told] == [
        ("old but dear", "Pinned"), ("now", "Today"), ("night", "Today"), ("day", "Yesterday"),
        ("week", "Last 7 days"), ("month", "Older"),
    ]  # fmt: skip
    client.cookies["timezone"] = "America/New_York"  # where it is 7 o'clock: that was the evening before
    assert client.get("/chat/threads.json").json()["data"][2]["group"] == "Yesterday"


def test_every_conversation_is_listed_once_page_by_page(
    principal: Principal, talk: Callable[..., Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidebar, "PAGE", 2)
    moments = [NOON, NOON, NOON, NOON - timedelta(microseconds=1), NOON - timedelta(days=9)]
    made = [talk(last_activity_at=moment).pk for moment in moments]
    pinned = talk(last_activity_at=NOON, pinned_at=NOON)
    seen, after = [], ""
    while after is not None:
        page = listed(principal, after=after)
        seen += ids(page)
        after = page["next"]
    assert seen == [pinned.pk, *sorted(made[:3], reverse=True), *made[3:]]
    for wrong in ("x", "-1.thread_", "9" * 40 + ".thread_", "5", ".", "²."):
        assert len(listed(principal, after=wrong)["data"]) in (0, 2)


def test_words_are_found_in_titles_and_messages_wherever_they_were_put(
    alice: User, bob: User, talk: Callable[..., Thread], visit: Callable[[User], Client]
) -> None:
    titled = talk("Die Straße nach Süden", archived_at=NOON)
    said = talk("Something", said="How do I get to the STATION?")
    talk("Nothing", said="of it")
    client = visit(alice)
    for words, expected in (("STRASSE süden", [titled.pk]), ("station", [said.pk]), ("nowhere", [])):
        assert ids(client.get("/chat/threads.json", {"q": words}).json()) == expected
    assert ids(visit(bob).get("/chat/threads.json", {"q": "station"}).json()) == []
    assert ids(client.get("/chat/threads.json", {"archived": "1"}).json()) == [titled.pk]
    assert titled.pk not in ids(client.get("/chat/threads.json").json())


# ------------------------------------------------------------------------------------------ one of them


def test_a_conversation_is_named_pinned_and_put_away(talk: Callable[..., Thread], keep: Callable[..., Any]) -> None:
    thread = talk("Old")
    assert keep(thread, title="  A   new\nname ").json()["data"]["title"] == "A new name"
    assert keep(thread, is_pinned=True).json()["data"]["group"] == "Pinned"
    put_away = keep(thread, is_archived=True).json()["data"]
    assert (put_away["is_archived"], put_away["is_pinned"]) == (True, False)
    assert keep(thread, is_pinned=True).json()["data"]["is_archived"] is False
    assert keep(thread, is_pinned=False).json()["data"]["is_pinned"] is False
    actions = AuditEvent.objects.filter(object_id=thread.pk).order_by("id").values_list("action", flat=True)
    assert [*actions] == [
        f"thread.{done}" for done in ("created", "renamed", "pinned", "archived", "pinned", "unpinned")
    ]


@pytest.mark.parametrize(
    "change", [{}, {"title": ""}, {"title": " \n"}, {"title": "x" * 121}, {"title": 5}, {"is_pinned": "yes"},
               {"is_pinned": True, "title": "both"}, {"is_chosen": True}, {"owner": 1}],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(
    change: dict[str, Any], talk: Callable[..., Thread], keep: Callable[..., Any]
) -> None:
    answer = keep(talk("Old"), **change)
    assert (answer.status_code, Thread.objects.get().title) == (400, "Old")
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("who", ["bob", "charlie"])
@pytest.mark.parametrize(
    "change", [{"title": "Mine"}, {"is_trashed": True}, {"is_trashed": False}, {"is_pinned": True}]
)
def test_anothers_conversation_is_nobodys_to_keep(
    who: str, change: dict[str, Any], talk: Callable[..., Thread], keep: Callable[..., Any],
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """Bob may read it, and it is not his."""
    thread = talk("Alice's")
    answer = keep(thread, request.getfixturevalue(who), **change)
    assert answer.status_code == 404
    thread.refresh_from_db()
    assert (thread.title, thread.trashed_at, thread.pinned_at) == ("Alice's", None, None)


@pytest.mark.parametrize("path", ["{}/keep", "{}/branch", "compare/begin"])
def test_another_site_changes_nothing(
    path: str, alice: User, talk: Callable[..., Thread], browser_of: Callable[[User], Client]
) -> None:
    address = f"/chat/{path.format(talk('Old').pk)}"
    assert browser_of(alice).post(address, {"title": "Theirs"}, "application/json").status_code == 403
    assert Thread.objects.get().title == "Old"


def test_what_is_thrown_away_is_nobodys_and_can_be_had_back(
    alice: User, bob: User, run: Run, keep: Callable[..., Any], visit: Callable[[User], Client]
) -> None:
    thread = run.thread
    addresses = [
        f"/chat/{thread.pk}", f"/chat/{thread.pk}/steps.json", f"/v1/threads/{thread.pk}",
        f"/v1/threads/{thread.pk}/messages", f"/v1/threads/{thread.pk}/runs/{run.pk}", f"/api/v1/runs/{run.pk}",
        f"/admin/threads/thread/{thread.pk}/change/",
    ]  # fmt: skip
    clients = [visit(alice), visit(bob)]
    assert {clients[0].get(address).status_code for address in addresses} == {200}
    assert keep(thread, is_trashed=True).status_code == 200
    run.refresh_from_db()
    assert run.status == Status.CANCELLING, "nobody waits for its answer"
    for address in addresses:
        assert [client.get(address).status_code in (302, 404) for client in clients] == [True, True], address
    assert ids(clients[0].get("/chat/threads.json").json()) == []
    assert keep(thread, title="Gone").status_code == 404
    assert keep(thread, bob, is_trashed=False).status_code == 404
    assert keep(thread, is_trashed=False).status_code == 200
    assert keep(thread, is_trashed=False).status_code == 404, "it is out of it already"
    assert {clients[0].get(address).status_code for address in addresses} == {200}


def test_after_ten_minutes_it_is_gone_for_good(
    talk: Callable[..., Thread], assistant: Assistant, keep: Callable[..., Any]
) -> None:
    due, fresh, kept = talk("due"), talk("fresh"), talk("kept")
    for thread in (due, fresh):
        keep(thread, is_trashed=True)
    Thread.objects.filter(pk=due.pk).update(trashed_at=now() - keeping.TRASH_KEPT - timedelta(seconds=1))
    assert (keeping.empty_trash(), keeping.empty_trash()) == (1, 0)
    assert set(Thread.objects.values_list("id", flat=True)) == {fresh.pk, kept.pk}
    assert not Message.objects.filter(thread_id=due.pk).exists()
    assert AuditEvent.objects.filter(action="thread.deleted", object_id=due.pk, user_id=None).exists()
    assert keep(due, is_trashed=False).status_code == 404


def test_one_that_cannot_be_deleted_does_not_keep_the_others(
    talk: Callable[..., Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = now() - timedelta(hours=1)
    stuck, other = talk("stuck", trashed_at=old), talk("other", trashed_at=old + timedelta(seconds=1))

    def refuse(thread_id: str) -> None:
        if thread_id == stuck.pk:
            raise ValueError

    monkeypatch.setattr(services, "before_deletion", [*services.before_deletion, refuse])
    assert keeping.empty_trash() == 1
    assert list(Thread.objects.values_list("id", flat=True)) == [stuck.pk]
    assert other.pk != stuck.pk


def test_those_that_cannot_be_deleted_do_not_take_all_turns(
    talk: Callable[..., Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = now() - timedelta(hours=1)
    stuck = [talk(trashed_at=old).pk for _ in range(3)]
    talk(trashed_at=now() - keeping.TRASH_KEPT - timedelta(seconds=1))

    def refuse(thread_id: str) -> None:
        if thread_id in stuck:
            raise ValueError

    monkeypatch.setattr(keeping, "REMOVED_AT_ONCE", 2)
    monkeypatch.setattr(services, "before_deletion", [*services.before_deletion, refuse])
    assert sum(keeping.empty_trash() for _turn in range(100)) == 1
    assert sorted(Thread.objects.values_list("id", flat=True)) == sorted(stuck)


def test_a_list_takes_few_queries_however_long(
    principal: Principal, talk: Callable[..., Thread], django_assert_num_queries: Any, project: Project
) -> None:
    for place in range(40):
        talk(f"number {place}", pinned_at=NOON if place % 2 else None)
    with django_assert_num_queries(2):
        assert len(listed(principal)["data"]) == 40


async def test_workers_empty_the_trash(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[bool] = []
    monkeypatch.setattr(keeping, "empty_trash", lambda: emptied.append(True))
    monkeypatch.setattr(trash, "PAUSE", 0)
    await CHORES["trash"]()
    assert emptied == [True]
