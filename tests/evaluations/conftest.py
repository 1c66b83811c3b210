"""An assistant with two versions, and what a key with all rights of an administrator sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.models import Assistant, AssistantVersion
from assistants.services import versions
from inference.models import RegisteredModel
from runs.evaluations import services
from runs.evaluations.models import EvaluationSet
from sovereign.accounts import credentials
from sovereign.accounts import services as accounts
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ROLE_SCOPES, Role
from tests.runs.conftest import model, registered

__all__ = ["model", "registered"]


def key_of(project: Project, role: str) -> str:
    """The secret of a key that may do what a role may."""
    return accounts.create_api_key(project=project, name=role, scopes=sorted(ROLE_SCOPES[role]))[1]


@pytest.fixture
def principal(alice: User, project: Project) -> Principal:
    """Alice, who owns the project."""
    return credentials.principal_of_person(alice.pk)


@pytest.fixture
def analyst(bob: User) -> Principal:
    return credentials.principal_of_person(bob.pk)


@pytest.fixture
def assistant(principal: Principal, registered: RegisteredModel) -> Assistant:
    return assistants.create_assistant(principal=principal, model="tiny", name="Guide", instructions="Be brief.")


@pytest.fixture
def version(principal: Principal, assistant: Assistant) -> AssistantVersion:
    return versions.publish(principal=principal, assistant_id=assistant.id)


@pytest.fixture
def evaluation(principal: Principal, assistant: Assistant) -> EvaluationSet:
    """A set of the assistant, without cases."""
    return services.create_set(principal=principal, name="Capitals", assistant_id=assistant.id)


@pytest.fixture
def api(client_of: Callable[[str], APIClient], project: Project) -> APIClient:
    """A client with all rights of an administrator."""
    return client_of(key_of(project, Role.ADMIN))


@pytest.fixture
def client_as(client_of: Callable[[str], APIClient], project: Project) -> Callable[[str], APIClient]:
    """``client_as(role)``: a client with a key of Alice's project that may do what the role may."""
    return lambda role: client_of(key_of(project, role))


@pytest.fixture
def add_case(principal: Principal, evaluation: EvaluationSet) -> Callable[..., Any]:
    """``add_case(input, **fields)``: a case whose answer has to be ``Paris``, unless checks are given."""

    def add(text: str = "The capital of France?", **fields: Any) -> Any:
        given = {"checks": [{"type": "exact", "value": "Paris"}], **fields}
        return services.create_case(principal=principal, set_id=evaluation.id, input=text, **given)

    return add
