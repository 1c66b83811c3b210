"""The pages of alerts: what they show, what their buttons do, whom they refuse, and where alerts are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from assistants import services as assistants
from assistants.models import Assistant
from runs.alerts.models import Alert, AlertRule, Notification
from runs.alerts.services.alerts import begin
from runs.alerts.services.rules import Written
from sovereign.accounts.models import AuditEvent, Project, User
from sovereign.accounts.principals import Principal
from sovereign.core.database import now
from tests.web.conftest import EVIL, EVIL_MARKS

pytestmark = pytest.mark.django_db

HOOK = "https://hooks.example.org/hush"
FORM: dict[str, Any] = {
    "name": "It fails", "assistant_id": "", "environment": "production", "metric": "error_rate", "direction": "above",
    "threshold": "0.1", "clear_threshold": "0.05", "window_minutes": "60", "minimum_runs": "1", "severity": "critical",
    "is_enabled": "on", "emails": "a@example.org\nb@example.org", "webhook_url": HOOK,
}  # fmt: skip
MakeRule = Callable[..., Written]


def page(model: str, view: str, *args: str) -> str:
    return reverse(f"admin:alerts_{model}_{view}", args=args)


def visitor(user: User) -> Client:
    client = Client(headers={"Accept": "text/html,application/xhtml+xml"})
    client.force_login(user)
    return client


@pytest.fixture
def form(project: Project) -> dict[str, Any]:
    return {"project": project.pk, **FORM}


@pytest.fixture
def client(alice: User, project: Project) -> Client:
    return visitor(alice)


def test_a_rule_is_made_with_the_form_and_its_secret_stands_on_one_page(client: Client, form: dict[str, Any]) -> None:
    answer = client.post(page("alertrule", "add"), form)
    rule = AlertRule.objects.get()
    assert (rule.emails, rule.environment, rule.assistant_id) == (
        ["a@example.org", "b@example.org"],
        "production",
        None,
    )
    assert "whsec_" in answer.content.decode()
    shown = client.get(page("alertrule", "change", rule.pk)).content.decode()
    assert "whsec_" not in shown
    assert "No mail server is set (EMAIL_URL)" in shown
    kept = client.post(page("alertrule", "change", rule.pk), {**form, "name": "Other"})
    assert kept.status_code == 302
    renewed = client.post(page("alertrule", "change", rule.pk), {**form, "new_webhook_secret": "on"})
    assert "whsec_" in renewed.content.decode()


def test_what_the_service_refuses_is_told(client: Client, form: dict[str, Any]) -> None:
    answer = client.post(page("alertrule", "add"), {**form, "webhook_url": "https://127.0.0.1/"}, follow=True)
    assert "127.0.0.1 is an address of an inner network." in answer.content.decode()
    assert not AlertRule.objects.exists()


def test_a_test_is_sent_with_a_button(client: Client, make_rule: MakeRule) -> None:
    rule = make_rule(emails=["a@example.org"]).rule
    answer = client.post(page("alertrule", "test", rule.pk), follow=True)
    assert "a@example.org" in answer.content.decode()
    assert Notification.objects.get().event == "alert.test"
    assert client.get(page("alertrule", "test", rule.pk)).status_code == 403


def test_an_alert_is_acknowledged_with_a_note_and_in_the_list(client: Client, make_rule: MakeRule) -> None:
    one, other = begin(make_rule().rule, 0.5, 10), begin(make_rule().rule, 0.5, 10)
    answer = client.post(page("alert", "acknowledge", one.pk), {"note": "Mine."}, follow=True)
    assert "Mine." in answer.content.decode()
    client.post(page("alert", "changelist"), {"action": "acknowledge", "_selected_action": [other.pk]})
    assert set(Alert.objects.values_list("state", flat=True)) == {"acknowledged"}


def test_a_note_is_kept_without_what_no_database_takes(client: Client, make_rule: MakeRule) -> None:
    alert = begin(make_rule().rule, 0.5, 10)
    client.post(page("alert", "acknowledge", alert.pk), {"note": "a\x00b"})
    assert Alert.objects.get().note == "a\\u0000b"


def test_the_audit_log_says_what_was_changed(client: Client, form: dict[str, Any]) -> None:
    client.post(page("alertrule", "add"), form)
    rule = AlertRule.objects.get()
    AlertRule.objects.update(webhook_gone_at=now())
    renamed = {**form, "name": "Other", "emails": "a@example.org\r\nb@example.org"}
    client.post(page("alertrule", "change", rule.pk), renamed)
    assert AuditEvent.objects.get(action="alert_rule.updated").details == {"fields": ["name"]}
    assert AlertRule.objects.get().webhook_gone_at is not None, "its receiver wants nothing more, as before"


def test_a_list_of_many_rules_asks_no_more_than_a_short_one(
    client: Client, make_rule: MakeRule, django_assert_num_queries: Any
) -> None:
    begin(make_rule().rule, 0.5, 10)
    with CaptureQueriesContext(connection) as asked:
        client.get(page("alertrule", "changelist"))
    for _ in range(3):
        begin(make_rule().rule, 0.5, 10)
    with django_assert_num_queries(len(asked)):
        shown = client.get(page("alertrule", "changelist")).content.decode()
    assert shown.count("Firing") == 4


def test_what_people_wrote_is_escaped(client: Client, make_rule: MakeRule) -> None:
    rule = make_rule(name=EVIL[:120]).rule
    alert = begin(rule, 0.5, 10)
    Alert.objects.update(sentence=EVIL[:400], note=EVIL[:400])
    for address in (
        page("alertrule", "change", rule.pk), page("alertrule", "changelist"), page("alert", "change", alert.pk),
        page("alert", "changelist"), reverse("admin:index"), reverse("landing"),
    ):  # fmt: skip
        shown = client.get(address).content.decode()
        assert not any(mark in shown for mark in EVIL_MARKS), address


def test_open_alerts_are_told_where_people_come_in_to_those_who_may_see_them(
    client: Client, bob: User, charlie: User, principal: Principal, assistant: Assistant, make_rule: MakeRule
) -> None:
    everyone = begin(make_rule(name="All").rule, 0.5, 10).sentence
    hidden = begin(make_rule(assistant_id=assistant.id).rule, 0.7, 10).sentence
    assistants.update_assistant(principal=principal, assistant_id=assistant.id, visibility="private")
    seen: dict[str, list[list[bool]]] = {}
    visitors = {"alice": client, "bob": visitor(bob), "charlie": visitor(charlie), "nobody": Client()}
    for name, browser in visitors.items():
        pages = [browser.get(address).content.decode() for address in (reverse("admin:index"), reverse("landing"))]
        seen[name] = [[_escaped(sentence) in shown for sentence in (everyone, hidden)] for shown in pages]
    assert seen["alice"] == [[True, True], [False, True]]  # the front page has the newest
    assert seen["bob"] == [[True, False], [True, False]]
    assert seen["charlie"] == seen["nobody"] == [[False, False], [False, False]]


def test_the_worst_is_told_first_and_that_there_is_more(
    client: Client, make_rule: MakeRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sovereign.web.alerts.SHOWN", 1)
    critical = begin(make_rule(severity="critical").rule, 0.7, 10)
    newer = begin(make_rule().rule, 0.5, 10)
    for address, more in ((reverse("admin:index"), "And 1 more"), (reverse("landing"), "All 2 that are open")):
        shown = client.get(address).content.decode()
        assert [sentence in shown for sentence in (critical.sentence, newer.sentence, more)] == [True, False, True]


def _escaped(sentence: str) -> str:
    return sentence.replace("'", "&#x27;")


@pytest.mark.parametrize("view", ["changelist", "add"])
def test_another_project_sees_nothing(charlie: User, make_rule: MakeRule, view: str) -> None:
    rule = make_rule(name="Of Alice").rule
    alert = begin(rule, 0.5, 10)
    browser = visitor(charlie)
    assert "Of Alice" not in browser.get(page("alertrule", view)).content.decode()
    for address in (page("alertrule", "change", rule.pk), page("alert", "change", alert.pk)):
        assert browser.get(address).status_code in (302, 404)
    for address in (page("alertrule", "test", rule.pk), page("alert", "acknowledge", alert.pk)):
        assert browser.post(address).status_code == 404
    assert Alert.objects.get().state == "firing"
