"""What the tests of an assistant's life begin with: Bob is the analyst who makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from assistants import services
from assistants.models import Assistant, AssistantVersion
from assistants.services import versions
from inference.models import RegisteredModel
from sovereign.accounts.credentials import principal_of_membership
from sovereign.accounts.models import Membership, User
from sovereign.accounts.principals import Principal

Publish = Callable[..., AssistantVersion]
Change = Callable[..., None]


@pytest.fixture
def analyst(bob: User) -> Principal:
    return principal_of_membership(Membership.objects.get(user=bob))


@pytest.fixture
def charlies(charlie: User) -> Principal:
    return principal_of_membership(Membership.objects.get(user=charlie))


@pytest.fixture
def assistant(analyst: Principal) -> Assistant:
    RegisteredModel.objects.create(name="tiny", created_at=timezone.now())
    return services.create_assistant(principal=analyst, model="tiny", name="Guide", instructions="Be brief.")


@pytest.fixture
def change(analyst: Principal, assistant: Assistant) -> Change:
    """``change(instructions=…)``: the draft is changed, and ``assistant`` is it."""

    def apply(**fields: Any) -> None:
        services.update_assistant(principal=analyst, assistant_id=assistant.id, **fields)
        assistant.refresh_from_db()

    return apply


@pytest.fixture
def publish(analyst: Principal, assistant: Assistant) -> Publish:
    """``publish()``: the draft becomes a version, and ``assistant`` is up to date."""

    def make(**options: Any) -> AssistantVersion:
        made = versions.publish(principal=analyst, assistant_id=assistant.id, **options)
        assistant.refresh_from_db()
        return made

    return make
