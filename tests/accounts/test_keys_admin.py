"""API keys in the admin: made and shown once, bound, revoked."""

import re
from collections.abc import Callable

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory

from sovereign.accounts import credentials, services
from sovereign.accounts.models import ApiKey, AuditEvent, Project, User
from sovereign.accounts.scopes import ALL_SCOPES, DEFAULT_KEY_SCOPES
from sovereign.core.errors import ApiError
from tests.accounts.browsing import browser, page

__all__ = ["browser"]

pytestmark = pytest.mark.django_db


def test_a_key_is_made_with_the_form_and_shown_once(
    alice: User, project: Project, browser: Callable[[User], Client]
) -> None:
    client = browser(alice)
    form = client.get(page("apikey", "add")).content.decode()
    assert form.count('name="scopes"') == len(ALL_SCOPES)
    answer = client.post(
        page("apikey", "add"), {"name": "CI", "project": project.pk, "scopes": sorted(DEFAULT_KEY_SCOPES)}
    )

    shown = re.search(r"API key: <code>(sk-sov-[\w-]+)</code>", answer.content.decode())
    assert shown
    assert "no-store" in answer["Cache-Control"]
    assert shown[1] not in client.cookies.output()
    assert shown[1] not in str(dict(client.session))
    assert "messages" not in client.cookies
    key = ApiKey.objects.get()
    assert credentials.principal_of_key(shown[1]).key_id == key.pk
    assert key.created_by == alice
    assert AuditEvent.objects.filter(action="api_key.created", user_id=alice.pk).exists()
    for address in (page("apikey"), page("apikey", "change", key.pk), page("apikey", "history", key.pk)):
        content = client.get(address).content.decode()
        assert shown[1] not in content
        assert shown[1][16:] not in content
        assert key.digest not in content


def test_a_key_is_bound_to_an_environment_with_the_form(
    alice: User, project: Project, browser: Callable[[User], Client]
) -> None:
    client = browser(alice)
    form = client.get(page("apikey", "add")).content.decode()
    assert '<option value="" selected>None: assistants as they were last written</option>' in form
    fields = {"project": project.pk, "scopes": sorted(DEFAULT_KEY_SCOPES)}
    for name, environment in (("Bound", "staging"), ("Free", "")):
        answer = client.post(page("apikey", "add"), {"name": name, "environment": environment, **fields})
        assert answer.status_code == 200
    bound = ApiKey.objects.get(name="Bound")
    assert (bound.environment, ApiKey.objects.get(name="Free").environment) == ("staging", None)
    assert "Staging" in client.get(page("apikey", "change", bound.pk)).content.decode()
    for query, shown, other in (("staging", "Bound", "Free"), ("none", "Free", "Bound")):
        listed = client.get(f"{page('apikey')}?environment={query}").content.decode()
        assert shown in listed
        assert other not in listed
    wrong = client.post(page("apikey", "add"), {"name": "Wrong", "environment": "nowhere", **fields})
    assert "Select a valid choice" in wrong.content.decode()
    assert not ApiKey.objects.filter(name="Wrong").exists()


def test_a_key_takes_the_only_project_when_none_is_chosen(alice: User, project: Project, rf: RequestFactory) -> None:
    request = rf.post("/")
    request.user = alice
    key = ApiKey(name="x")
    admin.site._registry[ApiKey].set_project(request, key)
    assert key.project == project
    services.create_project(name="Second", owner=alice)
    del request._principals
    with pytest.raises(ApiError, match="Choose a project"):
        admin.site._registry[ApiKey].set_project(request, ApiKey(name="y"))


def test_a_key_for_another_tenants_project_is_refused(
    alice: User, project: Project, charlies_project: Project, browser: Callable[[User], Client]
) -> None:
    data = {"name": "x", "project": charlies_project.pk, "scopes": ["runs:read"]}
    answer = browser(alice).post(page("apikey", "add"), data)
    assert answer.status_code == 200  # the form again
    assert "not one of the available choices" in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_the_form_offers_own_projects_only(
    alice: User, project: Project, charlies_project: Project, browser: Callable[[User], Client]
) -> None:
    form = browser(alice).get(page("apikey", "add")).content.decode()
    assert project.pk in form
    assert charlies_project.pk not in form


def test_a_key_is_revoked_by_an_action_and_never_changed_or_deleted(
    alice: User, api_key: str, browser: Callable[[User], Client]
) -> None:
    client = browser(alice)
    key = ApiKey.objects.get()
    assert client.post(page("apikey", "change", key.pk), {"name": "other"}).status_code == 403
    assert client.post(page("apikey", "delete", key.pk), {"post": "yes"}).status_code == 403

    answer = client.post(page("apikey"), {"action": "revoke", "_selected_action": [key.pk]})
    assert answer.status_code == 302
    key.refresh_from_db()
    assert (key.state, key.name) == ("revoked", "test")


def test_revoking_needs_the_right_in_the_keys_own_project(
    project: Project, api_key: str, bob: User, browser: Callable[[User], Client]
) -> None:
    """Bob manages keys in his project; in Alice's he is an analyst, and does not even see them."""
    services.create_project(name="Bob's", owner=bob)
    key = ApiKey.objects.get()
    browser(bob).post(page("apikey"), {"action": "revoke", "_selected_action": [key.pk]})
    key.refresh_from_db()
    assert key.state == "active"
