"""``search_threads`` finds what who asks may read: nothing of another project, and nothing that is another member's."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from runs.tools.search_threads import NOTHING, NOTHING_NEW, SHOWN, SearchThreads
from sovereign.accounts import credentials
from sovereign.accounts.models import ApiKey, Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.builtin import asked, refused, surroundings
from tests.threads.test_listing_plans import plan_of
from threads import search, services
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alices(project: Project, alice: User) -> Principal:
    return credentials.principal_of_person(alice.pk)


@pytest.fixture
def bobs(project: Project, bob: User) -> Principal:
    return credentials.principal_of_person(bob.pk)


def said(principal: Principal, *texts: str) -> Thread:
    messages = [{"role": "user", "content": text} for text in texts]
    return services.create_thread(principal=principal, messages=messages)


def tool_in(thread: Thread, principal: Principal) -> SearchThreads:
    made = surroundings(
        project_id=principal.project_id, thread_id=thread.id, user_id=principal.user_id, key_id=principal.key_id
    )
    return SearchThreads({"type": "search_threads"}, made)


async def found(tool: SearchThreads, query: str, **more: Any) -> list[str]:
    answer = json.loads(await asked(tool, query=query, **more))
    return [message["text"] for message in answer["messages"]]


async def test_a_key_finds_what_applications_wrote_and_no_chat(principal: Principal, bobs: Principal) -> None:
    await in_database(said, principal, "The invoice of Müller AG is 4711", "Thanks")
    await in_database(said, bobs, "My own invoice is secret")
    here = await in_database(said, principal, "Which invoice?")
    assert await found(tool_in(here, principal), "INVOICE müller") == ["The invoice of Müller AG is 4711"]


@pytest.mark.parametrize(
    "change", [{"scopes": ["runs:write", "threads:write"]}, {"revoked_at": "2020-01-01T00:00:00Z"}]
)
async def test_a_key_that_may_not_read_threads_is_told_nothing_of_them(
    principal: Principal, change: dict[str, Any]
) -> None:
    await in_database(said, principal, "The invoice is 4711")
    tool = tool_in(await in_database(said, principal, "Which invoice?"), principal)
    await in_database(lambda: ApiKey.objects.filter(pk=principal.key_id).update(**change))
    assert "threads:read" in await refused(tool, query="invoice")


async def test_who_is_no_member_any_more_is_told_nothing(alices: Principal) -> None:
    await in_database(said, alices, "The invoice is 4711")
    tool = tool_in(await in_database(said, alices, "Which invoice?"), alices)
    await in_database(lambda: Membership.objects.filter(user_id=alices.user_id).delete())
    assert "threads:read" in await refused(tool, query="invoice")


async def test_a_person_finds_their_own_chats_and_nobody_elses(
    principal: Principal, alices: Principal, bobs: Principal
) -> None:
    await in_database(said, principal, "invoice of the application")
    await in_database(said, bobs, "invoice of Bob")
    await in_database(said, alices, "invoice of Alice")
    here = await in_database(said, alices, "Which invoice?")
    tool = tool_in(here, alices)  # Alice is the owner, and may read Bob's chats herself
    assert await found(tool, "invoice") == ["invoice of Alice", "invoice of the application"]


async def test_nobodys_chats_are_brought_into_a_thread_that_others_read(
    principal: Principal, alices: Principal, bobs: Principal
) -> None:
    await in_database(said, alices, "invoice of Alice")
    everybodys = await in_database(said, principal, "Which one?")
    assert await found(tool_in(everybodys, alices), "invoice") == []
    bobs_chat = await in_database(said, bobs, "Which one?")
    assert await found(tool_in(bobs_chat, alices), "invoice") == []


async def test_another_project_does_not_exist(principal: Principal, charlies_key: str) -> None:
    charlie = await in_database(credentials.principal_of_key, charlies_key)
    await in_database(said, charlie, "invoice of Charlie")
    here = await in_database(said, principal, "Which invoice?")
    answer = json.loads(await asked(tool_in(here, principal), query="invoice"))
    assert answer == {"note": NOTHING, "messages": []}


async def test_results_say_where_they_stand_and_are_cut(principal: Principal) -> None:
    there = await in_database(said, principal, "x" * 2_000 + " Needle " + "y" * 2_000)
    here = await in_database(said, principal, "needle")
    answer = json.loads(await asked(tool_in(here, principal), query="needle"))
    (message,) = answer["messages"]
    assert (message["thread_id"], message["role"]) == (there.id, "user")
    assert message["date"] == f"{there.created_at:%Y-%m-%d}"
    assert "Needle" in message["text"]
    assert len(message["text"]) == SHOWN + 2
    assert message["text"][0] == message["text"][-1] == "…"


async def test_as_many_as_are_wanted_the_newest_first(principal: Principal) -> None:
    for number in range(8):
        await in_database(said, principal, f"word {number} a", f"word {number} b")
    here = await in_database(said, principal, "word")
    tool = tool_in(here, principal)
    assert await found(tool, "word") == ["word 7 b", "word 7 a", "word 6 b", "word 6 a", "word 5 b"]
    assert len(await found(tool, "word", limit=20)) == 16
    assert await found(tool, "a 3 word") == ["word 3 a"]
    assert await found(tool, " ") == []
    assert "1000 is greater than the maximum of 20" in await refused(tool, query="word", limit=1_000)


async def test_a_search_ends_where_it_has_read_enough(principal: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        await in_database(said, principal, f"{number} needle" if number == 0 else "hay" * 10)
    here = await in_database(said, principal, "?")
    assert await found(tool_in(here, principal), "needle") == ["0 needle"]
    monkeypatch.setattr(search, "MAXIMUM_READ", 50)
    assert await found(tool_in(here, principal), "needle") == []


@pytest.mark.parametrize(("limit", "value"), [("MAXIMUM_READ", 5), ("THREADS", 1), ("MESSAGES", 1)])
async def test_the_model_is_told_where_older_messages_were_not_looked_through(
    principal: Principal, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    await in_database(said, principal, "needle")
    await in_database(said, principal, "hay", "straw", "grass")
    here = await in_database(said, principal, "?")
    tool = tool_in(here, principal)
    assert json.loads(await asked(tool, query="pin")) == {"note": NOTHING, "messages": []}
    monkeypatch.setattr(search, limit, value)
    assert json.loads(await asked(tool, query="pin")) == {"note": NOTHING_NEW, "messages": []}


def test_what_is_looked_through_is_read_off_indexes(project: Project, alices: Principal) -> None:
    for owner in [None, alices.user_id] * 20:
        thread = Thread.objects.create(project=project, owner_id=owner, last_position=60)
        Message.objects.bulk_create(
            Message(project=project, thread=thread, position=position, role="user") for position in range(1, 61)
        )
    here = said(alices, "?")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE threads_message")
            cursor.execute("ANALYZE threads_thread")
    with CaptureQueriesContext(connection) as captured:
        assert search.search(thread_id=here.id, user_id=alices.user_id, query="nothing", limit=5) == ([], False)
    _, nobodys, own, *messages = [query["sql"] for query in captured]
    assert len(messages) == 4
    with transaction.atomic():
        plans = [plan_of(sql) for sql in (nobodys, own, messages[0])]
    of_thread = {"postgresql": "message_(position|creation)", "sqlite": r"threads_message_\d \(thread_id=\? AND"}
    for plan, index in zip(plans, ("thread_activity", "thread_activity", of_thread[connection.vendor]), strict=True):
        assert re.search(index, plan), plan
        assert not re.search(r"SCAN|Seq Scan|Sort|TEMP B-TREE", plan), plan
