"""Every endpoint of deployments, for every role, and what the contract says of bodies, lists and refusals."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants import deployments
from assistants.deployments.checks import Verdict
from assistants.models import Assistant, Deployment
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.services import set_project_limits
from sovereign.accounts.services.limits import Limits
from tests.deployments.support import Trial, acting, deployed

pytestmark = pytest.mark.django_db

ROLES = ("viewer", "analyst", "admin", "owner")
ROOT = "/api/v1/assistants"


@pytest.fixture
def session(project: Project) -> Callable[[str], APIClient]:
    """``session(role)``: a client with the session of somebody who has that role."""

    def make(role: str) -> APIClient:
        client = APIClient()
        client.force_login(User.objects.get(pk=acting(project, role).user_id))
        return client

    return make


@pytest.fixture
def life(assistant: Assistant, owner: Principal, trial: Trial) -> dict[str, Deployment]:
    """Two versions in every environment, one after the other."""
    trial.verdict = Verdict.PASSED
    made = {}
    for instructions in ("One.", "Two."):
        made = {place: deployed(owner, assistant, instructions, place) for place in deployments.rights.SCOPE_OF}
    return made


def ask(client: APIClient, method: str, path: str, body: Any = None) -> Any:
    return getattr(client, method)(f"{ROOT}{path}", body, format="json")


# --------------------------------------------------------------------------------------------- who may

READERS = set(ROLES)
MAKERS = {"analyst", "admin", "owner"}
DECIDERS = {"admin", "owner"}
ENDPOINTS = [
    ("get", "/{id}/deployments", None, READERS),
    ("get", "/{id}/deployment-status", None, READERS),
    ("get", "/environments", None, READERS),
    ("get", "/environments/staging", None, READERS),
    ("get", "/deployments/{testing}", None, READERS),
    ("post", "/{id}/validate", {"environment": "production"}, READERS),
    ("post", "/{id}/deploy", {"environment": "testing", "version": 1}, MAKERS),
    ("post", "/{id}/deploy", {"environment": "production", "version": "1"}, DECIDERS),
    ("post", "/{id}/promote", {"environment": "development"}, MAKERS),
    ("post", "/{id}/promote", {"environment": "staging"}, DECIDERS),
    ("post", "/{id}/rollback", {"environment": "development"}, MAKERS),
    ("post", "/{id}/rollback", {"environment": "staging"}, DECIDERS),
    ("put", "/deployments/{testing}/status", {"status": "retired"}, MAKERS),
    ("put", "/deployments/{production}/status", {"status": "retired"}, DECIDERS),
    ("post", "/{id}/scale", {"environment": "development", "worker_slots": 2}, DECIDERS),
    ("put", "/environments/production", {"four_eyes": True}, DECIDERS),
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path", "body", "allowed"), ENDPOINTS)
def test_an_endpoint_for_a_role(
    role: str,
    method: str,
    path: str,
    body: Any,
    allowed: set[str],
    life: dict[str, Deployment],
    assistant: Assistant,
    owner: Principal,
    session: Callable[[str], APIClient],
) -> None:
    if "promote" in path:  # something newer, where it is promoted from
        deployed(owner, assistant, "Three.", body["environment"])
    ids = {place: deployment.id for place, deployment in life.items()}
    before = list(Deployment.objects.order_by("pk").values())
    answer = ask(session(role), method, path.format(id=assistant.id, **ids), body)
    if role in allowed:
        assert answer.status_code == 200, answer.json()
        return
    assert answer.status_code == 403, answer.json()
    assert answer.json()["error"]["code"] == "insufficient_permissions"
    assert list(Deployment.objects.order_by("pk").values()) == before
    assert AuditEvent.objects.filter(action__endswith="_refused").count() == 1


@pytest.mark.parametrize(("method", "path", "body", "allowed"), ENDPOINTS)
def test_an_endpoint_for_strangers_and_nobody(
    method: str,
    path: str,
    body: Any,
    allowed: set[str],
    life: dict[str, Deployment],
    assistant: Assistant,
    charlies_project: Project,
    charlie: User,
) -> None:
    ids = {place: deployment.id for place, deployment in life.items()}
    before = list(Deployment.objects.order_by("pk").values())
    client = APIClient()
    assert ask(client, method, path.format(id=assistant.id, **ids), body).status_code == 401
    client.force_login(charlie)
    answer = ask(client, method, path.format(id=assistant.id, **ids), body)
    assert answer.status_code == (200 if path.startswith("/environments") else 404)
    assert list(Deployment.objects.order_by("pk").values()) == before


def test_a_key_needs_its_scopes(api: APIClient, assistant: Assistant) -> None:
    """Keys have the scopes of the Assistants API unless somebody gives them more."""
    assert ask(api, "get", f"/{assistant.id}/deployments").status_code == 200
    answer = ask(api, "post", f"/{assistant.id}/deploy", {"environment": "development"})
    assert answer.status_code == 403
    assert "assistants:deploy" in answer.json()["error"]["message"]
    event = AuditEvent.objects.get(action="assistant.deploy_refused")
    assert event.object_id == assistant.id
    assert event.key_id is not None


# --------------------------------------------------------------------------------------------- what they answer


def test_deploying(session: Callable[[str], APIClient], assistant: Assistant) -> None:
    client = session("analyst")
    begun = time.monotonic()
    body = {"environment": "development", "notes": "For a try.", "expected_deployment": None}
    answer = ask(client, "post", f"/{assistant.id}/deploy", body)
    assert time.monotonic() - begun < 5
    told = answer.json()
    assert told.pop("checks")[0] == {
        "name": "model", "title": "Model", "verdict": "passed", "detail": "'tiny' is served.",
        "fix": "",
    }  # fmt: skip
    deployment = Deployment.objects.get()
    assert told["asked_by"] == {"type": "user", "id": str(deployment.asked_by_user), "name": "acting-analyst"}
    assert (told["id"], told["object"], told["status"]) == (deployment.id, "assistant.deployment", "active")
    assert told["version"] == {"id": deployment.version_id, "number": 1}
    assert told["created_at"] == int(deployment.created_at.timestamp())
    assert (told["percent"], told["thresholds"], told["ended_at"], told["notes"]) == (None, None, None, "For a try.")


def test_the_same_post_twice_is_one_deployment(session: Callable[[str], APIClient], assistant: Assistant) -> None:
    client = session("analyst")
    path, body = f"{ROOT}/{assistant.id}/deploy", {"environment": "development"}
    answers = [client.post(path, body, format="json", HTTP_IDEMPOTENCY_KEY="once") for _ in range(2)]
    assert [answer.json()["id"] for answer in answers] == [Deployment.objects.get().id] * 2


def test_what_is_not_ready(
    session: Callable[[str], APIClient], assistant: Assistant, served: Any, trial: Trial
) -> None:
    served.ready = False
    answer = ask(session("admin"), "post", f"/{assistant.id}/deploy", {"environment": "staging"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"], error["type"]) == (
        400, "not_ready", "version", "invalid_request_error",
    )  # fmt: skip
    verdicts = {finding["name"]: finding["verdict"] for finding in error["checks"]}
    assert verdicts == {
        "model": "failed", "tools": "passed", "knowledge": "passed", "prompts": "passed", "trial": "pending",
    }  # fmt: skip
    assert all(finding["fix"] for finding in error["checks"] if finding["verdict"] == "failed")
    assert not Deployment.objects.exists()
    event = AuditEvent.objects.get(action="assistant.deploy_refused")
    assert (event.object_id, event.details["code"]) == (assistant.id, "not_ready")
    assert error["message"].startswith("Version 1 is not ready for staging. Model: No engine serves it.")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "environment"),
        ({"environment": "moon"}, "environment"),
        ({"environment": "testing", "version": True}, "version"),
        ({"environment": "testing", "percent": 0}, "percent"),
        ({"environment": "testing", "percent": "10"}, "percent"),
        ({"environment": "testing", "percent": 10, "thresholds": {"error_rate": 3}}, "thresholds.error_rate"),
        ({"environment": "testing", "percent": 10, "thresholds": {"error": 0.1}}, "thresholds.error"),
        ({"environment": "testing", "thresholds": {"error_rate": 0.1}}, "thresholds"),
        ({"environment": "testing", "scheduled_at": 1_000}, "scheduled_at"),
        ({"environment": "testing", "scheduled_at": 1e30}, "scheduled_at"),
        ({"environment": "testing", "scheduled_at": 10**30}, "scheduled_at"),
        ({"environment": "testing", "notes": "x" * 2_001}, "notes"),
        ({"environment": "testing", "force": True}, "force"),
    ],
)
def test_bodies_that_are_refused(
    body: dict[str, Any], param: str, session: Callable[[str], APIClient], assistant: Assistant
) -> None:
    answer = ask(session("admin"), "post", f"/{assistant.id}/deploy", body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert not Deployment.objects.exists()


def test_refused_bodies_are_in_the_audit_log(session: Callable[[str], APIClient], assistant: Assistant) -> None:
    answer = ask(session("admin"), "post", f"/{assistant.id}/deploy", {"environment": "moon"})
    event = AuditEvent.objects.get(action="assistant.deploy_refused")
    assert (event.object_type, event.object_id) == ("assistant", assistant.id)
    assert event.details == {name: answer.json()["error"][name] for name in ("code", "message")}


def test_a_refusal_and_a_success_are_of_the_same_object(session: Callable[[str], APIClient]) -> None:
    viewer, admin = session("viewer"), session("admin")
    for who, wanted in ((viewer, True), (admin, "yes"), (admin, True)):
        ask(who, "put", "/environments/production", {"four_eyes": wanted})
    events = AuditEvent.objects.filter(action__startswith="environment.").order_by("pk")
    assert list(events.values_list("action", "object_type", "object_id")) == [
        ("environment.set_policy_refused", "environment", "production"),
        ("environment.set_policy_refused", "environment", "production"),
        ("environment.policy_set", "environment", "production"),
    ]


def test_nobody_fills_the_log_by_being_refused(
    session: Callable[[str], APIClient], assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sovereign.accounts.audit.REFUSALS_KEPT", 3)
    viewer = session("viewer")
    for _ in range(5):
        assert ask(viewer, "post", f"/{assistant.id}/deploy", {"environment": "testing"}).status_code == 403
    kept = AuditEvent.objects.filter(action="assistant.deploy_refused").order_by("pk")
    assert ["more" in event.details for event in kept] == [False, False, True]
    ask(session("analyst"), "post", f"/{assistant.id}/deploy", {"environment": "production"})
    assert kept.all().count() == 4  # others are counted apart


def test_what_a_limit_refuses_is_not_recorded(session: Callable[[str], APIClient], assistant: Assistant) -> None:
    set_project_limits(project=assistant.project, limits=Limits(requests_per_minute=1))
    client = session("analyst")
    codes = [ask(client, "post", f"/{assistant.id}/deploy", {"environment": "moon"}).status_code for _ in range(3)]
    assert codes == [400, 429, 429]
    assert AuditEvent.objects.filter(action="assistant.deploy_refused").count() == 1


def test_the_history_in_pages(
    life: dict[str, Deployment], session: Callable[[str], APIClient], assistant: Assistant
) -> None:
    client = session("viewer")
    first = ask(client, "get", f"/{assistant.id}/deployments?limit=3").json()
    assert (len(first["data"]), first["has_more"], first["object"]) == (3, True, "list")
    rest = ask(client, "get", f"/{assistant.id}/deployments?limit=100&after={first['last_id']}").json()
    listed = [each["id"] for each in first["data"] + rest["data"]]
    assert listed == list(Deployment.objects.order_by("-created_at", "-id").values_list("pk", flat=True))
    there = ask(client, "get", f"/{assistant.id}/deployments?environment=staging&status=superseded").json()["data"]
    assert [(each["version"]["number"], each["status"]) for each in there] == [(1, "superseded")]
    assert there[0]["ended_by"]["name"] == "alice"
    for query in ("environment=moon", "status=great", "limit=x"):
        assert ask(client, "get", f"/{assistant.id}/deployments?{query}").status_code == 400


def test_a_page_asks_for_all_names_at_once(
    life: dict[str, Deployment],
    session: Callable[[str], APIClient],
    assistant: Assistant,
    django_assert_max_num_queries: Any,
) -> None:
    client = session("viewer")
    ask(client, "get", f"/{assistant.id}/deployments")
    with django_assert_max_num_queries(8):  # who asks, their project, the assistant, its deployments, their people
        assert len(ask(client, "get", f"/{assistant.id}/deployments").json()["data"]) == 8


def test_one_with_its_snapshot(life: dict[str, Deployment], session: Callable[[str], APIClient]) -> None:
    told = ask(session("viewer"), "get", f"/deployments/{life['testing'].id}").json()
    assert (told["snapshot"]["instructions"], told["snapshot"]["model"]) == ("Two.", "tiny")


def test_what_is_where(
    life: dict[str, Deployment], session: Callable[[str], APIClient], assistant: Assistant, owner: Principal
) -> None:
    admin = session("admin")
    canary = deployed(owner, assistant, "Three.", "production", percent=12.5)
    scale = {"environment": "production", "worker_slots": 3, "priority": 7, "tokens_per_day": 1_000_000}
    answer = ask(admin, "post", f"/{assistant.id}/scale", scale)
    assert answer.json() == {"object": "assistant.scale", "assistant_id": assistant.id, **scale}
    later = ask(
        admin,
        "post",
        f"/{assistant.id}/deploy",
        {"environment": "testing", "version": "1", "scheduled_at": int(time.time()) + 3_600},
    )
    told = ask(session("viewer"), "get", f"/{assistant.id}/deployment-status").json()
    places = {place.pop("environment"): place for place in told["environments"]}
    assert list(places) == ["development", "testing", "staging", "production"]
    assert {name: place["active"]["id"] for name, place in places.items()} == {
        name: deployment.id for name, deployment in life.items()
    }
    assert (places["production"]["canary"]["id"], places["production"]["canary"]["percent"]) == (canary.id, 12.5)
    assert [each["id"] for each in places["testing"]["pending"]] == [later.json()["id"]]
    assert places["production"]["scale"]["priority"] == 7
    assert places["staging"]["scale"] == {
        "object": "assistant.scale", "assistant_id": assistant.id, "environment": "staging", "worker_slots": None,
        "priority": 0, "tokens_per_day": None,
    }  # fmt: skip


def test_scaling_changes_what_is_sent(session: Callable[[str], APIClient], assistant: Assistant) -> None:
    admin, path = session("admin"), f"/{assistant.id}/scale"
    ask(admin, "post", path, {"environment": "testing", "worker_slots": 3, "tokens_per_day": 500})
    told = ask(admin, "post", path, {"environment": "testing", "worker_slots": None, "priority": -5}).json()
    assert (told["worker_slots"], told["priority"], told["tokens_per_day"]) == (None, -5, 500)
    for wrong in ({"worker_slots": 0}, {"priority": 101}, {"tokens_per_day": 1.5}, {"gpus": 1}):
        answer = ask(admin, "post", path, {"environment": "testing", **wrong})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(wrong)))
    event = AuditEvent.objects.filter(action="assistant.scaled").latest("pk")
    assert (event.object_id, event.details["priority"]) == (assistant.id, -5)


def test_environments(session: Callable[[str], APIClient], trial: Trial) -> None:
    admin = session("admin")
    told = ask(admin, "put", "/environments/production", {"four_eyes": True}).json()
    assert (told["four_eyes"], told["following"], told["scope"]) == (True, None, "assistants:promote")
    assert [check["name"] for check in told["checks"]] == ["model", "tools", "knowledge", "prompts", "trial"]
    listed = ask(session("viewer"), "get", "/environments").json()
    assert [(each["id"], each["following"], each["four_eyes"]) for each in listed["data"]] == [
        ("development", "testing", False), ("testing", "staging", False), ("staging", "production", False),
        ("production", None, True),
    ]  # fmt: skip
    assert (listed["object"], listed["has_more"], listed["last_id"]) == ("list", False, "production")
    assert ask(admin, "put", "/environments/moon", {"four_eyes": True}).status_code == 404
    assert ask(admin, "put", "/environments/testing", {}).json()["error"]["param"] == "four_eyes"


def test_approval_over_http(session: Callable[[str], APIClient], assistant: Assistant, owner: Principal) -> None:
    deployments.set_policy(principal=owner, environment="testing", four_eyes=True)
    asker, approver = session("admin"), session("owner")
    asked = ask(asker, "post", f"/{assistant.id}/deploy", {"environment": "testing"}).json()
    assert asked["status"] == "awaiting_approval"
    path = f"/deployments/{asked['id']}/status"
    refusal = ask(asker, "put", path, {"status": "approved"})
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (403, "four_eyes")
    event = AuditEvent.objects.get(action="deployment.set_status_refused")
    assert (event.object_id, event.details["code"]) == (asked["id"], "four_eyes")
    told = ask(approver, "put", path, {"status": "approved"}).json()
    assert (told["status"], told["approved_by"]["name"]) == ("active", "acting-owner")
    assert told["approved_at"] >= told["created_at"]


def test_decisions_that_are_refused(life: dict[str, Deployment], session: Callable[[str], APIClient]) -> None:
    admin, path = session("admin"), f"/deployments/{life['testing'].id}/status"
    for body, code in (
        ({}, "missing_required_parameter"),
        ({"status": "great"}, "invalid_value"),
        ({"status": "approved"}, "invalid_transition"),
        ({"percent": 5}, "invalid_transition"),
        ({"status": "retired", "reason": "x" * 401}, "string_above_max_length"),
    ):
        answer = ask(admin, "put", path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert ask(admin, "put", "/deployments/dep_unknown/status", {"status": "retired"}).status_code == 404


def test_rolling_back_over_http(
    life: dict[str, Deployment], session: Callable[[str], APIClient], assistant: Assistant
) -> None:
    admin, path = session("admin"), f"/{assistant.id}/rollback"
    told = ask(admin, "post", path, {"environment": "production", "reason": "It invents prices."}).json()
    assert (told["version"]["number"], told["status"]) == (1, "active")
    assert "It invents prices." in told["notes"]
    again = ask(admin, "post", path, {"environment": "production"})
    assert (again.status_code, again.json()["error"]["code"]) == (400, "nothing_to_roll_back_to")
    taken = ask(admin, "get", f"/deployments/{life['production'].id}").json()
    assert (taken["status"], taken["reason"], taken["ended_by"]["name"]) == (
        "rolled_back", "It invents prices.", "acting-admin",
    )  # fmt: skip


def test_nothing_to_promote(session: Callable[[str], APIClient], assistant: Assistant) -> None:
    for environment in ("testing", "production"):
        answer = ask(session("admin" if environment == "testing" else "owner"), "post",
                     f"/{assistant.id}/promote", {"environment": environment})  # fmt: skip
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "nothing_to_promote")
