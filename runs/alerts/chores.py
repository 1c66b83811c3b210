"""What every worker does for alerts: it looks at the rules, sends what has to be sent, and forgets what is old."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.utils import timezone

from runs.alerts.measuring import Readings, is_up_to_date
from runs.alerts.models import Alert, AlertRule, Notification
from runs.alerts.rendering import NO_MAIL_SERVER
from runs.alerts.sending import SENT_AT_ONCE, NotSent, ReceiverGone, post_webhook, send_mail, signature
from runs.alerts.services import outbox, watching
from runs.alerts.services.outbox import Claimed
from runs.worker.chores import to_its_end
from sovereign.core.database import in_database, now

log = structlog.get_logger(__name__)

LOOK = 5.0  # seconds between two looks for rules that are due
TELL = 60.0  # seconds between two complaints to the log
NEXT = 0.5  # seconds, after which it is looked for more to send
FORGET = 600.0  # seconds
KEPT = timedelta(days=180)  # alerts that are over, and rules that were deleted
TESTS_KEPT = timedelta(days=7)
FORGOTTEN_AT_ONCE = 100  # in one transaction: SQLite has one writer
BROKEN = "It could not be sent because of an error of this server, which its log tells."


async def watch_rules() -> None:
    """Compare what is due with its threshold."""
    await to_its_end(look)
    await asyncio.sleep(LOOK)


def look() -> None:
    """One look. What is counted late is no reason to say that all is well, nor that it is not."""
    instant = now()
    if not is_up_to_date(instant):
        return
    rules = watching.take_due()
    gone, open_alerts = watching.without_assistant(rules), watching.open_alerts(rules)
    readings = Readings(instant)
    for rule in rules:
        try:
            if rule.pk in gone:
                watching.retire(rule.pk, watching.ASSISTANT_GONE)
                continue
            reading = readings.of(rule)
            if not watching.is_settled(rule, open_alerts.get(rule.pk), reading):
                watching.settle(rule, reading)
        except (OperationalError, InterfaceError):
            raise  # the database, not the rule
        except Exception:  # one that cannot be looked at must not keep the others
            log.exception("alert_rule_not_looked_at", rule=rule.pk)


async def tell_when_behind() -> None:
    """Say it to the log, too: while counting is behind no rule is looked at, and nobody hears of anything."""
    await to_its_end(say_if_behind)
    await asyncio.sleep(TELL)


def say_if_behind() -> None:
    if not is_up_to_date(now()):
        log.warning("alert_rules_not_looked_at", reason="counting is behind")


# ------------------------------------------------------------------------------------- sending


async def send_notifications() -> None:
    """Send as long as there is something: where one receiver is slow, others take turns in the places beside it."""
    in_hand: dict[asyncio.Task[None], Claimed] = {}
    await _fill(in_hand)
    try:
        while in_hand:
            done, _ = await asyncio.wait(in_hand, timeout=NEXT, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del in_hand[task]
                task.result()
            await _fill(in_hand)
    finally:
        for task in in_hand:
            task.cancel()
        await asyncio.gather(*in_hand, return_exceptions=True)


async def _fill(in_hand: dict[asyncio.Task[None], Claimed]) -> None:
    """Begin to send as many more as there are places for."""
    if (free := SENT_AT_ONCE - len(in_hand)) < 1:
        return
    by_project = Counter(claimed.project_id for claimed in in_hand.values())
    for claimed in await in_database(outbox.claim, free, by_project):
        in_hand[asyncio.create_task(_send(claimed), name="notification")] = claimed


async def _send(claimed: Claimed) -> None:
    try:
        await (_post(claimed) if claimed.channel == Notification.Channel.WEBHOOK else _mail(claimed))
    except asyncio.CancelledError:
        await in_database(outbox.give_back, claimed)
        raise
    except ReceiverGone as gone:
        await in_database(outbox.receiver_gone, claimed, str(gone))
    except NotSent as refused:
        await in_database(outbox.failed, claimed, str(refused))
    except Exception:
        log.exception("notification_not_sent", notification=claimed.id)
        await in_database(outbox.failed, claimed, BROKEN)
    else:
        await in_database(outbox.sent, claimed)


async def _post(claimed: Claimed) -> None:
    body = orjson.dumps(claimed.body)
    timestamp = str(int(timezone.now().timestamp()))
    headers = {
        "webhook-id": claimed.id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(claimed.secret, claimed.id, timestamp, body),
    }
    await post_webhook(claimed.target, body, headers, inner_network=settings.SOVEREIGN.alerts_inner_network)


async def _mail(claimed: Claimed) -> None:
    if not settings.SOVEREIGN.email_url:
        raise NotSent(NO_MAIL_SERVER)
    subject, text = mail_of(claimed.body)
    await send_mail(claimed.target, subject, text, f"<{claimed.id}@{settings.SOVEREIGN.public_host}>")


def mail_of(body: dict[str, Any]) -> tuple[str, str]:
    """Subject and text of a mail; a name becomes one line, whatever it was."""
    told = body["data"]
    event = Notification.Event(body["type"])
    name = " ".join(told["rule"]["name"].split())
    subject = f"[Sovereign] {told['severity'].capitalize()}: {name} ({event.label.lower()})"
    lines = [told["message"], "", f"Rule: {name}", f"Project: {told['project']['name']}", "", told["url"]]
    return subject, "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------- forgetting


async def forget() -> None:
    """Take away what was over long ago."""
    await to_its_end(forget_old)
    await asyncio.sleep(FORGET)


def forget_old() -> None:
    """What hangs on something goes before it, so that each piece stays small."""
    instant = now()
    watching.retire_all()
    for old in (
        Notification.objects.filter(alert__resolved_at__lt=instant - KEPT),
        Alert.objects.filter(resolved_at__lt=instant - KEPT),
        Notification.objects.filter(alert=None, created_at__lt=instant - TESTS_KEPT),
        AlertRule.objects.filter(deleted_at__lt=instant - KEPT),
    ):
        _forget_in_pieces(old)


def _forget_in_pieces(old: QuerySet[Any]) -> None:
    while pks := list(old.order_by().values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]):
        old.model.objects.filter(pk__in=pks).delete()
