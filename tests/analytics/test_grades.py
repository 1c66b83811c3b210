"""Grades of assistants: as they are, day by day, and what a project expects of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from assistants.models import Assistant
from runs.analytics import chores, expectations, grading
from runs.analytics.health import Health
from runs.analytics.models import Expectations, Grade, Rollup
from runs.analytics.reading import Question
from runs.analytics.standards import Standards
from runs.analytics.windows import Window
from runs.worker.chores import CHORES
from sovereign.accounts import credentials
from sovereign.accounts import services as accounts
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.scopes import ROLE_SCOPES, Role
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError
from tests.analytics.support import happened, measures

NOW = datetime(2026, 11, 22, 13, 35, tzinfo=UTC)
TODAY = NOW.date()
EXPECTATIONS = "/api/v1/analytics/expectations"

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """``clock(moment)``: it is so late."""

    def put(moment: datetime) -> None:
        monkeypatch.setattr(timezone, "now", lambda: moment)

    put(NOW)
    return put


@pytest.fixture
def assistant(project: Project, clock: object) -> Assistant:
    return Assistant.objects.create(project=project, name="Guide", model="tiny")


@pytest.fixture
def hidden(alice: User, project: Project) -> Assistant:
    """One that Alice keeps to herself."""
    return Assistant.objects.create(
        project=project, name="Mine", model="tiny", visibility="private", created_by_user=alice.pk
    )


@pytest.fixture
def client_as(client_of: Callable[[str], APIClient], project: Project) -> Callable[[str], APIClient]:
    """``client_as(role)``: a client with a key of Alice's project that may do what the role may."""

    def client(role: str) -> APIClient:
        return client_of(accounts.create_api_key(project=project, name=role, scopes=sorted(ROLE_SCOPES[role]))[1])

    return client


def ran(assistant: Assistant, at: datetime, runs: int = 20, failed: int = 0, **cell: str) -> None:
    what = measures(runs=runs, completed=runs - failed, failed=failed, errors={"server_error": failed})
    happened(assistant.project_id, at, what, assistant_id=assistant.pk, **cell)


def grade_all() -> None:
    for assistant_id, day in grading.due(timezone.now()):
        grading.grade(assistant_id, day)


def told(assistant: Assistant) -> str:
    return f"/api/v1/assistants/{assistant.pk}/health"


def test_an_assistants_health_is_told_with_reasons_and_history(
    client_as: Callable[[str], APIClient], assistant: Assistant
) -> None:
    ran(assistant, NOW - timedelta(days=40), runs=1_000)
    ran(assistant, NOW - timedelta(days=29), failed=20)
    ran(assistant, NOW, failed=4)
    ran(assistant, NOW, runs=500, environment=Rollup.TRIAL)
    grade_all()
    read = client_as(Role.ANALYST).get(told(assistant)).json()
    assert (read["object"], read["days"], read["runs"], read["grade"]) == ("assistant.health", 30, 40, "F")
    reliability = read["parts"][0]
    assert (reliability["name"], reliability["weight"]) == ("reliability", 30)
    assert reliability["reason"].startswith("24 of 40 runs failed (60 %")
    assert reliability["recommendation"]
    assert read["reason"].endswith(reliability["reason"])
    assert [(one["day"], one["score"]) for one in read["history"]] == [(TODAY.isoformat(), read["score"])]
    assert client_as(Role.ANALYST).get(f"{told(assistant)}?days=1").json()["runs"] == 20


def test_who_may_not_see_it_is_told_nothing(
    client_as: Callable[[str], APIClient], outsider: APIClient, assistant: Assistant, hidden: Assistant, bob: User
) -> None:
    assert client_as(Role.VIEWER).get(told(assistant)).status_code == 403
    analyst = client_as(Role.ANALYST)
    unknown = analyst.get("/api/v1/assistants/asst_unknown/health")
    foreign = analyst.get(told(hidden))
    assert (unknown.status_code, foreign.status_code) == (404, 404)
    assert unknown.json()["error"]["message"].replace("asst_unknown", hidden.pk) == foreign.json()["error"]["message"]
    with pytest.raises(ApiError, match="No assistant found"):
        grading.history_of(principal=credentials.principal_of_person(bob.pk), assistant_id=hidden.pk)
    for days in ("0", "366", "-1", "x", "", "²", "30.0", "1" * 5_000):
        refused = analyst.get(told(assistant), {"days": days})
        error = {"message": "Invalid 'days': expected an integer from 1 to 365.", "param": "days"}
        assert error.items() <= refused.json()["error"].items()
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_value")


