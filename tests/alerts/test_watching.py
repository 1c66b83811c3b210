"""When an alert begins, goes on and ends; and that it does each once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from structlog.testing import capture_logs

from assistants import services as assistants
from assistants.models import Assistant
from runs.alerts import services
from runs.alerts.chores import forget_old, look, say_if_behind
from runs.alerts.measuring import Reading
from runs.alerts.models import Alert, AlertRule, Notification
from runs.alerts.rendering import NOT_LOOKED_AT, problems_of
from runs.alerts.services import outbox, watching
from runs.alerts.services.rules import Written
from runs.analytics.models import Counted
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.core.database import now
from tests.analytics.support import happened, measures

pytestmark = pytest.mark.django_db

MakeRule = Callable[..., Written]


def settle(rule: AlertRule, value: float | None, runs: int = 100) -> Alert | None:
    rule.refresh_from_db()
    watching.settle(rule, Reading(value, runs))
    return Alert.objects.filter(rule=rule).order_by("-created_at", "-id").first()


def states(rule: AlertRule) -> list[str]:
    return list(Alert.objects.filter(rule=rule).order_by("created_at", "id").values_list("state", flat=True))


@pytest.mark.parametrize(
    ("direction", "clear", "values", "found"),
    [
        ("above", 0.05, [0.1, 0.11], ["firing"]),
        ("above", 0.05, [0.2, 0.08, 0.2, 0.06], ["firing"]),  # it swings about the threshold: one alert
        ("above", 0.05, [0.2, 0.05], ["resolved"]),
        ("above", None, [0.2, 0.1, 0.2], ["resolved", "firing"]),
        ("below", 0.3, [0.1, 0.05, 0.2], ["firing"]),
        ("below", 0.3, [0.05, 0.3], ["resolved"]),
    ],
)
def test_an_alert_begins_beyond_the_threshold_and_ends_at_the_other(
    make_rule: MakeRule, direction: str, clear: float | None, values: list[float], found: list[str]
) -> None:
    rule = make_rule(direction=direction, clear_threshold=clear).rule
    for value in values:
        settle(rule, value)
    assert states(rule) == found


def test_the_furthest_is_kept_and_who_is_told_is_told_once(make_rule: MakeRule) -> None:
    rule = make_rule(emails=["a@example.org", "b@example.org"]).rule
    for value in (0.2, 0.5, 0.3):
        alert = settle(rule, value)
    assert alert is not None
    assert (alert.value, alert.worst) == (0.2, 0.5)
    assert alert.sentence == "Runs that failed, all assistants: 20 % over the last hour (100 runs), above 10 %."
    assert Notification.objects.filter(event="alert.firing").count() == 2
    alert = settle(rule, 0.0)
    assert alert is not None
    assert alert.resolution == "Runs that failed: 0 % now, and no more above 5 %."
    assert Notification.objects.filter(event="alert.resolved").count() == 2


def test_of_too_few_runs_nothing_is_said_until_a_window_has_passed_without_more(make_rule: MakeRule) -> None:
    rule = make_rule(minimum_runs=20).rule
    assert settle(rule, 1.0, runs=19) is None
    settle(rule, 1.0, runs=20)
    settle(rule, 0.0, runs=3)
    settle(rule, None, runs=0)
    assert states(rule) == ["firing"]
    Alert.objects.filter(rule=rule).update(seen_at=now() - timedelta(minutes=60))
    alert = settle(rule, None, runs=0)
    assert alert is not None
    assert (alert.state, alert.resolution) == ("resolved", "Too few runs over the last hour to tell.")


def test_a_rule_is_read_from_the_roll_ups_of_its_window(
    principal: Principal, assistant: Assistant, make_rule: MakeRule
) -> None:
    mine = make_rule(assistant_id=assistant.id, environment="production", window_minutes=30).rule
    slow = make_rule(metric="response_p95", threshold=5, clear_threshold=None, window_minutes=2880).rule
    silent = make_rule(metric="runs", direction="below", threshold=1, clear_threshold=None, environment="staging").rule
    healthy = make_rule(metric="health", direction="below", threshold=90, clear_threshold=None).rule
    what = measures(runs=20, completed=15, failed=5, seconds=(9.0,) * 15)
    cell = {"assistant_id": assistant.id, "environment": "production"}
    happened(principal.project_id, now(), what, **cell)
    happened(principal.project_id, now() - timedelta(hours=2), measures(runs=100, completed=100), **cell)
    happened("another", now(), measures(runs=90, completed=90), **cell)
    look()
    assert AlertRule.objects.get(pk=mine.pk).last_value == 0.25
    assert [states(rule) for rule in (mine, slow, silent, healthy)] == [["firing"]] * 4
    assert "'Guide' in production: 25 %" in Alert.objects.get(rule=mine).sentence


def test_what_is_not_counted_yet_is_no_reason(make_rule: MakeRule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.alerts.measuring.is_anything_unmarked", lambda: True)
    rule = make_rule(metric="runs", direction="below", threshold=1, clear_threshold=None).rule
    look()
    Counted.objects.create(at=now() - timedelta(minutes=11))
    look()
    assert (states(rule), AlertRule.objects.get(pk=rule.pk).looked_at) == ([], None)
    Counted.objects.update(at=now())
    look()
    assert states(rule) == ["firing"]


def test_a_rule_is_looked_at_every_thirty_seconds_and_one_that_fails_keeps_nobody(
    make_rule: MakeRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    broken, well = make_rule().rule, make_rule().rule

    def read(self: Any, rule: AlertRule) -> Reading:
        looked.append(rule.pk)
        if rule.pk == broken.pk:
            raise ZeroDivisionError
        return Reading(0.5, 10)

    monkeypatch.setattr("runs.alerts.measuring.Readings.of", read)
    look()
    look()
    assert sorted(looked) == sorted([broken.pk, well.pk])
    assert (states(broken), states(well)) == ([], ["firing"])
    AlertRule.objects.filter(pk=well.pk).update(looked_at=now() - watching.PAUSE)
    look()
    assert looked[2:] == [well.pk]


@pytest.mark.parametrize("change", [{"threshold": 0.2}, {"is_enabled": False}, {"environment": "staging"}, "delete"])
def test_a_rule_that_says_something_else_ends_its_alert_and_says_so(
    principal: Principal, make_rule: MakeRule, change: Any
) -> None:
    rule = make_rule(emails=["a@example.org"]).rule
    before = AlertRule.objects.get(pk=rule.pk)
    settle(rule, 0.5)
    if change == "delete":
        services.delete_rule(principal=principal, rule_id=rule.pk)
    else:
        services.update_rule(principal=principal, rule_id=rule.pk, **change)
    assert states(rule) == ["resolved"]
    assert Notification.objects.filter(event="alert.resolved", status="waiting").count() == 1
    watching.settle(before, Reading(0.5, 100))  # of a look that began before
    assert states(rule) == ["resolved"]


def test_the_end_is_told_of_the_rule_as_it_was_to_those_who_heard_of_it(
    principal: Principal, assistant: Assistant, make_rule: MakeRule
) -> None:
    rule = make_rule(assistant_id=assistant.id, emails=["stays@example.org", "goes@example.org"]).rule
    settle(rule, 0.5)
    other = {
        "name": "Other",
        "assistant_id": None,
        "threshold": 0.7,
        "emails": ["stays@example.org", "new@example.org"],
    }
    services.update_rule(principal=principal, rule_id=rule.pk, **other)
    outbox.claim(16, {})
    over = Notification.objects.filter(event="alert.resolved")
    assert {notice.target: notice.status for notice in over} == {
        "stays@example.org": "waiting",
        "goes@example.org": "given_up",
    }
    for told in (notice.body["data"] for notice in over):
        assert told["assistant"]["id"] == told["alert"]["assistant_id"] == assistant.id
        assert (told["rule"]["name"], told["rule"]["threshold"]) == ("It fails", 0.1)


def test_another_name_or_address_does_not_end_it(principal: Principal, make_rule: MakeRule) -> None:
    rule = make_rule().rule
    settle(rule, 0.5)
    services.update_rule(
        principal=principal, rule_id=rule.pk, name="Other", emails=["a@example.org"], severity="critical"
    )
    assert states(rule) == ["firing"]


def test_the_rule_of_an_assistant_that_was_deleted_goes_too(
    principal: Principal, assistant: Assistant, make_rule: MakeRule
) -> None:
    rule = make_rule(assistant_id=assistant.id).rule
    settle(rule, 0.5)
    assistants.delete_assistant(principal=principal, assistant_id=assistant.id)
    look()
    assert not AlertRule.objects.kept().filter(pk=rule.pk).exists()
    assert Alert.objects.get(rule=rule).resolution == watching.ASSISTANT_GONE


def test_so_does_one_that_is_switched_off(principal: Principal, assistant: Assistant, make_rule: MakeRule) -> None:
    rule, other = make_rule(assistant_id=assistant.id, is_enabled=False).rule, make_rule(is_enabled=False).rule
    assistants.delete_assistant(principal=principal, assistant_id=assistant.id)
    forget_old()
    assert list(AlertRule.objects.kept()) == [other]
    assert AlertRule.objects.filter(pk=rule.pk).exists()


def test_nobody_looks_for_a_project_that_was_archived(make_rule: MakeRule) -> None:
    make_rule()
    Project.objects.update(archived_at=now())
    assert watching.take_due() == []


def test_a_rule_that_nobody_looks_at_says_so_and_so_does_the_log(
    make_rule: MakeRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule, off = make_rule().rule, make_rule(is_enabled=False).rule
    assert problems_of(rule) == []
    long_ago = now() - timedelta(minutes=11)
    AlertRule.objects.update(created_at=long_ago, updated_at=long_ago, looked_at=long_ago)
    assert [problems_of(AlertRule.objects.get(pk=one.pk)) for one in (rule, off)] == [[NOT_LOOKED_AT], []]
    monkeypatch.setattr("runs.alerts.measuring.is_anything_unmarked", lambda: True)
    with capture_logs() as said:
        say_if_behind()
    assert [line["event"] for line in said] == ["alert_rules_not_looked_at"]


@pytest.mark.django_db(transaction=True)
def test_workers_that_look_at_once_begin_one_alert(make_rule: MakeRule) -> None:
    rule = make_rule(emails=["a@example.org"]).rule
    seen, ready = AlertRule.objects.get(pk=rule.pk), threading.Barrier(4)

    def work() -> None:
        try:
            ready.wait(60)
            watching.settle(seen, Reading(0.5, 100))
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (states(rule), Notification.objects.count()) == (["firing"], 1)
