"""Whether those whom a rule names are reached: tried before it matters."""

from __future__ import annotations

from datetime import timedelta

from runs.alerts.models import Notification
from runs.alerts.services import outbox
from runs.alerts.services.rules import locked_rule
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.core.database import now, service
from sovereign.core.errors import ApiError

PAUSE = timedelta(seconds=60)  # between two tests of a rule: nobody's mailbox is filled by them
HOUR = timedelta(hours=1)
MOST_OF_PROJECT = 60  # that are sent in an hour: a rule is soon made anew, and its addresses are anybody's
NOBODY = "The rule names nobody who could be told."


@service
def try_rule(*, principal: Principal, rule_id: str) -> list[Notification]:
    """Send a test to everybody whom the rule names.

    :returns: what is sent; what becomes of it stands in the list of the rule's notifications.
    :raises ApiError: 404; 400 ``nobody_to_tell``; 400 ``tested_just_now``; 400 ``tested_too_often``.
    """
    rule = locked_rule(principal=principal, rule_id=rule_id)
    tests = Notification.objects.filter(rule__project_id=rule.project_id, event=Notification.Event.TEST)
    if tests.filter(rule=rule, created_at__gt=now() - PAUSE).exists():
        raise ApiError(
            f"The rule was tested less than {PAUSE.seconds} seconds ago.", code="tested_just_now"
        )  # fmt: skip
    if tests.filter(created_at__gt=now() - HOUR).count() >= MOST_OF_PROJECT:
        raise ApiError(
            f"A project sends at most {MOST_OF_PROJECT} tests within an hour.", code="tested_too_often"
        )  # fmt: skip
    notices = outbox.announce(rule, Notification.Event.TEST, f"A test of the rule '{rule.name}': nothing is wrong.")
    if not notices:
        raise ApiError(NOBODY, code="nobody_to_tell")
    audit.record(principal, "alert_rule.tested", rule)
    return notices
