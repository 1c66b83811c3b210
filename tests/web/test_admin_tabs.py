"""The tabs of an assistant: every page has those that the person may open, and says which of them it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client, RequestFactory
from django.urls import reverse

from assistants.admin.tabs import TABS, tabs
from assistants.models import Assistant
from sovereign.accounts import services
from sovereign.accounts.models import Project, User
from sovereign.accounts.scopes import Role

pytestmark = pytest.mark.django_db


def titles(user: User, assistant: Assistant) -> list[str]:
    request = RequestFactory().get("/")
    request.user = user
    return [tab["title"] for tab in tabs(request, assistant, "")]


def navigation(answer: Any) -> list[tuple[str, str, bool]]:
    assert answer.status_code == 200, answer
    (found,) = re.findall(r'<nav class="sv-tabs" aria-label="Assistant">(.*?)</nav>', answer.content.decode(), re.S)
    links = re.findall(r'<a href="([^"]+)"( aria-current="page")?>([^<]+)</a>', found)
    return [(unescape(title), address, bool(current)) for address, current, title in links]


def test_every_tab_leads_to_a_page_with_the_same_tabs(
    alice: User, assistant: Assistant, visit: Callable[[User], Client]
) -> None:
    client = visit(alice)
    shown = navigation(client.get(reverse("admin:assistants_assistant_change", args=[quote(assistant.pk)])))
    assert [title for title, _, current in shown if current] == ["Configure"]
    assert {"Configure", "Versions", "Deployments", "Analytics"} <= {title for title, _, _ in shown}
    for title, address, _ in shown:
        there = navigation(client.get(address))
        assert [(one, where) for one, where, _ in there] == [(one, where) for one, where, _ in shown], title
        assert [one for one, _, current in there if current] == [title]


def test_the_pages_behind_them_have_them_too(
    alice: User, assistant: Assistant, visit: Callable[[User], Client]
) -> None:
    address = reverse("admin:assistants_assistant_prompts", args=[quote(assistant.pk)])
    assert "Versions" in {title for title, _, _ in navigation(visit(alice).get(address))}


def test_a_tab_takes_its_scope_and_a_page(
    alice: User, bob: User, charlie: User, project: Project, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = User.objects.create_user("dora")
    services.add_member(project=project, user=viewer, role=Role.VIEWER)
    assert titles(alice, assistant) == titles(bob, assistant)
    assert "Analytics" in titles(bob, assistant)
    assert "Analytics" not in titles(viewer, assistant)
    assert titles(charlie, assistant) == []
    monkeypatch.setattr("assistants.admin.tabs.TABS", (*TABS, ("Nowhere", "no_such_page", TABS[0][2])))
    assert "Nowhere" not in titles(alice, assistant)
