"""The tab "Code": programs with the right address and id, and what a key of each environment gets."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from assistants.admin.snippets import LANGUAGES, snippets
from assistants.models import Assistant, Deployment
from assistants.services import update_assistant, versions
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db
Visit = Callable[[User], Client]


def page(assistant: Assistant, query: str = "") -> str:
    return reverse("admin:assistant_code", args=[quote(assistant.pk)]) + query


def test_every_language_has_its_programs(alice: User, assistant: Assistant, visit: Visit) -> None:
    client = visit(alice)
    for language, (title, _) in LANGUAGES.items():
        shown = unescape(client.get(page(assistant, f"?in={language}")).content.decode())
        assert f'aria-current="page">{title}</a>' in shown
        for one in snippets(language, "http://testserver/v1", assistant.pk):
            assert one["text"] in shown
            assert assistant.pk in one["text"]
    assert "client = OpenAI" in client.get(page(assistant, "?in=cobol&environment=mars")).content.decode()


def test_it_says_what_a_key_of_the_environment_gets(
    alice: User, bob: User, principal: Principal, project: Project, assistant: Assistant, visit: Visit
) -> None:
    version = versions.publish(principal=principal, assistant_id=assistant.pk)
    Deployment.objects.create(
        project=project, assistant=assistant, version=version, environment="production", status="active"
    )
    client = visit(alice)
    assert "gets the draft" in client.get(page(assistant)).content.decode()
    shown = unescape(client.get(page(assistant, "?environment=production")).content.decode())
    assert "A key of Production gets version 1." in shown
    assert f"/admin/accounts/apikey/add/?project={project.pk}&environment=production" in shown
    assert (
        "Nothing of it is in service in Testing" in client.get(page(assistant, "?environment=testing")).content.decode()
    )
    analysts = visit(bob).get(page(assistant)).content.decode()
    assert "Administrators of the project make keys." in analysts
    assert "apikey/add" not in analysts


def test_outsiders_find_nothing_and_names_are_escaped(
    alice: User, charlie: User, principal: Principal, assistant: Assistant, visit: Visit
) -> None:
    function = {"type": "function", "function": {"name": "look_up", "parameters": {}, "strict": False}}
    update_assistant(principal=principal, assistant_id=assistant.pk, name=EVIL, tools=[function])
    assert visit(charlie).get(page(assistant)).status_code == 404
    shown = visit(alice).get(page(assistant)).content.decode()
    assert not any(mark in shown for mark in EVIL_MARKS)
    assert "carries out (look_up)" in shown
