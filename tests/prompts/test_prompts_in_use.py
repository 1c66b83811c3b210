"""A prompt that an assistant has: who uses it is told, and neither it nor the label that is meant goes away."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from assistants.models import Assistant, Visibility
from assistants.prompts.models import Prompt, PromptLabel
from assistants.services import create_assistant
from assistants.services.links import link_prompt, unlink_prompt
from inference.models import RegisteredModel
from sovereign.accounts.principals import Principal

pytestmark = pytest.mark.django_db


@pytest.fixture
def guide(alices: Principal) -> Assistant:
    RegisteredModel.objects.create(name="tiny", created_at=timezone.now())
    return create_assistant(principal=alices, model="tiny", name="Guide")


def test_what_an_assistant_has_stays(
    analyst: APIClient, alices: Principal, prompt: dict[str, Any], guide: Assistant
) -> None:
    path = f"/api/v1/prompts/{prompt['id']}"
    for name in ("production", "beta"):
        analyst.put(f"{path}/labels/{name}", {"version": 1}, format="json")
    link = link_prompt(principal=alices, assistant_id=guide.id, prompt_id=prompt["id"], label="production")
    assert analyst.get(f"{path}/usage").json()["assistants"] == [
        {
            "assistant_id": guide.id, "assistant_name": "Guide", "link_id": link.id, "kind": "primary",
            "label": "production", "version": None, "is_enabled": True,
        }
    ]  # fmt: skip
    for refused in (analyst.delete(path), analyst.delete(f"{path}/labels/production")):
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "in_use")
        assert "is used by Guide" in refused.json()["error"]["message"]
    assert analyst.delete(f"{path}/labels/beta").status_code == 200
    assert (Prompt.objects.count(), PromptLabel.objects.get().name) == (1, "production")
    unlink_prompt(principal=alices, assistant_id=guide.id, name=link.id)
    assert analyst.get(f"{path}/usage").json()["assistants"] == []
    assert analyst.delete(path).status_code == 200


def test_of_a_private_assistant_others_learn_that_there_is_one(
    analyst: APIClient, alices: Principal, prompt: dict[str, Any], guide: Assistant
) -> None:
    link_prompt(principal=alices, assistant_id=guide.id, prompt_id=prompt["id"])
    Assistant.objects.filter(pk=guide.pk).update(visibility=Visibility.PRIVATE)
    [use] = analyst.get(f"/api/v1/prompts/{prompt['id']}/usage").json()["assistants"]
    assert (use["assistant_id"], use["link_id"]) == (None, None)
    refused = analyst.delete(f"/api/v1/prompts/{prompt['id']}").json()["error"]["message"]
    assert "Guide" not in refused + use["assistant_name"]
    assert Prompt.objects.exists()
