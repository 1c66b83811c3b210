"""A caller of ``/api/v1/assistants``: what the tests of an assistant's life ask with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from inference.models import RegisteredModel
from sovereign.accounts.credentials import principal_of_key, principal_of_membership
from sovereign.accounts.models import Membership, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.services import add_member

ROOT = "/api/v1/assistants"


@dataclass(frozen=True)
class Caller:
    """Somebody, with the rights of ``principal``."""

    client: APIClient
    principal: Principal

    def made(self, **fields: Any) -> dict[str, Any]:
        """A new assistant; its model is ``tiny`` where none is given."""
        answer = self.post("", {} if "template" in fields else {"model": "tiny"}, **fields)
        assert answer.status_code == 200, answer.content
        return answer.json()  # type: ignore[no-any-return]

    def post(self, path: str, body: dict[str, Any] | None = None, **fields: Any) -> Any:
        return self.client.post(_address(path), {**(body or {}), **fields}, format="json")

    def put(self, path: str, body: Any) -> Any:
        return self.client.put(_address(path), body, format="json")

    def delete(self, path: str) -> Any:
        return self.client.delete(_address(path))

    def ask(self, path: str = "", **query: Any) -> Any:
        return self.client.get(_address(path), query)

    def get(self, path: str = "", **query: Any) -> Any:
        answer = self.ask(path, **query)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def listed(self, **query: Any) -> set[str]:
        """The names on a list."""
        return {entry["name"] for entry in self.get(**query)["data"]}


@pytest.fixture
def tiny(db: None) -> RegisteredModel:
    """The model of assistants that are made here."""
    return RegisteredModel.objects.create(name="tiny", created_at=timezone.now())


@pytest.fixture
def caller(api: APIClient, api_key: str, tiny: RegisteredModel) -> Caller:
    """A key of Alice's project with the default scopes."""
    return Caller(api, principal_of_key(api_key))


@pytest.fixture
def person(project: Project, tiny: RegisteredModel) -> Callable[[str], Caller]:
    """``person("viewer")``: a new member of Alice's project, with that role."""

    def make(role: str) -> Caller:
        user = User.objects.create_user(f"{role}-{User.objects.count()}")
        add_member(project=project, user=user, role=role)
        return caller_of(user)

    return make


def caller_of(user: User) -> Caller:
    """Somebody who is a member of one project."""
    principal = principal_of_membership(Membership.objects.get(user=user))
    client = APIClient()
    client.force_authenticate(user=user, token=principal)  # type: ignore[arg-type]
    return Caller(client, principal)


def _address(path: str) -> str:
    return f"{ROOT}/{path}" if path else ROOT
