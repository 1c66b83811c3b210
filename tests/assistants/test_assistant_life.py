"""The status of an assistant: one table, who may move it, what an archived one refuses, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants import services
from assistants.models import Assistant, Deployment, LifeStatus
from assistants.services import versions
from sovereign.accounts.models import AuditEvent
from tests.assistants.calling import Caller, caller, person, tiny

__all__ = ["caller", "person", "tiny"]

pytestmark = pytest.mark.django_db

#: written out by hand, so that a change of the table is a change of this test too
ALLOWED = {
    ("draft", "active"), ("draft", "archived"),
    ("active", "inactive"), ("active", "archived"),
    ("inactive", "active"), ("inactive", "archived"),
    ("archived", "draft"), ("archived", "inactive"),
}  # fmt: skip
PAIRS = [(before, after) for before in LifeStatus.values for after in LifeStatus.values if before != after]
Person = Callable[[str], Caller]


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_one_status_follows_another_as_the_table_says(caller: Caller, before: str, after: str) -> None:
    made = caller.made()
    Assistant.objects.update(status=before)
    answer = caller.put(made["id"], {"status": after, "name": "B"})
    if (before, after) in ALLOWED:
        assert (answer.status_code, answer.json()["status"]) == (200, after)
        recorded = AuditEvent.objects.get(action="assistant.status_changed", object_id=made["id"])
        assert recorded.details == {"before": before, "after": after}
    else:
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (400, "status", "invalid_status_change")
        assert Assistant.objects.get().name is None
        assert Assistant.objects.get().status == before


def test_the_table_is_told(caller: Caller) -> None:
    caller.made()
    caller.made(status="active")
    rows = {row["id"]: row for row in caller.get("statuses")["data"]}
    assert list(rows) == ["draft", "active", "inactive", "archived"]
    assert {(before, after) for before, row in rows.items() for after in row["following"]} == ALLOWED
    assert [row["assistants"] for row in rows.values()] == [1, 1, 0, 0]


@pytest.mark.parametrize("status", ["inactive", "archived"])
def test_nobody_is_born_asleep(caller: Caller, status: str) -> None:
    for body in ({"model": "tiny"}, {"template": "tutor", "model": "tiny"}):
        answer = caller.post("", body, status=status)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_status_change")
    assert not Assistant.objects.exists()


def test_the_same_status_again_is_no_change(caller: Caller) -> None:
    made = caller.made(status="active")
    assert caller.put(made["id"], {"status": "active"}).status_code == 200
    assert not AuditEvent.objects.filter(action="assistant.status_changed").exists()


def test_an_archived_one_changes_only_together_with_its_status(caller: Caller, api: APIClient) -> None:
    made = caller.made(name="A")
    assert caller.put(made["id"], {"status": "archived"}).status_code == 200
    for body in ({"name": "B"}, {}, {"status": "archived", "name": "B"}):
        answer = caller.put(made["id"], body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "assistant_archived")
    assert caller.get(made["id"])["name"] == "A"
    contract = api.post(f"/v1/assistants/{made['id']}", {"name": "C"}, format="json")  # which knows nothing of it
    assert (contract.status_code, contract.json()["name"]) == (200, "C")
    assert caller.get(made["id"])["status"] == "archived"
    assert caller.put(made["id"], {"status": "draft", "name": "D"}).json()["name"] == "D"
    assert caller.put(made["id"], {"name": "E"}).json()["name"] == "E"


def test_a_key_that_is_bound_to_nothing_runs_whatever_the_status(caller: Caller, api: APIClient) -> None:
    made = caller.made(status="active")
    thread = {"messages": [{"role": "user", "content": "Hello?"}]}
    for status in ("inactive", "archived"):
        assert caller.put(made["id"], {"status": status}).status_code == 200
        answer = api.post("/v1/threads/runs", {"assistant_id": made["id"], "thread": thread}, format="json")
        assert answer.status_code == 200, answer.content


@pytest.mark.parametrize("role", ["viewer", "analyst", "admin", "owner"])
def test_every_endpoint_by_role(caller: Caller, person: Person, role: str) -> None:
    made, somebody, writes = caller.made(), person(role), role != "viewer"
    reads = ["", "types", "statuses", "templates", made["id"], f"{made['id']}/lineage"]
    assert [somebody.ask(path).status_code for path in reads] == [200] * len(reads)
    answers = {
        "assistant.create": somebody.post("", {"model": "tiny"}),
        "assistant.clone": somebody.post(f"{made['id']}/clone"),
        "assistant.update": somebody.put(made["id"], {"status": "active"}),
        "assistant.delete": somebody.delete(made["id"]),
    }
    assert {answer.status_code for answer in answers.values()} == ({200} if writes else {403})
    refused = set(AuditEvent.objects.filter(action__endswith="_refused").values_list("action", flat=True))
    assert refused == (set() if writes else {f"{action}_refused" for action in answers})
    assert Assistant.objects.count() == (2 if writes else 1)


def test_what_serves_in_production_is_ended_by_those_who_may_promote(caller: Caller, person: Person) -> None:
    analyst, admin = person("analyst"), person("admin")
    made = analyst.made(status="active", name="Guide")
    version = versions.publish(principal=analyst.principal, assistant_id=made["id"])
    row: dict[str, Any] = {"project_id": version.project_id, "assistant_id": made["id"], "version": version}
    Deployment.objects.create(**row, environment="testing", status="active")
    assert analyst.put(made["id"], {"status": "inactive"}).status_code == 200
    assert analyst.put(made["id"], {"status": "active"}).status_code == 200
    Deployment.objects.create(**row, environment="production", status="canary", percent=5)
    for answer in (
        analyst.put(made["id"], {"status": "inactive"}),
        analyst.put(made["id"], {"status": "archived"}),
        analyst.delete(made["id"]),
        analyst.client.delete(f"/v1/assistants/{made['id']}"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_permissions")
    assert analyst.put(made["id"], {"name": "Renamed"}).status_code == 200
    assert admin.put(made["id"], {"status": "inactive"}).status_code == 200
    assert admin.client.delete(f"/v1/assistants/{made['id']}").status_code == 200
    assert not Deployment.objects.exists()
    ended = AuditEvent.objects.filter(action="deployment.retired").order_by("pk")
    assert [(row.details["environment"], row.details["version"]) for row in ended] == [
        ("testing", 1),
        ("production", 1),
    ]
    assert {row.details["reason"] for row in ended} == {"The assistant was deleted."}


def test_what_never_came_that_far_is_deleted_by_every_key(caller: Caller, api: APIClient) -> None:
    made = caller.made(status="active")
    version = versions.publish(principal=caller.principal, assistant_id=made["id"])
    row: dict[str, Any] = {"project_id": version.project_id, "assistant_id": made["id"], "version": version}
    Deployment.objects.create(**row, environment="testing", status="active")
    Deployment.objects.create(**row, environment="production", status="superseded")
    assert api.delete(f"/v1/assistants/{made['id']}").status_code == 200


def test_another_project_sees_and_changes_nothing(caller: Caller, outsider: APIClient) -> None:
    made = caller.made(tags=["ours"])
    foreign = Caller(outsider, caller.principal)
    assert foreign.get()["data"] == []
    assert all(row["assistants"] == 0 for path in ("types", "statuses") for row in foreign.get(path)["data"])
    for answer in (
        foreign.ask(made["id"]),
        foreign.ask(f"{made['id']}/lineage"),
        foreign.put(made["id"], {"name": "B"}),
        foreign.post(f"{made['id']}/clone"),
        foreign.delete(made["id"]),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == f"No assistant found with id '{made['id']}'."
    refusals = AuditEvent.objects.filter(action__endswith="_refused")
    assert sorted(refusals.values_list("action", flat=True)) == [
        "assistant.clone_refused", "assistant.delete_refused", "assistant.update_refused",
    ]  # fmt: skip
    assert all(row.project_id != caller.principal.project_id for row in refusals)
    assert Assistant.objects.get().name is None


def test_deleting(caller: Caller) -> None:
    made = caller.made()
    deleted = {"id": made["id"], "object": "assistant.deleted", "deleted": True}
    assert caller.delete(made["id"]).json() == deleted
    assert caller.delete(made["id"]).status_code == 404
    assert services.TRANSITIONS.keys() == set(LifeStatus)


def test_the_same_key_makes_one_assistant(caller: Caller) -> None:
    headers = {"HTTP_IDEMPOTENCY_KEY": "once"}
    first, again = (
        caller.client.post("/api/v1/assistants", {"model": "tiny"}, format="json", **headers) for _ in range(2)
    )
    assert first.json() == again.json()
    assert Assistant.objects.count() == 1