def test_a_day_with_runs_has_one_grade_the_last_that_was_made(
    clock: Callable[[datetime], None], assistant: Assistant, project: Project
) -> None:
    idle = Assistant.objects.create(project=project, name="Idle", model="tiny")
    ran(idle, NOW, runs=9)
    ran(assistant, NOW)
    ran(assistant, NOW, runs=50, failed=50, environment=Rollup.TRIAL)
    grade_all()
    first = Grade.objects.get()
    assert (first.assistant_id, first.day, first.letter, first.made_at) == (assistant.pk, TODAY, "A", NOW)
    assert first.parts[0]["reason"] == "0 of 20 runs failed."

    ran(assistant, NOW, failed=20)
    clock(NOW + timedelta(minutes=59))
    assert grading.due(NOW + timedelta(minutes=59)) == []
    assert grading.grade(assistant.pk, TODAY) is None  # another worker just made it
    clock(NOW + timedelta(minutes=61))
    grade_all()
    again = Grade.objects.get()
    assert again.score < first.score

    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    ran(assistant, midnight - timedelta(minutes=1), failed=20)
    clock(midnight + timedelta(minutes=5))
    grade_all()
    last = Grade.objects.get()
    assert (last.day, last.score < again.score) == (TODAY, True)  # of a day that is over, once more
    clock(midnight + timedelta(hours=5))
    assert grading.due(midnight + timedelta(hours=5)) == []
    ran(assistant, midnight + timedelta(hours=5), runs=1)
    grade_all()
    assert [one.day for one in Grade.objects.order_by("day")] == [TODAY, TODAY + timedelta(days=1)]


def test_an_assistant_that_is_gone_is_not_graded(assistant: Assistant) -> None:
    ran(assistant, NOW)
    gone = assistant.pk
    assistant.delete()
    assert grading.grade(gone, TODAY) is None
    assert not Grade.objects.exists()


def test_expectations_are_read_by_those_who_see_grades_and_changed_by_those_who_promote(
    client_as: Callable[[str], APIClient], outsider: APIClient, assistant: Assistant, project: Project
) -> None:
    analyst, admin = client_as(Role.ANALYST), client_as(Role.ADMIN)
    ran(assistant, NOW, failed=2)
    assert client_as(Role.VIEWER).get(EXPECTATIONS).status_code == 403
    before = analyst.get(EXPECTATIONS).json()
    assert (before["weights"]["reliability"], before["targets"]["error_rate"]) == (30, 0.01)
    assert before["targets"]["cost_per_run"] is None
    strict = analyst.get(told(assistant)).json()["score"]

    change = {"weights": {"tools": 0}, "targets": {"error_rate": 0.2, "cost_per_run": 0.5}}
    assert analyst.put(EXPECTATIONS, change, format="json").status_code == 403
    assert AuditEvent.objects.filter(action="expectations.update_refused").count() == 1
    after = admin.put(EXPECTATIONS, change, format="json").json()
    assert after["weights"] == {**before["weights"], "tools": 0}
    assert after["targets"] == {**before["targets"], "error_rate": 0.2, "cost_per_run": 0.5}
    assert analyst.get(told(assistant)).json()["score"] > strict
    assert AuditEvent.objects.get(action="expectations.updated").details["targets"]["error_rate"] == 0.2

    back = admin.put(EXPECTATIONS, {"targets": {"error_rate": None}}, format="json").json()
    assert back["targets"]["error_rate"] == 0.01
    assert back["weights"]["tools"] == 0
    assert Expectations.objects.get().project == project
    assert expectations.standards_of("proj_other") == Standards()


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"weights": {"charm": 1}}, "weights.charm", "unknown_parameter"),
        ({"weights": {"speed": -1}}, "weights.speed", "decimal_below_min_value"),
        ({"weights": {"speed": 101}}, "weights.speed", "decimal_above_max_value"),
        ({"weights": {"speed": "1"}}, "weights.speed", "invalid_type"),
        ({"weights": []}, "weights", "invalid_type"),
        ({"targets": {"error_rate": 0}}, "targets.error_rate", "decimal_below_min_value"),
        ({"targets": {"rating": 5}}, "targets.rating", "decimal_above_max_value"),
        ({"weights": dict.fromkeys(Standards().weights, 0)}, "weights", "invalid_value"),
    ],
)
def test_what_cannot_be_expected_is_refused(
    client_as: Callable[[str], APIClient], project: Project, body: Any, param: str, code: str
) -> None:
    refused = client_as(Role.ADMIN).put(EXPECTATIONS, body, format="json")
    assert refused.status_code == 400
    assert (refused.json()["error"]["param"], refused.json()["error"]["code"]) == (param, code)
    assert expectations.standards_of(project.pk) == Standards()


@pytest.mark.django_db(transaction=True)
async def test_workers_make_the_grades_that_are_due_and_one_that_fails_keeps_no_other(
    monkeypatch: pytest.MonkeyPatch, assistant: Assistant, hidden: Assistant
) -> None:
    health_of = grading.judged

    def broken(question: Question, window: Window) -> Health:
        if hidden.pk in (question.assistant_ids or ()):
            raise ArithmeticError
        return health_of(question, window)

    for each in (assistant, hidden):
        await in_database(ran, each, NOW)
    monkeypatch.setattr(chores, "GRADE_LOOK", 0.0)
    monkeypatch.setattr(chores, "now", lambda: NOW)
    monkeypatch.setattr(grading, "judged", broken)
    assert CHORES["grades"] is chores.keep_grades
    await chores.keep_grades()
    assert await in_database(lambda: list(Grade.objects.values_list("assistant_id", flat=True))) == [assistant.pk]
    monkeypatch.setattr(grading, "judged", health_of)
    await chores.keep_grades()
    assert await in_database(Grade.objects.count) == 2
