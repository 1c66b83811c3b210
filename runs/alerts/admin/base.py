"""What the pages of alerts have in common."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from runs.alerts.models import Alert, AlertRule, Notification
from runs.alerts.rendering import shown_target
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.scopes import ALERTS_WRITE, ANALYTICS_READ

NOTICES_SHOWN = 20
SEVERITY_LABELS = {AlertRule.Severity.WARNING.label: "warning", AlertRule.Severity.CRITICAL.label: "danger"}
STATE_LABELS = {
    Alert.State.FIRING.label: "danger",
    Alert.State.ACKNOWLEDGED.label: "warning",
    Alert.State.RESOLVED.label: "success",
}
STATUS_LABELS = {
    Notification.Status.WAITING: "warning",
    Notification.Status.SENT: "success",
    Notification.Status.GIVEN_UP: "danger",
}


def notices_of(notices: QuerySet[Any]) -> list[dict[str, Any]]:
    """The newest of what was sent, for a page."""
    return [
        {
            "event": notice.get_event_display(),
            "target": shown_target(notice),
            "status": notice.get_status_display(),
            "label": STATUS_LABELS[notice.status],
            "attempts": notice.attempts,
            "made": notice.created_at,
            "next": notice.next_attempt_at if notice.status == Notification.Status.WAITING else None,
            "error": notice.last_error,
        }
        for notice in notices.order_by("-created_at", "-id")[:NOTICES_SHOWN]
    ]


class AlertPages(ProjectAdmin):
    """Who may see them, and who may change them."""

    view_scope = ANALYTICS_READ
    change_scope = ALERTS_WRITE
