"""What is wrong just now, as far as a person may see it: told where they come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from runs.alerts.models import Alert, AlertRule

SHOWN = 10
LABELS = {Alert.State.FIRING: "danger", Alert.State.ACKNOWLEDGED: "warning"}


@dataclass(frozen=True, slots=True)
class Open:
    """Some of the alerts that are not over, and how many there are."""

    shown: list[dict[str, Any]]
    count: int

    @property
    def more(self) -> int:
        return self.count - len(self.shown)


def open_alerts(request: HttpRequest) -> Open:
    """Those that are not over: the critical ones first, and of each kind the newest."""
    page = admin.site._registry.get(Alert)
    if page is None or not page.has_module_permission(request):
        return Open([], 0)
    alerts = page.get_queryset(request).filter(resolved_at=None)
    critical = alerts.annotate(is_critical=Q(severity=AlertRule.Severity.CRITICAL))
    shown = [
        {
            "address": reverse("admin:alerts_alert_change", args=[alert.pk]),
            "begun": alert.created_at,
            "state": alert.get_state_display(),
            "label": LABELS[alert.state],
            "is_critical": alert.is_critical,
            "sentence": alert.sentence,
        }
        for alert in critical.order_by("-is_critical", "-created_at", "-id")[:SHOWN]
    ]
    return Open(shown, alerts.count() if len(shown) == SHOWN else len(shown))
