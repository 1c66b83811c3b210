"""A scripted gateway, and a worker that runs in the test's own event loop."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone

from assistants import services as assistants
from assistants.models import Assistant
from inference import gateway
from inference.models import RegisteredModel
from runs.models import Run
from runs.services import creation
from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal
from tests.runs.support import WEATHER, Model
from threads import services as threads
from threads.models import Thread


@pytest.fixture
def registered(db: None) -> RegisteredModel:
    return RegisteredModel.objects.create(name="tiny", created_at=timezone.now())


@pytest.fixture
def model(registered: RegisteredModel, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The scripted model behind the name ``tiny``."""
    scripted = Model()
    monkeypatch.setattr(gateway, "stream", scripted.stream)
    monkeypatch.setattr(gateway, "availability", scripted.availability)
    monkeypatch.setattr(gateway, "availabilities", scripted.availabilities)
    return scripted


@pytest.fixture
def principal(api_key: str) -> Principal:
    """Alice's key."""
    return credentials.principal_of_key(api_key)


@pytest.fixture
def assistant(principal: Principal, registered: RegisteredModel) -> Assistant:
    return assistants.create_assistant(principal=principal, model="tiny", instructions="Be brief.")


@pytest.fixture
def tooled(principal: Principal, registered: RegisteredModel) -> Assistant:
    """An assistant with a function."""
    return assistants.create_assistant(principal=principal, model="tiny", tools=[WEATHER])


@pytest.fixture
def thread(principal: Principal) -> Thread:
    return threads.create_thread(principal=principal, messages=[{"role": "user", "content": "Hello?"}])


@pytest.fixture
def begin(principal: Principal, thread: Thread, assistant: Assistant) -> Callable[..., Run]:
    """``begin(**overrides)``: a queued run on the thread."""

    def make(**overrides: object) -> Run:
        request = {"thread_id": thread.id, "assistant_id": assistant.id, **overrides}
        return creation.create_run(principal=principal, **request).run  # type: ignore[arg-type]

    return make
