"""Health for machines: no credentials, no internals, and the truth."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client

from inference.models import Engine
from sovereign.web import health

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_is_migrated", False)


@pytest.mark.parametrize("path", ["/health", "/health/live"])
def test_a_process_that_answers_says_who_it_is(path: str, client: Client) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    body = answer.json()
    assert body.keys() == {"status", "service", "version", "timestamp"}
    assert body["service"] == "sovereign"
    assert body["status"] == ("healthy" if path == "/health" else "alive")
    assert answer["Cache-Control"] == "no-store"


def test_live_asks_nothing_of_the_database(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        client.get("/health/live")


def test_ready_reports_the_engine_and_does_not_depend_on_it(client: Client, engine: Callable[..., Engine]) -> None:
    engine(state="loading", reason="secret/path/of/model is being read")
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["reasons"]) == ("ready", [])
    assert [shown["state"] for shown in body["engines"]] == ["loading"]
    assert "secret" not in answer.content.decode()


@pytest.mark.parametrize(
    ("state", "token_age", "status"),
    [("ready", 5, 200), ("ready", 120, 503), ("ready", None, 503), ("loading", 5, 503), ("down", 5, 503)],
)
def test_with_engine_a_recent_token_is_required(
    state: str, token_age: int | None, status: int, client: Client, engine: Callable[..., Engine]
) -> None:
    engine(state=state, token_age=token_age)
    answer = client.get("/health/ready?engine=1")
    assert answer.status_code == status
    assert bool(answer.json()["reasons"]) == (status == 503)


def test_without_any_engine_only_the_stricter_question_fails(client: Client) -> None:
    assert client.get("/health/ready").status_code == 200
    assert client.get("/health/ready?engine=1").status_code == 503


def test_a_missing_migration_is_a_reason(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health.database.MigrationExecutor, "migration_plan", lambda *_: ["0002_something"])
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert "manage.py migrate" in answer.json()["reasons"][0]


def test_a_database_that_is_away_is_a_reason(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> bool:
        raise DatabaseError("connection refused by 10.0.0.7 as user postgres")

    monkeypatch.setattr(health, "is_migrated", away)
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["The database does not answer."]
    assert "postgres" not in answer.content.decode()


def test_health_changes_nothing(client: Client) -> None:
    assert client.post("/health").status_code == 405
