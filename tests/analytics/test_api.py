"""Metrics, usage, comparison and summary over the API: what is told, to whom, and what bad questions get."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.models import Assistant
from assistants.services import versions
from runs.analytics.measures import Measures
from runs.analytics.metrics import METRICS
from runs.analytics.models import Grade, Rollup
from runs.analytics.windows import Period, floor
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import Role
from tests.analytics.support import happened, measures
from tests.evaluations.conftest import api, client_as, key_of, model, principal, registered

__all__ = ["api", "client_as", "model", "principal", "registered"]

NOW = datetime(2026, 11, 22, 13, 33, tzinfo=UTC)
ROOT = "/api/v1/assistants"
EVERY_PAGE = ("{}/metrics", "{}/usage", "summary")

pytestmark = pytest.mark.django_db

Make = Callable[..., Assistant]


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("runs.analytics.reading", "runs.analytics.api.asked"):
        monkeypatch.setattr(f"{room}.timezone.now", lambda: NOW)


@pytest.fixture
def make(principal: Principal, registered: Any) -> Make:
    """``make(name)``: an assistant of Alice's."""
    return lambda name: assistants.create_assistant(principal=principal, model="tiny", name=name, instructions="x")


@pytest.fixture
def guide(make: Make) -> Assistant:
    """Who failed in one of ten runs a day until ten days ago, and in five of ten since then."""
    made = make("Guide")
    for days in range(60):
        failed = 5 if days < 10 else 1
        happened(
            made.project_id,
            NOW - timedelta(days=days, hours=1),
            measures(runs=10, completed=10 - failed, failed=failed, calls=10, prompt_tokens=900, cost=2 * 10**9,
                     completion_tokens=100, seconds=(1.0,) * 5 + (4.0,) * 5, users=(f"user-{days % 7}",)),
            assistant_id=made.pk, environment="production", model="tiny", key_id="key_a" if days % 2 else "key_b",
        )  # fmt: skip
    return made


def test_metrics_say_what_changed(api: APIClient, guide: Assistant) -> None:
    answer = api.get(f"{ROOT}/{guide.pk}/metrics?start=2026-11-13&metrics=runs,error_rate,response_p50,cost,rating")
    told = answer.json()
    assert (told["start"], told["end"]) == (1_794_528_000, int(NOW.timestamp()) + 120)
    runs, errors, answered, cost, rating = told["metrics"]
    assert (runs["value"], errors["value"], cost["value"]) == (100, 0.5, 20.0)
    assert answered["value"] == pytest.approx(1.0, rel=0.01)
    assert errors["trend"]["before"] == 0.1
    assert (errors["trend"]["direction"], errors["trend"]["is_significant"]) == ("up", True)
    assert errors["trend"]["percent"] == pytest.approx(400)
    assert errors["trend"]["p_value"] < 1e-6
    assert (answered["trend"]["direction"], answered["trend"]["is_significant"]) == ("flat", False)
    assert (runs["trend"]["direction"], runs["trend"]["is_significant"]) == ("flat", False)
    assert rating["value"] is None
    assert rating["trend"]["note"] == "There is nothing in this time."
    every = api.get(f"{ROOT}/{guide.pk}/metrics").json()["metrics"]
    assert [metric["name"] for metric in every] == list(METRICS)


@pytest.mark.parametrize(
    ("begun", "ended", "asked"),
    [
        (54, 40, "start=2026-11-20T13:35Z&end=2026-11-20T14:20Z"),  # the time before is read in hours
        (24 * 101, 24 * 98, "start=2026-08-14T14:00Z&end=2026-08-14T20:00Z"),  # … in days
        (1, 0, "start=2026-11-22T13:20Z"),  # the last five minutes are not over
    ],
)
def test_what_goes_on_as_before_is_no_trend(api: APIClient, make: Make, begun: int, ended: int, asked: str) -> None:
    made, at = make("Steady"), floor(NOW, Period.MOMENT) - timedelta(hours=begun)
    every = timedelta(minutes=5 if begun < 100 else 60)
    while at < NOW - timedelta(hours=ended):
        runs = 60 if at + every < NOW else 36  # three of five minutes
        happened(made.project_id, at, measures(runs=runs, completed=runs), assistant_id=made.pk)
        at += every
    [told] = api.get(f"{ROOT}/{made.pk}/metrics?metrics=runs&{asked}").json()["metrics"]
    assert (told["trend"]["direction"], told["trend"]["is_significant"]) == ("flat", False)


