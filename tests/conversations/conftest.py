"""An assistant whose prompt has variables, and conversations with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants.models import Assistant
from assistants.prompts import services as prompts
from assistants.services import links
from sovereign.accounts import credentials
from sovereign.accounts.models import User
from tests.runs.conftest import assistant, model, principal, registered, thread, tooled

__all__ = ["assistant", "model", "principal", "registered", "thread", "tooled"]

ROOT = "/api/v1/conversations"
VARIABLES = [
    {"name": "plan", "type": "choice", "choices": ["basic", "pro"]},
    {"name": "seats", "type": "integer"},
    {"name": "tags", "type": "list"},
]
TEMPLATE = "{{instructions}} The plan is {{plan}} with {{seats}} seats{{#tags}}, and {{.}}{{/tags}}."


@pytest.fixture
def prompted(alice: User, assistant: Assistant) -> Assistant:
    """The assistant, with a prompt of the library that says its variables."""
    principal = credentials.principal_of_person(alice.pk)
    made = prompts.create_prompt(principal=principal, name="Seller", template=TEMPLATE, variables=VARIABLES)
    links.link_prompt(principal=principal, assistant_id=assistant.id, prompt_id=made.id)
    return assistant


@pytest.fixture
def start(api: APIClient, assistant: Assistant) -> Callable[..., dict[str, Any]]:
    """``start(**fields)``: a conversation with the assistant, as the API answers it."""

    def make(**fields: Any) -> dict[str, Any]:
        answer = api.post(ROOT, {"assistant_id": assistant.id, **fields}, format="json")
        assert answer.status_code == 200, answer.content
        return answer.json()  # type: ignore[no-any-return]

    return make
