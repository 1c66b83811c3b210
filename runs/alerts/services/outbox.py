"""What has to be sent: written with what it is about, taken under a lease, and sent again until it was taken.

A worker that dies after it sent something and before it said so has it sent once more, under the same id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from assistants.models import Assistant
from inference.secrets import unseal
from runs.alerts.models import Alert, AlertRule, Notification
from runs.alerts.rendering import GONE, told_alert
from sovereign.accounts import audit
from sovereign.core.database import now, service
from sovereign.core.visible import storable

LEASE = timedelta(seconds=150)  # longer than anything takes to be sent: a mail has a dozen steps
#: before each further attempt; the last is a day after the first
PAUSES = tuple(
    timedelta(seconds=seconds) for seconds in (10, 60, 5 * 60, 30 * 60, 2 * 3_600, 6 * 3_600, 15 * 3_600)
)  # fmt: skip
MOST_ATTEMPTS = len(PAUSES) + 1
MOST_OF_PROJECT = 4  # that a worker sends at the same time: a slow receiver must not hold up everybody's
LOOKED_AT = 256  # rows of one look; whose places are all taken is not among them
ERROR_LENGTH = 500
DIED = "Workers ended while they sent it."
TAKEN_OUT = "The rule does not name this address any more."
ARCHIVED = "The project was archived."

log = structlog.get_logger(__name__)
Status = Notification.Status
Channel = Notification.Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What this worker sends: the attempt's number is its token."""

    id: str
    attempt: int
    project_id: str
    channel: str
    target: str
    secret: str
    body: dict[str, Any]


def announce(rule: AlertRule, event: str, message: str, alert: Alert | None = None) -> list[Notification]:
    """Write what is to be sent to everybody whom the rule names, as part of the caller's transaction."""
    targets = [(Channel.EMAIL, address) for address in rule.emails]
    if rule.webhook_url and rule.webhook_gone_at is None:
        targets.append((Channel.WEBHOOK, rule.webhook_url))
    body = _body(rule, event, message, alert)
    due = now()
    notices = [
        Notification(
            rule=rule, alert=alert, event=event, channel=channel, target=target, body=body, next_attempt_at=due
        )
        for channel, target in targets
    ]
    return Notification.objects.bulk_create(notices)


def _body(rule: AlertRule, event: str, message: str, alert: Alert | None) -> dict[str, Any]:
    about = ("alertrule", rule.pk) if alert is None else ("alert", alert.pk)
    address = reverse(f"admin:alerts_{about[0]}_change", args=[about[1]])
    assistant = Assistant.objects.filter(pk=rule.assistant_id).first() if rule.assistant_id else None
    return {
        "type": event,
        "timestamp": timezone.now().isoformat(timespec="seconds"),
        "data": {
            "message": message,
            "severity": rule.severity,
            "project": {"id": rule.project_id, "name": rule.project.name},
            "assistant": None if rule.assistant_id is None else {"id": rule.assistant_id, "name": str(assistant or "")},
            "rule": {"id": rule.id, "name": rule.name, "metric": rule.metric, "environment": rule.environment,
                     "direction": rule.direction, "threshold": rule.threshold, "window_minutes": rule.window_minutes},
            "alert": None if alert is None else told_alert(alert),
            "url": f"{settings.SOVEREIGN.base_url}{address}",
        },
    }  # fmt: skip


# ------------------------------------------------------------------------------------- by workers


def claim(limit: int, in_hand: Mapping[str, int]) -> list[Claimed]:
    """Take some that are due, each of which no other worker has. Where there are none, this is one small query.

    :param in_hand: how many the worker is sending, by project. One that has no place left is not looked at, however
        much of it waits: the others' turn comes with the next look.
    """
    full = [project_id for project_id, count in in_hand.items() if count >= MOST_OF_PROJECT]
    due = Notification.objects.due(now()).exclude(rule__project_id__in=full).order_by("next_attempt_at", "id")
    rows = due.values_list("pk", "rule__project_id")[:LOOKED_AT]
    counts, chosen = Counter(in_hand), list[str]()
    for pk, project_id in rows:
        if len(chosen) < limit and counts[project_id] < MOST_OF_PROJECT:
            counts[project_id] += 1
            chosen.append(pk)
    return _claim(chosen) if chosen else []


@service
def _claim(chosen: list[str]) -> list[Claimed]:
    instant = now()
    due = Notification.objects.due(instant).filter(pk__in=chosen).select_related("rule__project").order_by("pk")
    claimed = []
    for notice in due.select_for_update(of=("self",), skip_locked=True):
        if refusal := _why_not(notice):
            _give_up(notice, refusal)
            continue
        notice.attempts += 1
        notice.next_attempt_at = instant + LEASE
        notice.save(update_fields=["attempts", "next_attempt_at"])
        claimed.append(_claimed(notice))
    return claimed


def _why_not(notice: Notification) -> str:
    """Why it is not sent any more; ``""`` where it is."""
    if notice.attempts >= MOST_ATTEMPTS:
        return notice.last_error or DIED
    rule = notice.rule
    if rule.project.archived_at is not None:
        return ARCHIVED
    if notice.channel == Channel.EMAIL:
        return "" if notice.target in rule.emails else TAKEN_OUT
    if notice.target != rule.webhook_url:
        return TAKEN_OUT
    return "" if rule.webhook_gone_at is None else GONE


def _claimed(notice: Notification) -> Claimed:
    return Claimed(
        id=notice.pk,
        attempt=notice.attempts,
        project_id=notice.rule.project_id,
        channel=notice.channel,
        target=notice.target,
        secret=unseal(notice.rule.webhook_secret) if notice.channel == Channel.WEBHOOK else "",
        body=notice.body,
    )


@service
def sent(claimed: Claimed) -> None:
    """It was taken."""
    _held(claimed).update(status=Status.SENT, sent_at=now(), last_error="")


@service
def failed(claimed: Claimed, error: str) -> None:
    """It was not: it is tried again later, or given up."""
    said = storable(error, ERROR_LENGTH)
    if claimed.attempt < MOST_ATTEMPTS:
        _held(claimed).update(last_error=said, next_attempt_at=now() + PAUSES[claimed.attempt - 1])
    elif _held(claimed).update(last_error=said, status=Status.GIVEN_UP):
        log.warning("notification_given_up", notification=claimed.id, error=said)


@service
def receiver_gone(claimed: Claimed, error: str) -> None:
    """Nothing more goes to this webhook until somebody sets its address again."""
    notice = _held(claimed).select_related("rule").first()
    if notice is None:
        return
    _give_up(notice, error)
    rules = AlertRule.objects.filter(pk=notice.rule_id, webhook_url=claimed.target, webhook_gone_at=None)
    if rules.update(webhook_gone_at=now()):
        audit.record(None, "alert_rule.webhook_gone", notice.rule)


@service
def give_back(claimed: Claimed) -> None:
    """The worker stops: another one sends it at once."""
    _held(claimed).update(next_attempt_at=now(), attempts=claimed.attempt - 1)


def _give_up(notice: Notification, error: str) -> None:
    Notification.objects.filter(pk=notice.pk).update(status=Status.GIVEN_UP, last_error=storable(error, ERROR_LENGTH))


def _held(claimed: Claimed) -> Any:
    return Notification.objects.filter(pk=claimed.id, status=Status.WAITING, attempts=claimed.attempt)