def test_who_stopped_is_known_to_have_stopped(api: APIClient, make: Make) -> None:
    made = make("Gone")
    for days in range(10, 17):
        what = measures(runs=20, prompt_tokens=900 + days)
        happened(made.project_id, NOW - timedelta(days=days), what, assistant_id=made.pk)
    address = f"{ROOT}/{made.pk}/metrics?metrics=runs,tokens&start=2026-11-13&end=2026-11-19"
    for told in api.get(address).json()["metrics"]:
        assert (told["value"], told["trend"]["is_significant"]) == (0, True), told["name"]


def test_metrics_name_what_went_wrong_and_the_tools_the_most_frequent_first(api: APIClient, guide: Assistant) -> None:
    happened(
        guide.project_id,
        NOW - timedelta(hours=2),
        Measures(errors={"rate_limit_exceeded": 1, "server_error": 4}, tools={"lookup": 3}, tool_errors={"lookup": 2}),
        assistant_id=guide.pk,
    )
    told = api.get(f"{ROOT}/{guide.pk}/metrics?metrics=runs").json()
    assert list(told["errors"].items()) == [("server_error", 4), ("rate_limit_exceeded", 1)]
    assert (told["tools"], told["tool_errors"]) == ({"lookup": 3}, {"lookup": 2})


def test_metrics_of_a_part_of_the_runs(api: APIClient, principal: Principal, guide: Assistant) -> None:
    version = versions.publish(principal=principal, assistant_id=guide.pk)
    at = NOW - timedelta(hours=2)
    cell = {"assistant_id": guide.pk, "version_id": version.pk, "model": "other", "key_id": "key_c"}
    happened(guide.project_id, at, measures(runs=3), environment="staging", **cell)
    happened(guide.project_id, at, measures(runs=7), environment=Rollup.TRIAL, **cell)

    def runs(asked: str) -> float:
        found: float = api.get(f"{ROOT}/{guide.pk}/metrics?start=2026-11-22&metrics=runs{asked}").json()["metrics"][0][
            "value"
        ]
        return found

    assert runs("") == 13
    for asked in ("version=1", f"version={version.pk}", "environment=staging", "model=other", "key_id=key_c"):
        assert runs(f"&{asked}") == 3, asked
    assert runs("&environment=trial") == 7
    assert runs("&version=draft") == 10
    assert runs("&key_id=key_of_others") == 0


def test_usage_day_by_day_and_in_groups(api: APIClient, guide: Assistant) -> None:
    told = api.get(f"{ROOT}/{guide.pk}/usage?start=2026-11-19&group_by=key").json()
    assert (told["granularity"], told["group_by"]) == ("day", "key")
    assert {one["group"]: [point["runs"] for point in one["points"]] for one in told["data"]} == {
        "key_a": [10, 0, 10, 0],
        "key_b": [0, 10, 0, 10],
    }
    [whole] = api.get(f"{ROOT}/{guide.pk}/usage?start=2026-11-16&granularity=week").json()["data"]
    [point] = whole["points"]
    assert whole["group"] is None
    assert (point["runs"], point["tokens"], point["cost"], point["users"]) == (70, 7_000, 14.0, 7)
    hours = api.get(f"{ROOT}/{guide.pk}/usage?start=2026-11-22T11:00Z&end=2026-11-22T12:30Z&granularity=hour").json()
    assert [point["runs"] for point in hours["data"][0]["points"]] == [0, 10]
    assert hours["end"] - hours["start"] == 2 * 3600


