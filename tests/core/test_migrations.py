"""Migrations run forward, back and forward, on tables that hold something, and say what the models say."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from inference.models import RegisteredModel
from sovereign.core.database import is_migrated, now

ROOMS = ("runs", "threads", "assistants", "inference")


@pytest.mark.django_db(transaction=True)
def test_every_room_goes_back_and_forward_again(api: APIClient) -> None:
    RegisteredModel.objects.create(name="tiny", created_at=now())
    assistant = api.post("/v1/assistants", {"model": "tiny"}, format="json").json()
    thread = {"messages": [{"role": "user", "content": "Hello?"}]}
    body = {"assistant_id": assistant["id"], "thread": thread}
    assert api.post("/v1/threads/runs", body, format="json").status_code == 200
    try:
        for room in ROOMS:
            call_command("migrate", room, "zero", verbosity=0)
        assert not is_migrated()
    finally:
        call_command("migrate", verbosity=0)
    assert is_migrated()
    assert not RegisteredModel.objects.exists()


@pytest.mark.django_db
def test_models_and_migrations_agree() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)  # exits with 1 where they do not
    assert is_migrated()
