"""Metrics are closed to anonymous requests from elsewhere."""

from collections.abc import Callable

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


@pytest.mark.parametrize(("scopes", "status"), [(["usage:read"], 200), (["runs:read"], 403)])
def test_a_key_needs_the_scope(scopes: list[str], status: int, project: Project) -> None:
    _, secret = services.create_api_key(project=project, name="prometheus", scopes=scopes)
    client = Client(REMOTE_ADDR=ELSEWHERE, headers={"Authorization": f"Bearer {secret}"})
    assert client.get("/metrics").status_code == status


def test_a_wrong_key_is_401(db: None) -> None:
    assert Client(REMOTE_ADDR=ELSEWHERE, headers={"Authorization": "Bearer nothing"}).get("/metrics").status_code == 401


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.ANALYST, 200), (Role.OWNER, 200)])
def test_a_session_needs_to_be_staff(
    role: Role, status: int, project: Project, visit: Callable[[User], Client]
) -> None:
    person = User.objects.create_user("dora")
    services.add_member(project=project, user=person, role=role)
    client = visit(person)
    assert client.get("/metrics", REMOTE_ADDR=ELSEWHERE).status_code == status