def test_more_groups_than_are_told_one_by_one(api: APIClient, guide: Assistant) -> None:
    for number in range(25):
        what = measures(runs=100 + number)
        happened(guide.project_id, NOW, what, assistant_id=guide.pk, model=f"m{number:02}", environment="production")
    told = api.get(f"{ROOT}/{guide.pk}/usage?start=2026-11-22&group_by=model").json()["data"]
    assert [one["group"] for one in told] == [f"m{number:02}" for number in reversed(range(5, 25))] + [None]
    assert told[-1]["points"][0]["runs"] == sum(100 + number for number in range(5)) + 10
    table = api.get(f"{ROOT}/{guide.pk}/usage?start=2026-11-22&group_by=model&format=csv").content.decode()
    rows = [(row["group"], row["is_rest"]) for row in csv.DictReader(table.splitlines())]
    assert (rows[0], rows[-1]) == (("m24", "false"), ("", "true"))


def test_much_money_is_added_up(api: APIClient, guide: Assistant) -> None:
    for asked in ("a", "b"):
        happened(guide.project_id, NOW, measures(runs=1, cost=2**63 - 1), assistant_id=guide.pk, model=asked)
    [told] = api.get(f"{ROOT}/{guide.pk}/metrics?metrics=cost&start=2026-11-22").json()["metrics"]
    assert told["value"] == pytest.approx(2 * 2**63 / 10**9)


def test_tables_are_no_programs(api: APIClient, make: Make, guide: Assistant) -> None:
    evil = make('=HYPERLINK("http://evil","x")')
    happened(evil.project_id, NOW, measures(runs=1), assistant_id=evil.pk)
    for path, name in zip((*EVERY_PAGE,), ("metrics", "usage", "assistants"), strict=True):
        by_name = api.get(f"{ROOT}/{path.format(guide.pk)}?format=csv")
        by_type = api.get(f"{ROOT}/{path.format(guide.pk)}", headers={"Accept": "text/csv"})
        assert by_name.content == by_type.content
        for accepted in ("application/json, text/csv;q=0.1", "text/csv;q=0, */*"):
            answer = api.get(f"{ROOT}/{path.format(guide.pk)}", headers={"Accept": accepted})
            assert answer["Content-Type"] == "application/json", accepted
        assert by_name["Content-Type"] == "text/csv; charset=utf-8"
        assert by_name["Content-Disposition"] == f'attachment; filename="{name}.csv"'
    rows = list(csv.DictReader(api.get(f"{ROOT}/summary?format=csv").content.decode().splitlines()))
    assert [(row["name"], row["runs"]) for row in rows] == [("Guide", "310"), ("'" + str(evil.name), "1")]
    usage = list(csv.DictReader(api.get(f"{ROOT}/{guide.pk}/usage?format=csv").content.decode().splitlines()))
    assert (usage[-1]["start"], usage[-1]["runs"], usage[-1]["cost"]) == ("2026-11-22T00:00:00+00:00", "10", "2.0")
    assert api.get(f"{ROOT}/{guide.pk}/usage?format=json", headers={"Accept": "text/csv"}).json()["object"]


