"""Who sees the pages of deployments, whose buttons work there, and who is told why theirs do not."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from assistants.models import Assistant, EnvironmentPolicy, Scale
from sovereign.accounts import services
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.scopes import Role
from tests.deployments.pages import (
    InService,
    act,
    adas,
    bobs,
    client,
    decide,
    in_service,
    page,
    problem,
    said,
    section,
    shown,
    status_of,
    visit,
)

__all__ = ["adas", "bobs", "client", "in_service", "visit"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("trial")]


def test_an_analyst_deploys_where_people_try_and_is_told_where_not(
    bobs: Client, assistant: Assistant, in_service: InService
) -> None:
    in_service("testing", "The first")
    in_service("production", "The second")
    html = shown(bobs, page(assistant))
    assert act(assistant, "deploy", "testing") in html
    for name, environment in (("promote", "testing"), ("deploy", "staging"), ("rollback", "production")):
        assert act(assistant, name, environment) not in html
    assert "Admins and owners of the project decide about Production." in section(html, "production")
    assert "Admins and owners of the project decide about Staging." in section(html, "testing")
    told = re.search(r'<button[^>]*disabled aria-describedby="(why-in-testing-\d)">Promote', section(html, "testing"))
    assert told
    assert f'<b>Promote to Staging:</b> <span id="{told[1]}">Admins and owners' in section(html, "testing")
    assert "<b>Deploy, Promote" not in section(html, "testing")  # each sentence is about those that it names
    assert "<b>Deploy, Roll back, Scale, Approval:</b>" in section(html, "production")
    form = shown(bobs, act(assistant, "deploy", "production"))
    assert 'disabled aria-describedby="why-not"' in form
    for name in ("deploy", "rollback", "scale", "policy"):
        sent = {"expected": "", "priority": "1"}
        assert problem(bobs.post(act(assistant, name, "production"), sent))
    refused = AuditEvent.objects.filter(action__endswith="_refused").values_list("action", flat=True)
    wishes = ["assistant.deploy", "assistant.roll_back", "assistant.scale", "environment.set_policy"]
    assert sorted(refused) == [f"{wish}_refused" for wish in wishes]
    assert (Scale.objects.exists(), EnvironmentPolicy.objects.exists()) == (False, False)


def test_who_only_reads_has_no_button_that_works(
    assistant: Assistant, project: Project, in_service: InService, visit: Callable[[User], Client]
) -> None:
    made = in_service("development", "The first")
    vera = User.objects.create_user("vera")
    services.add_member(project=project, user=vera, role=Role.VIEWER)
    assert visit(vera).get(page(assistant)).status_code in (302, 403)  # who only reads is not in the admin
    services.create_project(name="Vera's", owner=vera)  # who is elsewhere more than a reader is
    vera.refresh_from_db()
    browser = visit(vera)
    html = shown(browser, page(assistant))
    assert "Analysts, admins and owners of the project decide about Development." in html
    assert act(assistant, "deploy") not in html
    assert decide(made, "retired") not in html
    assert problem(browser.post(act(assistant, "deploy"), {"expected": made.pk}))
    assert problem(browser.post(decide(made, "retired"), {"reason": ""}))
    assert status_of(made) == "active"


def test_strangers_find_nothing(
    assistant: Assistant, in_service: InService, charlie: User, visit: Callable[[User], Client]
) -> None:
    made = in_service("development", "The first")
    stranger = visit(charlie)
    listed = reverse("admin:assistants_deployment_changelist")
    own = reverse("admin:assistants_deployment_change", args=[quote(made.pk)])
    for address in (page(assistant), act(assistant, "deploy"), decide(made, "retired")):
        assert stranger.get(address).status_code == 404
        assert stranger.post(address, {"reason": ""}).status_code == 404
    assert own not in shown(stranger, listed)
    assert stranger.get(own).status_code == 302
    assert "Helper" not in shown(stranger, listed)
    assert status_of(made) == "active"


def test_a_deployment_of_another_assistant_is_not_found(
    client: Client, assistant: Assistant, charlie: User, in_service: InService
) -> None:
    made = in_service("development", "The first")
    address = decide(made, "retired").replace(quote(assistant.pk), "asst_other")
    assert client.post(address, {"reason": ""}).status_code == 404
    assert client.get(act(assistant, "deploy", "moon")).status_code == 404
    assert client.get(act(assistant, "explode")).status_code == 404
    assert client.get(decide(made, "explode")).status_code == 404


def test_what_somebody_keeps_to_themselves_is_not_listed(
    bobs: Client, assistant: Assistant, in_service: InService
) -> None:
    made = in_service("development", "The first")
    Assistant.objects.update(visibility="private")
    assert bobs.get(page(assistant)).status_code == 404
    listed = shown(bobs, reverse("admin:assistants_deployment_changelist"))
    assert made.pk not in listed
    assert "Helper" not in listed


def test_a_superuser_of_no_project_acts_too(
    assistant: Assistant, visit: Callable[[User], Client], project: Project
) -> None:
    root = User.objects.create_superuser("root")
    assert said(visit(root).post(act(assistant, "deploy"), {"expected": ""})).startswith("Version 1 is in service")
