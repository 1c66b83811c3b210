"""Health for machines: no credentials, no internals, and the truth."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from inference import services
from inference.models import Engine, Provider
from runs.services.reports import note_interpreter
from sovereign.accounts import services as accounts
from sovereign.accounts.models import Project, User
from sovereign.accounts.scopes import ALL_SCOPES, OF_THE_HOUSE
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


def test_a_token_of_an_engine_that_nobody_reports_about_is_no_proof(
    client: Client, engine: Callable[..., Engine]
) -> None:
    made = engine(state="ready", token_age=5)
    assert client.get("/health/ready?engine=1").status_code == 200
    Engine.objects.filter(pk=made.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=45))
    assert client.get("/health/ready?engine=1").status_code == 503


SECRET = "sk-provider-secret-0123456789"
HOST = "10.20.30.40:8000"
STRANGER = {"REMOTE_ADDR": "203.0.113.9"}


@pytest.fixture
def provider(db: None) -> Provider:
    """One whose engine is ready, and says how busy it is."""
    made = services.create_provider(
        name="house-gpu", kind="openai_compatible", base_url=f"http://{HOST}/v1", key=SECRET, inner_network=True
    )
    load = {"running": 3, "waiting": 1, "cache_usage": 0.25, "latency_ms": 12}
    engine = Engine.objects.get(provider=made)
    served = [{"id": "alpha", "context_length": 512}]
    services.record_probe(engine=engine, served=served, capabilities={}, token=True, load=load)
    return made


def test_strangers_are_told_the_states_and_nothing_else(
    client: Client, engine: Callable[..., Engine], provider: Provider
) -> None:
    engine(state="down", reason="/secret/path ran out of memory")
    answer = client.get("/health/providers", **STRANGER)
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "ready")
    assert body["providers"] == [{"state": "ready"}, {"state": "down"}]
    ready = client.get("/health/ready", **STRANGER).content.decode()
    for word in (SECRET, HOST, "house-gpu", "alpha", "/secret/path"):
        assert word not in answer.content.decode()
        assert word not in ready


def test_whether_code_can_be_run_is_told_to_all_and_why_not_to_operators(client: Client) -> None:
    assert client.get("/health/providers", **STRANGER).json()["code_interpreter"] == {"usable": False}
    note_interpreter(worker="a", usable=False, reason="/secret/bwrap is not installed.")
    told = client.get("/health/providers", **STRANGER)
    assert told.json()["code_interpreter"] == {"usable": False}
    assert "/secret" not in told.content.decode()
    reason = {"workers": 1, "usable_workers": 0, "reason": "/secret/bwrap is not installed."}
    assert client.get("/health/providers").json()["code_interpreter"] == {"usable": False, **reason}
    note_interpreter(worker="b", usable=True, reason="")
    usable = {"usable": True, "workers": 2, "usable_workers": 1, "reason": None}
    assert client.get("/health/providers").json()["code_interpreter"] == usable
    assert client.get("/health/providers", **STRANGER).json()["code_interpreter"] == {"usable": True}


def test_the_admins_first_page_says_why_code_cannot_be_run(visit: Callable[[User], Client]) -> None:
    root = visit(User.objects.create_superuser("root"))
    note_interpreter(worker="a", usable=False, reason="bwrap & co. are not installed.")
    assert "The code interpreter is off: bwrap &amp; co. are not installed." in root.get("/admin/").content.decode()
    note_interpreter(worker="a", usable=True, reason="")
    assert "The code interpreter is off" not in root.get("/admin/").content.decode()


def test_operators_are_told_everything_but_secrets(
    client: Client, project: Project, provider: Provider, visit: Callable[[User], Client]
) -> None:
    _, key = accounts.create_api_key(project=project, name="monitoring", scopes=["health:read"])
    bearer = {"Authorization": f"Bearer {key}"}
    readers = (
        visit(User.objects.create_superuser("root")).get("/health/providers", **STRANGER),
        client.get("/health/providers", headers=bearer, **STRANGER),
        client.get("/health/providers"),
    )
    for answer in readers:
        assert SECRET not in answer.content.decode()
        assert provider.sealed_key not in answer.content.decode()
        [told] = answer.json()["providers"]
        assert told.pop("since")
        assert told.pop("heartbeat_age") < 60
        assert told.pop("last_token_age") < 60
        assert told == {
            "name": HOST, "provider": "house-gpu", "kind": "openai_compatible", "address": HOST, "state": "ready",
            "models": ["alpha"], "failures": 0, "latency_ms": 12, "cache_usage": 0.25, "last_error": None,
            "queue": {"running": 3, "waiting": 1},
        }  # fmt: skip


def test_owners_of_a_project_and_its_usage_are_strangers(
    client: Client, alice: User, project: Project, provider: Provider, visit: Callable[[User], Client]
) -> None:
    assert visit(alice).get("/health/providers", **STRANGER).json()["providers"] == [{"state": "ready"}]
    everything = sorted(ALL_SCOPES - OF_THE_HOUSE)
    _, key = accounts.create_api_key(project=project, name="app", scopes=everything)
    for header in (f"Bearer {key}", "Bearer sk-sov-wrong", "nonsense"):
        answer = client.get("/health/providers", headers={"Authorization": header}, **STRANGER)
        assert answer.json()["providers"] == [{"state": "ready"}]


def test_the_last_error_is_one_sentence(client: Client, provider: Provider) -> None:
    engine = Engine.objects.get(provider=provider)
    services.mark_down(engine_id=engine.pk, reason=f"{HOST} refused the connection.")
    body = client.get("/health/providers").json()
    assert (body["status"], body["providers"][0]["last_error"]) == ("down", f"{HOST} refused the connection.")


def test_without_engines_and_without_a_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    body = client.get("/health/providers").json()
    assert (body["status"], body["providers"]) == ("none", [])

    def away() -> None:
        raise DatabaseError("10.0.0.7")

    monkeypatch.setattr(health, "engine_status", away)
    answer = client.get("/health/providers")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["The database does not answer."])


def test_what_is_disabled_is_not_listed(client: Client, provider: Provider) -> None:
    services.set_enabled(provider=provider, enabled=False)
    assert client.get("/health/providers").json()["providers"] == []


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