def test_assistants_side_by_side(api: APIClient, make: Make, guide: Assistant) -> None:
    good, unknown = make("Good"), make("Unknown")
    for days in range(20):
        what = measures(runs=10, completed=10, cost=10**9, calls=10, seconds=(0.9,) * 10)
        happened(good.project_id, NOW - timedelta(days=days, hours=1), what, assistant_id=good.pk)
    items = [{"assistant_id": one.pk} for one in (guide, unknown, good)]
    names = ["error_rate", "response_p95", "cost_per_run", "runs"]
    told = api.post(f"{ROOT}/compare", {"items": items, "metrics": names, "start": "2026-11-13"}, format="json").json()
    errors, slow, cost, runs = told["metrics"]
    assert (errors["values"], errors["ranks"]) == ([0.5, None, 0.0], [2, None, 1])
    assert errors["first_against_second"]["is_significant"] is True
    assert (slow["ranks"], cost["ranks"], cost["values"]) == ([2, None, 1], [2, None, 1], [0.2, None, 0.1])
    assert (runs["values"], runs["ranks"], runs["first_against_second"]) == ([100, 0, 100], [None] * 3, None)
    assert [(one["item"], one["name"], one["mean_rank"]) for one in told["order"]] == [
        (2, "Good", 1.0),
        (0, "Guide", 2.0),
        (1, "Unknown", 3.0),
    ]


