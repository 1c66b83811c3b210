"""From what a metric is now to what becomes of a rule's alert."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from runs.alerts.measuring import Reading
from runs.alerts.models import Alert, AlertRule
from runs.alerts.rendering import clear_of, said_when_over, span
from runs.alerts.services.alerts import begin, end, locked_rule, open_alert
from sovereign.accounts import audit
from sovereign.core.database import now, service

PAUSE = timedelta(seconds=30)  # between two looks at a rule
AT_ONCE = 50  # rules of one look
ASSISTANT_GONE = "The assistant was deleted."

log = structlog.get_logger(__name__)


@service
def take_due() -> list[AlertRule]:
    """Some rules that nobody looked at for a while, and which no other worker looks at now."""
    due = AlertRule.objects.due(now(), PAUSE).order_by("looked_at", "pk")
    if not due.exists():
        return []
    rules = list(due.select_for_update(no_key=True, skip_locked=True, of=("self",))[:AT_ONCE])
    AlertRule.objects.filter(pk__in=[rule.pk for rule in rules]).update(looked_at=now())
    return rules


def open_alerts(rules: list[AlertRule]) -> dict[str, Alert]:
    """By their rules."""
    return {alert.rule_id: alert for alert in Alert.objects.open().filter(rule__in=rules)}


def without_assistant(rules: list[AlertRule]) -> set[str]:
    """Those of them whose assistant was deleted."""
    chosen = AlertRule.objects.filter(pk__in=[rule.pk for rule in rules])
    return set(chosen.without_assistant().values_list("pk", flat=True))


def retire_all() -> None:
    """Take those out of service whose assistant is gone and that nobody looks at: they are switched off."""
    for rule_id in AlertRule.objects.without_assistant().order_by("pk").values_list("pk", flat=True)[:AT_ONCE]:
        retire(rule_id, ASSISTANT_GONE)


def is_settled(rule: AlertRule, alert: Alert | None, reading: Reading) -> bool:
    """Whether nothing is to be written: what most looks find."""
    if alert is not None or reading.value != rule.last_value:
        return False
    return not (is_known(rule, reading) and _is_beyond(rule, reading.value))


@service
def settle(seen: AlertRule, reading: Reading) -> None:
    """Begin an alert, go on with it or end it.

    :param seen: the rule as it was when it was read: one that was changed meanwhile is left to the next look.
    """
    rule = locked_rule(seen.pk)
    if rule.updated_at != seen.updated_at or rule.deleted_at is not None or not rule.is_enabled:
        return
    AlertRule.objects.filter(pk=rule.pk).update(last_value=reading.value)
    alert, instant = open_alert(rule), now()
    value = reading.value if is_known(rule, reading) else None
    if alert is None:
        if value is not None and _is_beyond(rule, value):
            begun = begin(rule, value, reading.runs)
            log.info("alert_began", alert=begun.pk, rule=rule.pk, value=value)
    elif why := _why_over(rule, alert, value, instant):
        end(rule, alert, why)
        log.info("alert_ended", alert=alert.pk, rule=rule.pk)
    elif value is not None:
        alert.worst, alert.seen_at = _further(rule, alert.worst, value), instant
        alert.save(update_fields=["worst", "seen_at"])


def is_known(rule: AlertRule, reading: Reading) -> bool:
    return reading.value is not None and reading.runs >= rule.minimum_runs


def _why_over(rule: AlertRule, alert: Alert, value: float | None, instant: datetime) -> str:
    """Why an alert is over, in a sentence; ``""`` while it is not.

    One of which nothing is known goes on for the length of a window: where there are now enough runs and now too few,
    it must not come and go.
    """
    if value is None:
        unknown = instant - alert.seen_at >= timedelta(minutes=rule.window_minutes)
        return f"Too few runs over the last {span(rule.window_minutes)} to tell." if unknown else ""
    return said_when_over(rule, value) if _is_back(rule, value) else ""


def _is_beyond(rule: AlertRule, value: float | None) -> bool:
    if value is None:
        return False
    return value > rule.threshold if rule.direction == AlertRule.Direction.ABOVE else value < rule.threshold


def _is_back(rule: AlertRule, value: float) -> bool:
    clear = clear_of(rule)
    return value <= clear if rule.direction == AlertRule.Direction.ABOVE else value >= clear


def _further(rule: AlertRule, one: float, other: float) -> float:
    return max(one, other) if rule.direction == AlertRule.Direction.ABOVE else min(one, other)


@service
def retire(rule_id: str, why: str) -> None:
    """Take a rule out of service whose subject is gone."""
    rule = locked_rule(rule_id)
    if (alert := open_alert(rule)) is not None:
        end(rule, alert, why)
    if AlertRule.objects.kept().filter(pk=rule_id).update(deleted_at=now()):
        audit.record(None, "alert_rule.deleted", rule, reason=why)
