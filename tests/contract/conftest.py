"""Our own OpenAPI document, as the server sends it."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.utils import timezone

from inference import gateway
from inference.chat import Availability, Capabilities
from inference.models import RegisteredModel
from tests.contract.facts import Document


@pytest.fixture(scope="session")
def document() -> Document:
    answer = Client().get("/openapi.json")
    assert answer.status_code == 200
    parsed: Document = json.loads(answer.content)
    return parsed


@pytest.fixture
def registered(db: None, monkeypatch: pytest.MonkeyPatch) -> RegisteredModel:
    """The model ``tiny``, which can be served and never is: tests write its answers."""
    capabilities = Capabilities(continuation=True, context_length=8_192)
    monkeypatch.setattr(gateway, "availability", lambda name, **_: Availability(ready=True, capabilities=capabilities))
    return RegisteredModel.objects.create(name="tiny", created_at=timezone.now())
