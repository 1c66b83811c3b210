"""Every role and every scope refuses: "a role or scope without a test that it refuses does not exist"."""

from collections.abc import Callable

import pytest
from django.test import Client
from rest_framework.test import APIClient

from sovereign.accounts import scopes, services
from sovereign.accounts.models import Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALL_SCOPES, DEFAULT_KEY_SCOPES, ROLE_SCOPES, STAFF_ROLES, Role
from sovereign.core.errors import ApiError

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]

EVERY_SCOPE = sorted(ALL_SCOPES)
ROLES_AND_SCOPES = [(role, scope) for role in Role.values for scope in EVERY_SCOPE]

#: Written out by hand, so that a change of the table is a change of this test too.
REFUSED = {
    "viewer": {
        "assistants:write", "conversations:read", "keys:manage", "members:manage", "audit:read", "usage:read",
        "models:write", "health:read", "vector_stores:write", "tools:manage",
        "assistants:deploy", "assistants:promote", "prompts:write", "evaluations:write",
        "analytics:read", "alerts:write", "threads:redact",
    },
    "analyst": {
        "keys:manage", "members:manage", "audit:read", "usage:read", "models:write", "health:read", "tools:manage",
        "assistants:promote", "threads:redact",
    },
    "admin": {"models:write", "health:read"},
    "owner": {"models:write", "health:read"},
}  # fmt: skip


@pytest.mark.parametrize(("role", "scope"), ROLES_AND_SCOPES)
def test_a_role_passes_where_it_has_the_scope_and_is_refused_elsewhere(
    role: str, scope: str, project: Project, browser_of: Callable[[User], Client]
) -> None:
    user = User.objects.create_user("somebody")
    services.add_member(project=project, user=user, role=role)

    answer = browser_of(user).get(f"/v1/scope/{scope}")

    if scope in REFUSED[role]:
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "insufficient_permissions"
        assert scope in answer.json()["error"]["message"]
    else:
        assert answer.status_code == 200


@pytest.mark.parametrize("scope", EVERY_SCOPE)
def test_a_key_with_every_other_scope_is_refused(
    scope: str, project: Project, client_of: Callable[[str], APIClient]
) -> None:
    _, secret = services.create_api_key(project=project, scopes=ALL_SCOPES - {scope})

    answer = client_of(secret).get(f"/v1/scope/{scope}")

    assert answer.status_code == 403
    assert answer.json() == {
        "error": {
            "message": f"You have insufficient permissions for this operation. Missing scopes: {scope}.",
            "type": "invalid_request_error",
            "param": None,
            "code": "insufficient_permissions",
        }
    }


@pytest.mark.parametrize("scope", EVERY_SCOPE)
def test_a_key_with_one_scope_passes_there_and_nowhere_else(
    scope: str, project: Project, client_of: Callable[[str], APIClient]
) -> None:
    _, secret = services.create_api_key(project=project, scopes=[scope])
    client = client_of(secret)

    passed = {other for other in EVERY_SCOPE if client.get(f"/v1/scope/{other}").status_code == 200}

    assert passed == {scope}


@pytest.mark.parametrize("scope", EVERY_SCOPE)
def test_a_principal_without_the_scope_is_refused(scope: str) -> None:
    principal = Principal(project_id="proj_x", key_id="key_x", scopes=ALL_SCOPES - {scope})

    assert not principal.allows(scope)
    with pytest.raises(ApiError) as refusal:
        principal.require(scope)
    assert refusal.value.status == 403


def test_admin_differs_from_owner_in_ownership_only() -> None:
    """Tested as refusals in ``test_memberships``."""
    assert ROLE_SCOPES["admin"] == ROLE_SCOPES["owner"] == ALL_SCOPES - {"models:write", "health:read"}


def test_every_role_has_scopes_and_every_scope_a_description() -> None:
    assert set(ROLE_SCOPES) == set(Role.values) == set(REFUSED)
    assert set.union(*map(set, ROLE_SCOPES.values())) | scopes.OF_THE_HOUSE == set(scopes.DESCRIPTIONS)
    assert {"analyst", "admin", "owner"} == STAFF_ROLES


def test_default_scopes_of_a_key_do_not_reach_people_keys_or_chats() -> None:
    refused = {"keys:manage", "members:manage", "audit:read", "usage:read", "conversations:read", "tools:manage"}
    refused |= {
        "assistants:deploy",
        "assistants:promote",
        "prompts:write",
        "evaluations:write",
        "analytics:read",
        "alerts:write",
        "threads:redact",
    }
    assert refused | scopes.OF_THE_HOUSE == ALL_SCOPES - DEFAULT_KEY_SCOPES


def test_a_role_that_does_not_exist_cannot_be_stored(project: Project, charlie: User) -> None:
    from django.db import IntegrityError, transaction

    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(project=project, user=charlie, role="god")


@pytest.mark.parametrize(("given", "message"), [(["all"], "Unknown scope: 'all'."), ([], "at least one scope")])
def test_a_key_needs_scopes_that_exist(given: list[str], message: str, project: Project) -> None:
    with pytest.raises(ApiError, match=message):
        services.create_api_key(project=project, scopes=given)