def test_many_are_compared_as_fast_as_few(
    api: APIClient, make: Make, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    items = [{"assistant_id": make(f"{number}").pk} for number in range(20)]
    with CaptureQueriesContext(connection) as few:
        api.post(f"{ROOT}/compare", {"items": items[:2]}, format="json")
    with django_assert_max_num_queries(len(few) + 18):  # one for each more, to find it
        api.post(f"{ROOT}/compare", {"items": items}, format="json")


def test_a_summary_of_ones_assistants(
    api: APIClient, client_as: Callable[[str], APIClient], make: Make, guide: Assistant
) -> None:
    hidden, other = make("Hidden"), make("Other")
    Assistant.objects.filter(pk=hidden.pk).update(visibility="private")
    for one, runs in ((hidden, 1_000), (other, 20)):
        happened(one.project_id, NOW, measures(runs=runs, completed=runs, users=(one.pk,)), assistant_id=one.pk)
    for day, score in ((10, 70), (1, 91)):
        at = NOW - timedelta(days=day)
        Grade.objects.create(
            project_id=guide.project_id, assistant_id=guide.pk, day=at, score=score, letter="A", parts=[], made_at=at
        )
    told = client_as(Role.ANALYST).get(f"{ROOT}/summary?start=2026-11-22").json()
    assert [(one["name"], one["metrics"]["runs"], one["metrics"]["error_rate"]) for one in told["data"]] == [
        ("Other", 20, 0.0),
        ("Guide", 10, 0.5),
    ]
    assert told["data"][1]["health"] == {"day": "2026-11-21", "grade": "A", "score": 91}
    assert (told["total"]["runs"], told["total"]["users"], told["assistants"], told["has_more"]) == (30, 2, 2, False)
    first = api.get(f"{ROOT}/summary?limit=1&order_by=error_rate").json()
    assert (first["data"][0]["name"], first["assistants"], first["has_more"]) == ("Guide", 3, True)


@pytest.mark.parametrize(
    ("path", "param", "code", "message"),
    [
        (
            "{}/metrics?start=2026-11-02&end=2026-11-01",
            "start",
            "invalid_window",
            "Invalid 'start': expected a time before",
        ),
        ("{}/metrics?start=2026-11-23", "start", "invalid_window", "and before now"),
        ("{}/metrics?start=yesterday", "start", "invalid_value", "seconds since 1970, from 2000 on, got 'yesterday'."),
        ("{}/metrics?end=9999-12-31T23:59-12:00", "end", "invalid_value", "expected a day or a time"),
        ("{}/metrics?end=0001-01-01", "end", "invalid_value", "from 2000 on"),
        ("{}/usage?start=0001-01-05&end=0001-03-01", "end", "invalid_value", "from 2000 on"),
        ("summary?end=0001-01-02", "end", "invalid_value", "from 2000 on"),
        ("{}/metrics?end=20261122", "end", "invalid_value", "from 2000 on, got '20261122'"),
        ("{}/metrics?start=2025-01-01", "start", "window_too_long", "at most 400 days."),
        (
            "{}/metrics?metrics=runs,charm",
            "metrics",
            "invalid_value",
            "Invalid value: 'charm'. Supported values are: runs,",
        ),
        ("{}/metrics?environment=moon", "environment", "invalid_value", "Invalid value: 'moon'."),
        ("{}/metrics?model=", "model", "invalid_value", "Invalid 'model'"),
        ("{}/metrics?format=xml", "format", "invalid_value", "Invalid value: 'xml'."),
        ("{}/usage?granularity=hour&start=2026-10-20", "start", "window_too_long", "at most 31 days."),
        ("{}/usage?granularity=hour&start=2026-05-01&end=2026-05-02", "granularity", "no_longer_kept", "kept for 100"),
        ("{}/usage?granularity=month&start=2020-01-01", "start", "window_too_long", "at most 1830 days."),
        ("{}/usage?granularity=moment", "granularity", "invalid_value", "Invalid value: 'moment'."),
        ("{}/usage?group_by=assistant", "group_by", "invalid_value", "Invalid value: 'assistant'."),
        ("summary?order_by=charm", "order_by", "invalid_value", "Invalid value: 'charm'."),
        ("summary?limit=0", "limit", "invalid_value", "Invalid 'limit': expected an integer from 1 to 100."),
    ],
)
def test_what_cannot_be_answered(
    api: APIClient, guide: Assistant, path: str, param: str, code: str, message: str
) -> None:
    answer = api.get(f"{ROOT}/{path.format(guide.pk)}")
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert message in error["message"]


def test_what_cannot_be_compared(api: APIClient, guide: Assistant) -> None:
    one = {"assistant_id": guide.pk}

    def refused(**body: Any) -> tuple[int, str, str]:
        answer = api.post(f"{ROOT}/compare", body, format="json")
        return answer.status_code, answer.json()["error"]["param"], answer.json()["error"]["code"]

    assert refused(items=[one]) == (400, "items", "array_below_min_length")
    assert refused(items=[{**one, "environment": name} for name in ("staging", "trial")] * 11)[2] == (
        "array_above_max_length"
    )
    assert refused(items=[one, {**one, "version": "draft"}, one]) == (400, "items[2]", "duplicate_item")
    assert refused(items=[one, one], metrics=["charm"]) == (400, "metrics[0]", "invalid_value")
    assert refused(items=[one, {**one, "version": 9}])[0] == 404
    assert refused(items=[one, {**one, "version": "draft"}], end="0001-01-01")[1:] == ("end", "invalid_value")
    backwards = {"start": 1_700_000_000, "end": 1_600_000_000}
    assert refused(items=[one, {**one, "version": "draft"}], **backwards) == (400, "start", "invalid_window")


def test_who_may_ask(client_as: Callable[[str], APIClient], client_of: Callable[[str], APIClient], guide: Assistant,
                     charlies_project: Project) -> None:  # fmt: skip
    two = {"items": [{"assistant_id": guide.pk}, {"assistant_id": guide.pk, "environment": "staging"}]}
    for role, status in ((Role.VIEWER, 403), (Role.ANALYST, 200), (Role.ADMIN, 200), (Role.OWNER, 200)):
        client = client_as(role)
        for path in EVERY_PAGE:
            assert client.get(f"{ROOT}/{path.format(guide.pk)}").status_code == status, (role, path)
        assert client.post(f"{ROOT}/compare", two, format="json").status_code == status
    outsider = client_of(key_of(charlies_project, Role.OWNER))
    for path in EVERY_PAGE[:2]:
        assert outsider.get(f"{ROOT}/{path.format(guide.pk)}").status_code == 404
    assert outsider.post(f"{ROOT}/compare", two, format="json").status_code == 404
    assert outsider.get(f"{ROOT}/summary").json()["data"] == []
    Assistant.objects.filter(pk=guide.pk).update(visibility="private")
    assert client_as(Role.ANALYST).get(f"{ROOT}/{guide.pk}/metrics").status_code == 404
