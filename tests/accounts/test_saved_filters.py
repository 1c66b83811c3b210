"""The filters that people save of the admin's lists: each their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from sovereign.accounts.models import SavedFilter, User
from sovereign.accounts.services import saved_filters
from tests.web.conftest import EVIL, EVIL_MARKS, visit

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("project")]

__all__ = ["visit"]

LIST = "/admin/threads/thread/"
SAVE = "/admin/threads/thread/filters/save/"


def told(answer: Any) -> str:
    return " ".join(map(str, get_messages(answer.wsgi_request)))


def test_a_filter_is_saved_chosen_and_deleted(alice: User, visit: Callable[[User], Client]) -> None:
    client = visit(alice)
    assert "Save what is filtered now" not in client.get(LIST).content.decode()
    assert "Save what is filtered now" in client.get(LIST, {"origin": "chat", "p": 1}).content.decode()
    answer = client.post(SAVE, {"name": " People's   chats ", "query": "?origin=chat&q=a+%26+b&p=7&e=1"})
    assert answer.headers["Location"] == f"{LIST}?origin=chat&q=a+%26+b"
    saved = SavedFilter.objects.get()
    assert (saved.name, saved.page, saved.query) == ("People's chats", "threads_thread", "origin=chat&q=a+%26+b")
    content = client.get(f"{LIST}?{saved.query}").content.decode()
    assert 'href="?origin=chat&amp;q=a+%26+b" aria-current="true">People&#x27;s chats</a>' in content
    assert "People&#x27;s chats" not in client.get("/admin/runs/run/").content.decode()
    client.post(SAVE, {"name": "People's chats", "query": "origin=api"})
    assert SavedFilter.objects.get().query == "origin=api"  # the same name: the newer one
    gone = client.post(reverse("admin:threads_thread_delete_filter", args=[SavedFilter.objects.get().pk]))
    assert gone.headers["Location"] == LIST
    assert not SavedFilter.objects.exists()


def test_nobody_sees_or_deletes_anothers(
    alice: User, bob: User, charlie: User, visit: Callable[[User], Client]
) -> None:
    visit(alice).post(SAVE, {"name": "Mine alone", "query": "origin=chat"})
    address = reverse("admin:threads_thread_delete_filter", args=[SavedFilter.objects.get().pk])
    for other in (bob, charlie):
        client = visit(other)
        assert "Mine alone" not in client.get(LIST).content.decode()
        assert client.post(address).status_code == 404
    elsewhere = reverse("admin:runs_run_delete_filter", args=[SavedFilter.objects.get().pk])
    assert visit(alice).post(elsewhere).status_code == 404  # of another list
    assert visit(alice).get(address).status_code == 403
    assert SavedFilter.objects.count() == 1


def test_what_is_no_filter_is_refused(alice: User, visit: Callable[[User], Client]) -> None:
    client = visit(alice)
    for fields, words in (
        ({"name": "", "query": "origin=chat"}, "Give the filter a name"),
        ({"name": "x" * 81, "query": "origin=chat"}, "Give the filter a name"),
        ({"name": "Page two", "query": "p=2"}, "Nothing is filtered"),
        ({"name": "Long", "query": f"q={'x' * 2_001}"}, "too long"),
    ):
        assert words in told(client.post(SAVE, fields)), fields
    assert not SavedFilter.objects.exists()
    for number in range(saved_filters.MOST):
        saved_filters.save_filter(user_id=alice.pk, page="threads_thread", name=str(number), query="q=1")
    assert "At most 50" in told(client.post(SAVE, {"name": "One more", "query": "q=1"}))
    assert "is saved" in told(client.post(SAVE, {"name": "7", "query": "q=2"}))


def test_names_and_filters_stand_escaped(alice: User, visit: Callable[[User], Client]) -> None:
    client = visit(alice)
    client.post(SAVE, {"name": EVIL[:80] + "\0", "query": f"q={EVIL}"})
    client.post(SAVE, {"name": EVIL[:70], "query": f"q={EVIL}"})
    content = client.get(LIST, {"q": EVIL}).content.decode()
    assert "&lt;script&gt;" in content
    assert not any(mark in content for mark in EVIL_MARKS)
