"""Alerts: they begin, somebody acknowledges them, and they end. Each of it is told to those whom the rule names."""

from __future__ import annotations

from runs.alerts.models import SENTENCE_LENGTH, Alert, AlertRule, Notification
from runs.alerts.rendering import said_of
from runs.alerts.services import outbox
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ALERTS_WRITE, ANALYTICS_READ
from sovereign.core import errors
from sovereign.core.database import now, only_row, service

State = Alert.State
Event = Notification.Event


def get_alert(*, principal: Principal, alert_id: str) -> Alert:
    """:raises ApiError: 404."""
    principal.require(ANALYTICS_READ)
    return _found(principal, alert_id)


def _found(principal: Principal, alert_id: str) -> Alert:
    found: Alert | None = only_row(Alert.objects.visible_to(principal).filter(pk=alert_id))
    if found is None:
        raise errors.not_found("alert", alert_id)
    return found


@service
def acknowledge(*, principal: Principal, alert_id: str, note: str = "") -> Alert:
    """Say that somebody sees to it. Done again it changes the note.

    :raises ApiError: 404; 400 ``alert_resolved``, it is over.
    """
    principal.require(ALERTS_WRITE)
    rule_id = _found(principal, alert_id).rule_id
    rule = locked_rule(rule_id)
    alert = _found(principal, alert_id)
    if alert.state == State.RESOLVED:
        raise errors.ApiError(f"The alert '{alert_id}' is over already.", code="alert_resolved")
    is_new = alert.state == State.FIRING
    if is_new:
        alert.state, alert.acknowledged_at = State.ACKNOWLEDGED, now()
        alert.acknowledged_by_user, alert.acknowledged_by_key = principal.user_id, principal.key_id
    alert.note = note
    alert.save()
    audit.record(principal, "alert.acknowledged", alert, note=note)
    if is_new:
        outbox.announce(rule, Event.ACKNOWLEDGED, f"{alert.sentence} {note}".strip(), alert)
    return alert


def locked_rule(rule_id: str) -> AlertRule:
    """A rule's row is the lock of its alerts."""
    rule: AlertRule = (
        AlertRule.objects.select_for_update(no_key=True, of=("self",)).select_related("project").get(pk=rule_id)
    )
    return rule


def open_alert(rule: AlertRule) -> Alert | None:
    found: Alert | None = only_row(Alert.objects.open().filter(rule=rule))
    return found


def begin(rule: AlertRule, value: float, runs: int) -> Alert:
    """:param rule: locked, and without an open alert."""
    alert = Alert.objects.create(
        project_id=rule.project_id,
        rule=rule,
        assistant_id=rule.assistant_id,
        metric=rule.metric,
        severity=rule.severity,
        value=value,
        worst=value,
        sentence=said_of(rule, value, runs),
        seen_at=now(),
    )
    outbox.announce(rule, Event.FIRING, alert.sentence, alert)
    return alert


def end(rule: AlertRule, alert: Alert, why: str) -> None:
    """:param rule: locked. :param why: a sentence."""
    alert.state, alert.resolved_at, alert.resolution = State.RESOLVED, now(), why[:SENTENCE_LENGTH]
    alert.save()
    outbox.announce(rule, Event.RESOLVED, alert.resolution, alert)
