"""What is done to several assistants at once: by their services, with what these refuse told of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from assistants.models import Assistant, LifeStatus
from assistants.services import create_assistant
from sovereign.accounts import services as accounts
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role

pytestmark = pytest.mark.django_db

LIST = "/admin/assistants/assistant/"


def told(answer: Any) -> str:
    return " ".join(map(str, get_messages(answer.wsgi_request)))


def test_several_are_activated_archived_and_deleted(
    alice: User, principal: Principal, model: str, visit: Callable[[User], Client]
) -> None:
    made = [create_assistant(principal=principal, model=model, name=f"Number {n}") for n in range(3)]
    client = visit(alice)
    chosen = {"_selected_action": [one.pk for one in made]}

    def statuses() -> list[str]:
        return list(Assistant.objects.order_by("name").values_list("status", flat=True))

    assert "3 made archived" in told(client.post(LIST, {"action": "archive", **chosen}))
    assert statuses() == [LifeStatus.ARCHIVED] * 3
    Assistant.objects.filter(pk=made[0].pk).update(status=LifeStatus.INACTIVE)
    words = told(client.post(LIST, {"action": "activate", **chosen}))
    assert "1 made active" in words
    assert "Number 1: Invalid 'status': 'archived' cannot become 'active'" in words
    assert statuses() == [LifeStatus.ACTIVE, LifeStatus.ARCHIVED, LifeStatus.ARCHIVED]
    assert AuditEvent.objects.filter(action="assistant.change_refused").count() == 2
    client.post(LIST, {"action": "delete_selected", "post": "yes", **chosen})
    assert not Assistant.objects.filter(pk__in=chosen["_selected_action"]).exists()


def test_who_only_sees_them_changes_none(
    assistant: Assistant, project: Project, charlie: User, visit: Callable[[User], Client]
) -> None:
    viewer = User.objects.create_user("vera")
    accounts.add_member(project=project, user=viewer, role=Role.VIEWER)
    User.objects.filter(pk=viewer.pk).update(is_staff=True)
    viewer.refresh_from_db()
    for person in (viewer, charlie):
        visit(person).post(LIST, {"action": "archive", "_selected_action": [assistant.pk]})
        assistant.refresh_from_db()
        assert assistant.status != LifeStatus.ARCHIVED
