"""What people think of conversations is counted with the run that they think it of, and taken back from there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.models import Assistant
from runs.analytics.counting import count_batch
from runs.analytics.models import Rollup
from runs.conversations import services
from runs.conversations.models import Conversation
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from tests.analytics.histories import History
from tests.evaluations.conftest import api, model, principal, registered

__all__ = ["api", "model", "principal", "registered"]

pytestmark = pytest.mark.django_db

CELL = ("environment", "version_id", "model")
PRODUCTION = ("production", "ver_1", "tiny")
STAGING = ("staging", "ver_2", "other")


@pytest.fixture
def guide(principal: Principal, registered: Any) -> Assistant:
    return assistants.create_assistant(principal=principal, model="tiny", name="Guide", instructions="x")


def opinions() -> dict[tuple[str, ...], tuple[int, int, int]]:
    """Thumbs up, scores and their sum, by cell."""
    count_batch(100)
    rows = Rollup.objects.filter(period="day").values_list(*CELL, "thumbs_up", "rated", "rating_sum")
    return {row[:3]: row[3:] for row in rows if any(row[3:])}


def test_an_opinion_is_of_the_newest_run(
    api: APIClient, project: Project, principal: Principal, guide: Assistant
) -> None:
    history, at = History(project), f"/api/v1/assistants/{guide.pk}/metrics?metrics=rating,satisfaction"
    begun = api.post("/api/v1/conversations", {"assistant_id": guide.pk}, format="json").json()["id"]
    conversation = Conversation.objects.get(pk=begun)

    def answered(environment: str, version: str, asked: str) -> None:
        now = timezone.now()
        cell = {"environment": environment, "version_id": version, "model": asked, "deployment_id": "dep_1"}
        times = {"created_at": now, "completed_at": now + timedelta(seconds=1), "expires_at": now}
        history.run(conversation.thread, assistant_id=guide.pk, **cell, **times)

    def rate(**said: Any) -> None:
        services.rate(principal=principal, conversation_id=begun, **said)

    answered(*PRODUCTION)
    rate(thumb="up", score=5)
    assert opinions() == {PRODUCTION: (1, 1, 5)}
    for asked, expected in (("production", [5.0, 1.0]), ("staging", [None, None])):
        told = api.get(f"{at}&environment={asked}").json()["metrics"]
        assert [metric["value"] for metric in told] == expected, asked
    answered(*STAGING)
    assert opinions() == {PRODUCTION: (1, 1, 5)}  # nobody said anything about the new one yet
    rate(score=2)
    assert opinions() == {STAGING: (1, 1, 2)}
    rate(thumb=None, score=None)
    assert opinions() == {}


def test_before_there_is_a_run_an_opinion_is_of_no_version(
    api: APIClient, project: Project, principal: Principal, guide: Assistant
) -> None:
    begun = api.post("/api/v1/conversations", {"assistant_id": guide.pk}, format="json").json()["id"]
    services.rate(principal=principal, conversation_id=begun, score=4)
    assert opinions() == {("", "", ""): (0, 1, 4)}
    History(project).run(Conversation.objects.get(pk=begun).thread, environment="production", assistant_id=guide.pk)
    services.rate(principal=principal, conversation_id=begun, score=3)
    assert opinions() == {("production", "", "tiny"): (0, 1, 3)}
