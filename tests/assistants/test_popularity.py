"""What is used most: runs of this server, and use elsewhere, which costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from assistants.models import Assistant, ExternalUse
from assistants.services import versions
from inference.models import UsageRecord
from runs.models import Run
from runs.services import creation
from sovereign.accounts.models import AuditEvent, Consumption
from tests.assistants.calling import Caller, caller, person, tiny
from threads import services as threads

__all__ = ["caller", "person", "tiny"]

pytestmark = pytest.mark.django_db

HELLO = [{"role": "user", "content": "Hello"}]


def run(caller: Caller, assistant_id: str) -> Run:
    thread = threads.create_thread(principal=caller.principal, messages=HELLO)
    return creation.create_run(principal=caller.principal, thread_id=thread.id, assistant_id=assistant_id).run


def test_runs_and_use_elsewhere_count_and_are_told_apart(caller: Caller) -> None:
    quiet, busy, outside = (caller.made(name=name)["id"] for name in ("Quiet", "Busy", "Outside"))
    for _ in range(2):
        run(caller, busy)
    told = caller.post(f"{outside}/usage", count=5, source="import").json()
    assert (told["object"], told["external"], told["count"], told["assistant_id"]) == (
        "assistant.use", True, 5, outside,
    )  # fmt: skip
    caller.post(f"{busy}/usage")
    found = caller.get("popular")["data"]
    assert [(one["name"], one["uses"], one["runs"], one["external"]) for one in found] == [
        ("Outside", 5, 0, 5),
        ("Busy", 3, 2, 1),
    ]
    assert quiet not in {one["id"] for one in found}
    first = caller.get("popular", limit=1)
    assert first["has_more"]
    assert [one["name"] for one in caller.get("popular", limit=1, after=first["last_id"])["data"]] == ["Busy"]
    assert not UsageRecord.objects.exists()
    assert not Consumption.objects.exists()
    assert AuditEvent.objects.filter(action="assistant.used_elsewhere").count() == 2


def test_what_is_long_ago_or_only_a_trial_does_not_count(caller: Caller) -> None:
    made = Assistant.objects.get(pk=caller.made(name="Tried")["id"])
    version = versions.publish(principal=caller.principal, assistant_id=made.id)
    creation.try_version(principal=caller.principal, version=version, messages=HELLO, metadata={})
    caller.post(f"{made.id}/usage", count=3)
    ExternalUse.objects.update(created_at=timezone.now() - timedelta(days=8))
    assert caller.get("popular", days=7)["data"] == []
    assert [one["uses"] for one in caller.get("popular", days=9)["data"]] == [3]


def test_only_what_one_sees_and_of_the_type_that_is_asked_for(caller: Caller, person: Callable[[str], Caller]) -> None:
    maker = person("analyst")
    mine = maker.made(name="Mine", visibility="private", type="creative")["id"]
    ours = maker.made(name="Ours")["id"]
    for identifier in (mine, ours):
        assert maker.post(f"{identifier}/usage").status_code == 200
    assert [one["name"] for one in caller.get("popular")["data"]] == ["Ours"]
    assert [one["name"] for one in maker.get("popular", type="creative")["data"]] == ["Mine"]
    assert caller.post(f"{mine}/usage").status_code == 404
    assert person("viewer").post(f"{ours}/usage").status_code == 403


@pytest.mark.parametrize("body", [{"count": 0}, {"count": 10**9}, {"count": "x"}, {"source": "x" * 65}, {"more": 1}])
def test_what_is_no_use_is_refused(caller: Caller, body: dict[str, Any]) -> None:
    made = caller.made(name="Any")["id"]
    assert caller.post(f"{made}/usage", body).status_code == 400
    assert not ExternalUse.objects.exists()


@pytest.mark.parametrize("query", [{"days": 0}, {"days": "x"}, {"days": 366}, {"type": "none"}, {"after": "asst_x"}])
def test_what_nobody_can_ask_for_is_refused(caller: Caller, query: dict[str, Any]) -> None:
    refused = caller.ask("popular", **query)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, next(iter(query)))
