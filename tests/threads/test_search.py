"""Where people search, no more is in memory than a few messages, however large they are, and it comes to an end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal
from threads import search, services
from threads.models import Message, Thread

pytestmark = pytest.mark.django_db

WORD = "привет"  # what no database looks for here: everything is read
LONG = "x" * 1_000


@pytest.fixture
def principal(api_key: str) -> Principal:
    return credentials.principal_of_key(api_key)


@pytest.fixture
def talk(principal: Principal) -> Callable[..., Thread]:
    """``talk(*texts, ago=…)``: a thread in which something happened last so many hours ago."""

    def make(*texts: str, ago: int = 0) -> Thread:
        thread = services.create_thread(
            principal=principal, messages=[{"role": "user", "content": text} for text in texts]
        )
        Thread.objects.filter(pk=thread.pk).update(last_activity_at=timezone.now() - timedelta(hours=ago))
        return thread

    return make


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of messages that have come from the database."""
    ids: list[str] = []
    made_of = Message.from_db

    def from_db(*given: Any) -> Message:
        message = made_of(*given)
        ids.append(message.pk)
        return message

    monkeypatch.setattr(Message, "from_db", from_db)
    return ids


def test_a_search_of_one_thread_ends_where_enough_is_read(
    talk: Callable[..., Thread], read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = talk(WORD, *[LONG] * 99)
    read.clear()
    found = search.within(thread_id=thread.pk, query=WORD, limit=5)
    assert ([message.position for message in found.messages], found.is_everything) == ([1], True)
    assert len(read) == 100, "across all pieces, each message once"
    monkeypatch.setattr(search, "MAXIMUM_READ", 5 * len(LONG))
    read.clear()
    assert search.within(thread_id=thread.pk, query=WORD, limit=5) == ([], False)
    assert len(read) <= search.IN_MEMORY


def test_a_search_of_the_list_ends_where_enough_is_read(
    talk: Callable[..., Thread], read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LISTED_AT_ONCE", 2)
    old = talk("И Привет.", ago=3)
    threads = [talk(WORD, WORD), *(talk(*[LONG] * 30, ago=1) for _ in range(3)), old]
    read.clear()
    assert search.saying(Thread.objects.all(), WORD) == sorted([threads[0].pk, old.pk])
    assert len(read) == 93
    monkeypatch.setattr(search, "MAXIMUM_READ", 50 * len(LONG))
    assert search.saying(Thread.objects.all(), WORD) == [threads[0].pk], "the newest are looked through first"
    monkeypatch.setattr(search, "MAXIMUM_READ", 0)
    read.clear()
    search.saying(Thread.objects.all(), WORD)
    assert len(read) == 1, "none behind it is even made"


def test_no_more_than_a_few_messages_are_asked_for_at_once(
    talk: Callable[..., Thread], django_assert_num_queries: Callable[..., Any]
) -> None:
    thread = talk(*[LONG] * (2 * search.IN_MEMORY + 1))
    with django_assert_num_queries(3) as asked:
        search.within(thread_id=thread.pk, query=WORD, limit=5)
    assert all(f"LIMIT {search.IN_MEMORY}" in query["sql"] for query in asked)
