from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ROLE_SCOPES, Role
from sovereign.accounts.services import create_api_key

TEMPLATE = "Answer for {{ company }}.\n{{# topics }}\n- {{ . }}\n{{/ topics }}\n"
VARIABLES = [{"name": "company", "required": True}, {"name": "topics", "type": "list"}]


@pytest.fixture
def client_with(project: Project, client_of: Callable[[str], APIClient]) -> Callable[..., APIClient]:
    """``client_with(Role.VIEWER)``: a client with a key of Alice's project that may what that role may."""

    def make(role: Role) -> APIClient:
        return client_of(create_api_key(project=project, name=role, scopes=ROLE_SCOPES[role])[1])

    return make


@pytest.fixture
def analyst(client_with: Callable[..., APIClient]) -> APIClient:
    return client_with(Role.ANALYST)


@pytest.fixture
def viewer(client_with: Callable[..., APIClient]) -> APIClient:
    return client_with(Role.VIEWER)


@pytest.fixture
def stranger(charlies_project: Project, client_of: Callable[[str], APIClient]) -> APIClient:
    """A client with a key of Charlie's project that may everything about prompts."""
    return client_of(create_api_key(project=charlies_project, name="theirs", scopes=ROLE_SCOPES[Role.OWNER])[1])


@pytest.fixture
def alices(alice: User, project: Project) -> Principal:
    principal = principal_of_person(alice.pk)
    assert principal is not None
    return principal


@pytest.fixture
def prompt(analyst: APIClient) -> dict[str, Any]:
    """A prompt with one version."""
    body = {"name": "Desk", "template": TEMPLATE, "variables": VARIABLES, "notes": "The first."}
    answer = analyst.post("/api/v1/prompts", body, format="json")
    assert answer.status_code == 200, answer.content
    made: dict[str, Any] = answer.json()
    return made
