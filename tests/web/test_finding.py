"""The search over everything: pages, rows and ids, and nothing that the person may not see."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from assistants.models import Assistant
from assistants.services import create_assistant
from runs.models import Run
from sovereign.accounts.models import Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.web import finding
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db

SEARCH = "/admin/search/"


@pytest.fixture
def client(alice: User, project: Project, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


def found(client: Client, term: str) -> dict[str, str]:
    """Address by title."""
    content = client.get(SEARCH, {"s": term, "part": "1"}).content.decode()
    assert "<html" not in content
    return {
        unescape(title): unescape(address)
        for address, title in re.findall(r'<li><a href="([^"]*)"><span class="sv-name">(.*?)</span>', content, re.S)
    }


def test_it_is_the_admins_own() -> None:
    assert reverse("admin:search") == SEARCH


def test_pages_and_rows_are_found_by_their_words_and_open(
    client: Client, assistant: Assistant, project: Project
) -> None:
    guide = found(client, "guide")
    assert guide["Guide"] == reverse("admin:assistants_assistant_change", args=[assistant.pk.replace("_", "_5F")])
    assert guide["Conversations with “guide”"] == "/admin/threads/thread/?q=guide"
    pages = found(client, "ASSISTANT")
    assert pages["Assistants"] == "/admin/assistants/assistant/"
    assert pages["New assistant"] == "/admin/assistants/assistant/add/"
    for address in {**guide, **pages, **found(client, "alice")}.values():
        assert client.get(address).status_code == 200, address


def test_an_id_leads_to_its_row(client: Client, run: Run, assistant: Assistant, api_key: str) -> None:
    for row, name in ((run, "runs_run"), (run.thread, "threads_thread"), (assistant, "assistants_assistant")):
        (address,) = found(client, f" {row.pk} ").values()
        assert reverse(f"admin:{name}_changelist") in address
        assert client.get(address).status_code == 200


def test_others_find_nothing_of_it(
    run: Run, assistant: Assistant, bob: User, charlie: User, visit: Callable[[User], Client]
) -> None:
    bobs, charlies = visit(bob), visit(charlie)
    assert "Guide" in found(bobs, "guide")
    for term in ("guide", assistant.pk, run.pk, run.thread_id, "alice"):
        assert not {title for title in found(charlies, term) if not title.startswith("Conversations with")}, term
    assert "New API key" not in found(bobs, "key")
    Assistant.objects.filter(pk=assistant.pk).update(visibility="private")
    assert "Guide" not in found(bobs, "guide")
    assert found(bobs, assistant.pk).keys() == {f"Conversations with “{assistant.pk}”"}


def test_what_one_may_not_see_any_more_is_not_found_any_more(
    assistant: Assistant, bob: User, project: Project, visit: Callable[[User], Client]
) -> None:
    client = visit(bob)
    assert "Guide" in found(client, "guide")
    Assistant.objects.filter(pk=assistant.pk).update(visibility="private")
    assert "Guide" not in found(client, "guide")
    Membership.objects.get(user=bob, project=project).delete()
    assert found(client, "guide") == {}


def test_who_is_not_staff_is_asked_to_log_in(db: None, visit: Callable[[User], Client]) -> None:
    for client in (Client(), visit(User.objects.create_user("nobody"))):
        answer = client.get(SEARCH, {"s": "guide"})
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/")


def test_it_is_bounded(
    client: Client, principal: Principal, model: str, remembered_registry: Callable[[], None],
    django_assert_max_num_queries: Any,
) -> None:  # fmt: skip
    for number in range(3 * finding.SHOWN):
        create_assistant(principal=principal, model=model, name=f"Clone {number}")
    remembered_registry()
    with django_assert_max_num_queries(25):
        every = found(client, "clone")
    assert len([title for title in every if title.startswith("Clone")]) == finding.SHOWN
    assert client.post(SEARCH).status_code == 405


@pytest.mark.parametrize(
    "term", ["", " ", "g", "%", "%%", "'\"", "\\", "_" * 3, "a" * 5_000, "run_" + "z" * 40, "\u202e\ud7ff"]
)
def test_odd_words_find_nothing(client: Client, run: Run, term: str) -> None:
    assert [title for title in found(client, term) if not title.startswith("Conversations with")] == []


def test_what_people_wrote_stands_escaped(client: Client, principal: Principal, model: str) -> None:
    create_assistant(principal=principal, model=model, name=EVIL)
    for parameters in ({"s": "alert"}, {"s": EVIL}, {"s": EVIL, "part": "1"}):
        content = client.get(SEARCH, parameters).content.decode()
        assert "&lt;script&gt;" in content
        assert not any(mark in content for mark in EVIL_MARKS)


def test_without_scripts_the_search_is_a_page(client: Client, assistant: Assistant) -> None:
    assert f'href="{SEARCH}"' in client.get("/admin/").content.decode()
    content = client.get(SEARCH, {"s": "guide"}).content.decode()
    assert 'value="guide"' in content
    assert '<span class="sv-name">Guide</span>' in content
