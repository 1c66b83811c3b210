"""An assistant whose model is served, people of each role, and a trial that says what a test wants."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.utils import timezone

from assistants import services
from assistants.deployments import checks
from assistants.deployments.content_checks import CONTENT_CHECKS
from assistants.models import Assistant
from inference import gateway
from inference.chat import Availability
from inference.models import RegisteredModel
from sovereign.accounts.credentials import principal_of_person
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from tests.deployments.support import Trial, acting


@pytest.fixture
def served(db: None, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The model ``tiny``, which can be called while ``served.ready``."""
    RegisteredModel.objects.create(name="tiny", created_at=timezone.now())
    state = SimpleNamespace(ready=True, reason="No engine serves it.")

    def availability(name: str, **_: object) -> Availability:
        return Availability(ready=state.ready, reason="" if state.ready else state.reason)

    monkeypatch.setattr(gateway, "availability", availability)
    return state


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Trial:
    """The only check that has to be waited for."""
    made = Trial()
    known = {check.name: check for check in (*CONTENT_CHECKS, made)}
    monkeypatch.setattr(checks, "CHECKS", known)
    monkeypatch.setattr("assistants.deployments.checklist.CHECKS", known)
    return made


@pytest.fixture
def owner(alice: User, project: Project) -> Principal:
    return principal_of_person(alice.pk, project.id)


@pytest.fixture
def analyst(bob: User, project: Project) -> Principal:
    return principal_of_person(bob.pk, project.id)


@pytest.fixture
def admin(project: Project) -> Principal:
    return acting(project, "admin", "ada")


@pytest.fixture
def assistant(owner: Principal, served: SimpleNamespace) -> Assistant:
    return services.create_assistant(principal=owner, model="tiny", name="Helper", instructions="Be brief.")
