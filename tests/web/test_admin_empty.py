"""A list without rows says what would stand there; one that is only searched in says that."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import NoReverseMatch, reverse

from assistants.models import Assistant
from runs.analytics.models import Grade
from sovereign.accounts.models import Project, User

pytestmark = pytest.mark.django_db

#: a page of its own; lists of rows that are always there; and one that is not listed
OTHERWISE = {Grade, Project, User}


@pytest.fixture
def client(alice: User, project: Project, visit: Callable[[User], Client]) -> Client:
    return visit(alice)


def test_every_list_has_words_for_its_emptiness() -> None:
    without = []
    for model, page in admin.site._registry.items():
        try:
            reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        except NoReverseMatch:
            continue
        if model not in OTHERWISE and not page.empty_words:
            without.append(model._meta.label)
    assert without == []


def test_an_empty_list_says_what_brings_its_rows(client: Client, bob: User, visit: Callable[[User], Client]) -> None:
    for somebody, may_add in ((client, True), (visit(bob), True)):
        content = somebody.get("/admin/assistants/assistant/").content.decode()
        assert "No assistants yet" in content
        assert "An assistant is a model with instructions, tools and files." in content
        assert (">Add assistant</a>" in content) == may_add
    assert ">Add run</a>" not in client.get("/admin/runs/run/").content.decode()


def test_a_search_that_finds_nothing_says_so(client: Client, assistant: Assistant) -> None:
    for query in ("q=zzzz", "status__exact=archived"):
        content = client.get(f"/admin/assistants/assistant/?{query}").content.decode()
        assert "No assistants fit the search and the filters." in content
        assert "No assistants yet" not in content
        assert '<a class="sv-button sv-quiet" href="?">Show all</a>' in content
