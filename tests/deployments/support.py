"""A check whose verdict a test sets, and the words with which tests deploy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assistants import deployments
from assistants import services as assistants
from assistants.deployments.checks import Finding, Verdict
from assistants.kinds import GUARDED
from assistants.models import Assistant, Deployment
from sovereign.accounts import services
from sovereign.accounts.credentials import principal_of_membership
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError


class Trial:
    """Of staging and production: ``pending`` until a test says otherwise."""

    name = "trial"
    title = "A trial"
    environments = GUARDED

    def __init__(self) -> None:
        self.verdict = Verdict.PENDING
        self.begun: list[str] = []

    def begin(self, deployment: Deployment) -> Finding:
        self.begun.append(deployment.id)
        deployment.smoke_run_id = f"run_{len(self.begun)}"
        return self.look(deployment)

    def look(self, deployment: Deployment) -> Finding:
        fix = "Be better." if self.verdict == Verdict.FAILED else ""
        return Finding(name=self.name, title=self.title, verdict=self.verdict, detail="As the test says.", fix=fix)


def acting(project: Project, role: str, name: str = "") -> Principal:
    """A new member of the project."""
    user = User.objects.create_user(name or f"acting-{role}")
    return principal_of_membership(services.add_member(project=project, user=user, role=role))


def refused(call: Callable[[], object]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value


def change(principal: Principal, assistant: Assistant, instructions: str) -> None:
    assistants.update_assistant(principal=principal, assistant_id=assistant.id, instructions=instructions)


def deployed(
    principal: Principal, assistant: Assistant, instructions: str, environment: str = "development", **wish: Any
) -> Deployment:
    """The draft, with new instructions, in an environment."""
    change(principal, assistant, instructions)
    return deployments.deploy(principal=principal, assistant_id=assistant.id, environment=environment, **wish)
