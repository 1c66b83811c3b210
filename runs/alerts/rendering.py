"""Rules, alerts and notifications as the API's objects, and as sentences."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from assistants.models import Assistant
from runs.alerts.models import SENTENCE_LENGTH, Alert, AlertRule, Notification
from runs.alerts.watched import WATCHED
from threads.rendering import unix

NO_MAIL_SERVER = "No mail server is set (EMAIL_URL): mails wait for one, for about a day."
GONE = (
    "The webhook's receiver said that it wants nothing more (410). Set another address or make a new secret to go on."
)
LATE = timedelta(minutes=10)  # after which a rule that nobody looked at says so
NOT_LOOKED_AT = (
    "Nobody has compared it for more than ten minutes: what happened since is not counted, or no worker runs."
)
SPANS = ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"))


def render_rule(rule: AlertRule, *, reveals: bool = False, secret: str | None = None) -> dict[str, Any]:
    """:param reveals: the whole address of the webhook: some hold a secret. :param secret: that was made just now."""
    return {
        "id": rule.id,
        "object": "alert.rule",
        "created_at": unix(rule.created_at),
        "updated_at": unix(rule.updated_at),
        "name": rule.name,
        "assistant_id": rule.assistant_id,
        "environment": rule.environment,
        "metric": rule.metric,
        "direction": rule.direction,
        "threshold": rule.threshold,
        "clear_threshold": rule.clear_threshold,
        "window_minutes": rule.window_minutes,
        "minimum_runs": rule.minimum_runs,
        "severity": rule.severity,
        "enabled": rule.is_enabled,
        "emails": rule.emails,
        "webhook_url": (rule.webhook_url if reveals else without_path(rule.webhook_url)) or None,
        "webhook_secret": secret,
        "looked_at": unix(rule.looked_at),
        "last_value": rule.last_value,
        "problems": problems_of(rule),
    }


def render_alert(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "object": "alert",
        "created_at": unix(alert.created_at),
        "rule_id": alert.rule_id,
        "assistant_id": alert.assistant_id,
        "metric": alert.metric,
        "severity": alert.severity,
        "state": alert.state,
        "value": alert.value,
        "worst": alert.worst,
        "sentence": alert.sentence,
        "acknowledged_at": unix(alert.acknowledged_at),
        "acknowledged_by_user": alert.acknowledged_by_user,
        "acknowledged_by_key": alert.acknowledged_by_key,
        "note": alert.note,
        "resolved_at": unix(alert.resolved_at),
        "resolution": alert.resolution or None,
    }


def told_alert(alert: Alert) -> dict[str, Any]:
    """As receivers get it: who of the house acknowledged it is nobody's outside."""
    own = {"acknowledged_by_user", "acknowledged_by_key"}
    return {name: value for name, value in render_alert(alert).items() if name not in own}


def render_notification(notice: Notification) -> dict[str, Any]:
    is_waiting = notice.status == Notification.Status.WAITING
    return {
        "id": notice.id,
        "object": "alert.notification",
        "created_at": unix(notice.created_at),
        "rule_id": notice.rule_id,
        "alert_id": notice.alert_id,
        "event": notice.event,
        "channel": notice.channel,
        "target": shown_target(notice),
        "status": notice.status,
        "attempts": notice.attempts,
        "next_attempt_at": unix(notice.next_attempt_at) if is_waiting else None,
        "last_error": notice.last_error or None,
        "sent_at": unix(notice.sent_at),
    }


def shown_target(notice: Notification) -> str:
    return notice.target if notice.channel == Notification.Channel.EMAIL else without_path(notice.target)


def without_path(url: str) -> str:
    """
    >>> without_path("https://hooks.example:8443/services/T0/B1/secret")
    'https://hooks.example:8443/…'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…" if url else ""


def problems_of(rule: AlertRule) -> list[str]:
    """What keeps people from being told, in sentences."""
    said = {
        NO_MAIL_SERVER: rule.emails and not settings.SOVEREIGN.email_url,
        GONE: rule.webhook_gone_at,
        NOT_LOOKED_AT: is_late(rule),
    }
    return [sentence for sentence, is_so in said.items() if is_so]


def is_late(rule: AlertRule) -> bool:
    """Whether a rule that is watched was not looked at for long, since it was last written: it says nothing then."""
    return rule.is_enabled and timezone.now() - max(rule.looked_at or rule.created_at, rule.updated_at) > LATE


# ------------------------------------------------------------------------------------- sentences


def said_of(rule: AlertRule, value: float, runs: int) -> str:
    """What a rule found, when an alert begins."""
    watched = WATCHED[rule.metric]
    found = f"{watched.title}, {subject_of(rule)}: {watched.shown(value)} over the last {span(rule.window_minutes)}"
    return f"{found} ({runs:,} runs), {rule.direction} {watched.shown(rule.threshold)}."[:SENTENCE_LENGTH]


def said_when_over(rule: AlertRule, value: float) -> str:
    watched, back = WATCHED[rule.metric], clear_of(rule)
    return f"{watched.title}: {watched.shown(value)} now, and no more {rule.direction} {watched.shown(back)}."


def subject_of(rule: AlertRule) -> str:
    """Whose metric it is, for people."""
    subject = "all assistants"
    if rule.assistant_id is not None:
        assistant = Assistant.objects.filter(pk=rule.assistant_id).first()
        subject = rule.assistant_id if assistant is None else f"'{assistant}'"
    return f"{subject} in {rule.environment}" if rule.environment else subject


def span(minutes: int) -> str:
    """
    >>> span(60), span(90), span(2880)
    ('hour', '90 minutes', '2 days')
    """
    length = timedelta(minutes=minutes)
    unit, name = next((unit, name) for unit, name in SPANS if not length % unit)
    count = length // unit
    return name if count == 1 else f"{count} {name}s"


def clear_of(rule: AlertRule) -> float:
    """Where an alert ends."""
    return rule.threshold if rule.clear_threshold is None else rule.clear_threshold
