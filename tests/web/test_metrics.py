"""Metrics are closed to anonymous requests from elsewhere."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from sovereign.accounts import services
from sovereign.accounts.models import Project, User
from sovereign.accounts.scopes import Role

pytestmark = pytest.mark.django_db

ELSEWHERE = "203.0.113.9"


def test_a_process_on_this_machine_reads_them() -> None:
    answer = Client(REMOTE_ADDR="127.0.0.1").get("/metrics")
    assert answer.status_code == 200
    assert "text/plain" in answer["Content-Type"]
    assert b"python_info" in answer.content


def test_an_anonymous_request_from_elsewhere_is_refused() -> None:
    answer = Client(REMOTE_ADDR=ELSEWHERE).get("/metrics")
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert b"python_info" not in answer.content


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"])
def test_a_proxy_on_this_machine_is_not_this_machine(header: str) -> None:
    client = Client(REMOTE_ADDR="127.0.0.1", headers={header: ELSEWHERE})
    assert client.get("/metrics").status_code == 401


@pytest.mark.parametrize(
    ("public_url", "status"),
    [("", 200), ("http://localhost:8000", 200), ("http://127.0.0.1", 200), ("https://ai.example.org", 401)],
)
def test_behind_a_public_name_nobody_counts_as_this_machine(public_url: str, status: int, settings: Any) -> None:
    """A proxy that sends no header of its own makes every stranger a process on this machine."""
    settings.SOVEREIGN = replace(settings.SOVEREIGN, public_url=public_url)
    assert Client(REMOTE_ADDR="127.0.0.1").get("/metrics").status_code == status


@pytest.mark.parametrize(("scopes", "status"), [(["health:read"], 200), (["usage:read"], 403), (["runs:read"], 403)])
def test_a_key_needs_the_scope(scopes: list[str], status: int, project: Project) -> None:
    _, secret = services.create_api_key(project=project, name="prometheus", scopes=scopes)
    client = Client(REMOTE_ADDR=ELSEWHERE, headers={"Authorization": f"Bearer {secret}"})
    assert client.get("/metrics").status_code == status


def test_a_wrong_key_is_401(db: None) -> None:
    assert Client(REMOTE_ADDR=ELSEWHERE, headers={"Authorization": "Bearer nothing"}).get("/metrics").status_code == 401


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST, Role.OWNER])
def test_metrics_of_the_house_are_for_nobody_of_a_project(
    role: Role, project: Project, visit: Callable[[User], Client]
) -> None:
    person = User.objects.create_user("dora")
    services.add_member(project=project, user=person, role=role)
    client = visit(person)
    assert client.get("/metrics", REMOTE_ADDR=ELSEWHERE).status_code == 403


def test_a_superuser_reads_them(visit: Callable[[User], Client]) -> None:
    client = visit(User.objects.create_superuser("root"))
    assert client.get("/metrics", REMOTE_ADDR=ELSEWHERE).status_code == 200
