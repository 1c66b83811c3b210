"""The routes of alerts: what they take and refuse, who sees what, and that no secret comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.models import Assistant
from inference.secrets import unseal
from runs.alerts import services
from runs.alerts.models import AlertRule, Notification
from runs.alerts.services import rules, trying
from runs.alerts.services.alerts import begin, end
from runs.alerts.services.rules import Written
from sovereign.accounts import services as accounts
from sovereign.accounts.models import AuditEvent, IdempotencyRecord, Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ANALYTICS_READ, Role
from sovereign.core.database import now
from tests.alerts.conftest import FAILING

pytestmark = pytest.mark.django_db

RULES, ALERTS = "/api/v1/alerts/rules", "/api/v1/alerts"
HOOK = "https://hooks.example.org/services/T0/B1?token=hush"
MakeRule = Callable[..., Written]


def refusal(answer: Any) -> tuple[int, str | None, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


def test_a_rule_is_made_read_changed_and_deleted(api: APIClient, assistant: Assistant) -> None:
    given = {
        **FAILING,
        "assistant_id": assistant.id,
        "environment": "production",
        "window_minutes": 30,
        "minimum_runs": 20,
        "severity": "critical",
        "emails": ["On.Call@example.org", "on.call@EXAMPLE.org"],
    }
    made = api.post(RULES, given).json()
    assert made | {**given, "emails": ["On.Call@example.org"], "object": "alert.rule", "enabled": True} == made
    assert (made["webhook_url"], made["webhook_secret"]) == (None, None)
    assert made["problems"] == ["No mail server is set (EMAIL_URL): mails wait for one, for about a day."]
    address = f"{RULES}/{made['id']}"
    changed = api.put(address, {"threshold": 0.2, "enabled": False}).json()
    assert (changed["threshold"], changed["enabled"], changed["name"]) == (0.2, False, "It fails")
    assert api.get(address).json() == changed
    assert [rule["id"] for rule in api.get(RULES, {"assistant_id": assistant.id}).json()["data"]] == [made["id"]]
    assert api.delete(address).json() == {"id": made["id"], "object": "alert.rule.deleted", "deleted": True}
    assert api.get(address).status_code == 404
    assert api.get(RULES).json()["data"] == []
    actions = (
        AuditEvent.objects.filter(object_type="alert_rule").order_by("created_at").values_list("action", flat=True)
    )
    assert list(actions) == ["alert_rule.created", "alert_rule.updated", "alert_rule.deleted"]


@pytest.mark.parametrize(
    ("metric", "least"), [("error_rate", 1), ("runs", 0), ("cost", 0), ("answer_tokens_p50", 1), ("cost_per_run", 1)]
)
def test_where_no_run_is_a_number_too_it_is_compared(api: APIClient, metric: str, least: int) -> None:
    assert api.post(RULES, {**FAILING, "metric": metric}).json()["minimum_runs"] == least


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ({"metric": "happiness"}, "invalid_value", "metric"),
        ({"name": " "}, "invalid_value", "name"),
        ({"threshold": 5}, "invalid_value", "threshold"),
        ({"metric": "health", "threshold": 101}, "invalid_value", "threshold"),
        ({"threshold": -1}, "decimal_below_min_value", "threshold"),
        ({"clear_threshold": 0.2}, "invalid_value", "clear_threshold"),
        ({"direction": "below", "clear_threshold": 0.05}, "invalid_value", "clear_threshold"),
        ({"window_minutes": 7}, "invalid_value", "window_minutes"),
        ({"window_minutes": 43_205}, "integer_above_max_value", "window_minutes"),
        ({"environment": "trial"}, "invalid_value", "environment"),
        ({"assistant_id": "asst_none"}, None, None),
        ({"emails": ["nobody"]}, "invalid_value", "emails[0]"),
        ({"emails": ["a@example.org\nBcc: b@example.org"]}, "invalid_value", "emails[0]"),
        ({"emails": ["a@example.org"] * 21}, "array_above_max_length", "emails"),
        ({"webhook_url": "http://hooks.example.org/"}, "invalid_webhook_url", "webhook_url"),
        ({"webhook_url": "https://127.0.0.1/"}, "invalid_webhook_url", "webhook_url"),
        ({"webhook_url": "https://[::ffff:10.0.0.1]/"}, "invalid_webhook_url", "webhook_url"),
        ({"webhook_url": "https://2130706433/"}, "invalid_webhook_url", "webhook_url"),
        ({"webhook_url": "https://localhost:8000/"}, "invalid_webhook_url", "webhook_url"),
        ({"webhook_url": "https://metadata.internal/"}, "invalid_webhook_url", "webhook_url"),
        ({"webhook_url": "https://me:word@hooks.example.org/"}, "invalid_webhook_url", "webhook_url"),
        ({"webhook_secret": "mine"}, "unknown_parameter", "webhook_secret"),
    ],
)
def test_what_makes_no_rule_is_refused(api: APIClient, given: dict[str, Any], code: str, param: str) -> None:
    status = 404 if "assistant_id" in given else 400
    assert refusal(api.post(RULES, {**FAILING, **given})) == (status, code, param)
    assert not AlertRule.objects.exists()


def test_the_same_is_refused_of_a_change(api: APIClient, make_rule: MakeRule) -> None:
    address = f"{RULES}/{make_rule().rule.pk}"
    assert refusal(api.put(address, {"threshold": 0.01})) == (400, "invalid_value", "clear_threshold")
    assert refusal(api.put(address, {"webhook_url": "https://10.1.2.3/"})) == (
        400,
        "invalid_webhook_url",
        "webhook_url",
    )
    assert api.get(address).json()["threshold"] == 0.1


def test_the_operator_may_open_the_inner_network(api: APIClient, settings: Any) -> None:
    settings.SOVEREIGN = replace(settings.SOVEREIGN, alerts_inner_network=True)
    assert api.post(RULES, {**FAILING, "webhook_url": "http://10.0.0.5:9000/hook"}).status_code == 200
    assert refusal(api.post(RULES, {**FAILING, "webhook_url": "file:///etc/passwd"}))[1] == "invalid_webhook_url"


def test_a_project_has_no_end_of_rules(api: APIClient, make_rule: MakeRule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_RULES", 1)
    make_rule()
    assert refusal(api.post(RULES, FAILING))[:2] == (400, "too_many_rules")


def test_the_secret_is_told_once_and_kept_sealed(api: APIClient) -> None:
    made = api.post(RULES, {**FAILING, "webhook_url": HOOK}).json()
    secret, address = made["webhook_secret"], f"{RULES}/{made['id']}"
    assert secret.startswith("whsec_")
    rule = AlertRule.objects.get()
    assert secret not in rule.webhook_secret
    assert unseal(rule.webhook_secret) == secret
    assert secret not in str(list(AuditEvent.objects.values()))
    assert "hush" not in str(list(AuditEvent.objects.values()))
    record = IdempotencyRecord.objects.get()
    assert (record.expires_at - now()).total_seconds() <= 120, "the recorded answer is not kept for long"
    assert api.get(address).json()["webhook_secret"] is None
    assert api.put(address, {"name": "Other", "webhook_url": HOOK}).json()["webhook_secret"] is None
    renewed = api.put(address, {"new_webhook_secret": True}).json()["webhook_secret"]
    moved = api.put(address, {"webhook_url": "https://other.example.org/"}).json()["webhook_secret"]
    assert len({secret, renewed, moved}) == 3
    assert None not in (renewed, moved)
    assert api.put(address, {"webhook_url": None, "new_webhook_secret": True}).json()["webhook_secret"] is None


def test_roles(client_as: Any, client_of: Any, project: Project, make_rule: MakeRule) -> None:
    rule = make_rule(webhook_url=HOOK).rule
    alert = begin(rule, 0.5, 10)
    reading = client_of(accounts.create_api_key(project=project, name="eyes", scopes=[ANALYTICS_READ])[1])
    asked = [("get", ALERTS), ("get", f"{ALERTS}/{alert.pk}"), ("get", f"{ALERTS}/{alert.pk}/notifications"),
             ("get", RULES), ("get", f"{RULES}/{rule.pk}"), ("get", f"{RULES}/{rule.pk}/notifications"),
             ("post", f"{ALERTS}/{alert.pk}/acknowledge"), ("post", f"{RULES}/{rule.pk}/test"),
             ("post", RULES), ("put", f"{RULES}/{rule.pk}"), ("delete", f"{RULES}/{rule.pk}")]  # fmt: skip
    bodies = {"post": {}, "put": {"name": "Other"}}
    for client, expected in (
        (client_as(Role.VIEWER), [403] * 11),
        (reading, [200] * 6 + [403] * 5),
        (client_as(Role.ANALYST), [200] * 8 + [400, 200, 200]),
    ):
        assert [getattr(client, how)(where, bodies.get(how)).status_code for how, where in asked] == expected
    assert reading.get(RULES).json()["data"] == []
    kept = AuditEvent.objects.filter(action__endswith="_refused").values_list("action", flat=True)
    assert {"alert_rule.create_refused", "alert_rule.update_refused", "alert.acknowledge_refused"} <= set(kept)


def test_the_path_of_a_webhook_is_for_those_who_may_change_it(
    api: APIClient, client_of: Any, project: Project, make_rule: MakeRule
) -> None:
    address = f"{RULES}/{make_rule(webhook_url=HOOK).rule.pk}"
    reading = client_of(accounts.create_api_key(project=project, name="eyes", scopes=[ANALYTICS_READ])[1])
    assert api.get(address).json()["webhook_url"] == HOOK
    assert reading.get(address).json()["webhook_url"] == "https://hooks.example.org/…"


def test_what_is_about_an_assistant_that_others_keep_is_not_there(
    client_as: Any, api: APIClient, principal: Principal, assistant: Assistant, make_rule: MakeRule
) -> None:
    rule = make_rule(assistant_id=assistant.id).rule
    alert = begin(rule, 0.5, 10)
    assistants.update_assistant(principal=principal, assistant_id=assistant.id, visibility="private")
    analyst = client_as(Role.ANALYST)
    assert analyst.get(RULES).json()["data"] == analyst.get(ALERTS).json()["data"] == []
    for address in (f"{RULES}/{rule.pk}", f"{ALERTS}/{alert.pk}", f"{ALERTS}/{alert.pk}/notifications"):
        assert analyst.get(address).status_code == 404
    assert analyst.post(f"{ALERTS}/{alert.pk}/acknowledge", {}).status_code == 404
    assert refusal(analyst.post(RULES, {**FAILING, "assistant_id": assistant.id}))[0] == 404
    assert api.get(f"{ALERTS}/{alert.pk}").status_code == 200
    assistants.delete_assistant(principal=principal, assistant_id=assistant.id)
    assert analyst.get(f"{ALERTS}/{alert.pk}").status_code == 200, "those who were told of it find it"


def test_alerts_are_listed_by_state_and_acknowledged(api: APIClient, make_rule: MakeRule, assistant: Assistant) -> None:
    rule = make_rule(assistant_id=assistant.id, emails=["a@example.org"]).rule
    over = begin(rule, 0.3, 10)
    end(rule, over, "It was over.")
    alert = begin(rule, 0.5, 10)
    begin(make_rule().rule, 0.9, 10)
    listed = api.get(ALERTS, {"state": "firing", "assistant_id": assistant.id}).json()["data"]
    assert [one["id"] for one in listed] == [alert.pk]
    assert refusal(api.get(ALERTS, {"state": "open"})) == (400, "invalid_value", "state")
    seen = api.post(f"{ALERTS}/{alert.pk}/acknowledge", {"note": "Mine."}).json()
    assert (seen["state"], seen["note"], seen["resolved_at"]) == ("acknowledged", "Mine.", None)
    assert seen["acknowledged_by_key"] is not None
    told = Notification.objects.get(event="alert.acknowledged").body["data"]["alert"]
    assert told["note"] == "Mine."
    assert not any("acknowledged_by" in name for name in told), "who it was is nobody's outside"
    again = api.post(f"{ALERTS}/{alert.pk}/acknowledge", {"note": "Still mine."}).json()
    assert (again["note"], again["acknowledged_at"]) == ("Still mine.", seen["acknowledged_at"])
    sent = api.get(f"{ALERTS}/{alert.pk}/notifications", {"order": "asc"}).json()["data"]
    assert [(one["event"], one["target"], one["status"]) for one in sent] == [
        ("alert.firing", "a@example.org", "waiting"),
        ("alert.acknowledged", "a@example.org", "waiting"),
    ]
    assert refusal(api.post(f"{ALERTS}/{over.pk}/acknowledge", {}))[:2] == (400, "alert_resolved")
    assert api.get(f"{ALERTS}/{over.pk}").json()["resolution"] == "It was over."


def test_alerts_stay_when_their_rule_is_deleted(api: APIClient, make_rule: MakeRule) -> None:
    rule = make_rule().rule
    alert = begin(rule, 0.5, 10)
    api.delete(f"{RULES}/{rule.pk}")
    assert api.get(f"{ALERTS}/{alert.pk}").json()["resolution"] == rules.DELETED


def test_a_rule_is_tried_once_a_minute_where_it_names_anybody(api: APIClient, make_rule: MakeRule) -> None:
    rule = make_rule(emails=["a@example.org"], webhook_url=HOOK).rule
    sent = api.post(f"{RULES}/{rule.pk}/test").json()
    assert [(one["channel"], one["target"], one["alert_id"]) for one in sent["data"]] == [
        ("email", "a@example.org", None),
        ("webhook", "https://hooks.example.org/…", None),
    ]
    assert api.get(f"{RULES}/{rule.pk}/notifications", {"order": "asc"}).json()["data"] == sent["data"]
    assert refusal(api.post(f"{RULES}/{rule.pk}/test"))[:2] == (400, "tested_just_now")
    assert refusal(api.post(f"{RULES}/{make_rule().rule.pk}/test"))[:2] == (400, "nobody_to_tell")


def test_making_rules_anew_sends_no_more_tests(
    api: APIClient, make_rule: MakeRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "MOST_OF_PROJECT", 2)
    answers = []
    for _ in range(3):
        address = f"{RULES}/{make_rule(emails=['a@example.org']).rule.pk}"
        answers.append(api.post(f"{address}/test"))
        api.delete(address)
    assert [answer.status_code for answer in answers] == [200, 200, 400]
    assert refusal(answers[-1])[1] == "tested_too_often"


def test_what_is_old_is_forgotten(make_rule: MakeRule, principal: Principal) -> None:
    from runs.alerts.chores import KEPT, TESTS_KEPT, forget_old
    from runs.alerts.models import Alert

    rule = make_rule(emails=["a@example.org"]).rule
    begun = begin(rule, 0.5, 10)
    end(rule, begun, "Over.")
    still = begin(rule, 0.6, 10)
    services.try_rule(principal=principal, rule_id=rule.pk)
    forget_old()
    assert (Alert.objects.count(), Notification.objects.count()) == (2, 4)
    Alert.objects.filter(pk=begun.pk).update(resolved_at=now() - KEPT)
    Notification.objects.filter(alert=None).update(created_at=now() - TESTS_KEPT)
    forget_old()
    assert list(Alert.objects.values_list("pk", flat=True)) == [still.pk]
    assert Notification.objects.get().alert_id == still.pk
