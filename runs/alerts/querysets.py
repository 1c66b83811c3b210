from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Exists, OuterRef, Q

from assistants.models import Assistant
from assistants.querysets import sees_all

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


def _about_what_is_seen(principal: Principal) -> Q:
    """Without what is about assistants that others keep to themselves; of one that was deleted everybody sees it."""
    if sees_all(principal):
        return Q()
    return Q(~Exists(Assistant.objects.hidden_from(principal).filter(pk=OuterRef("assistant_id"))))


class AlertRuleQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> AlertRuleQuerySet:
        return self.kept().filter(_about_what_is_seen(principal), project_id=principal.project_id)

    def kept(self) -> AlertRuleQuerySet:
        """Those that were not deleted."""
        return self.filter(deleted_at=None)

    def due(self, instant: datetime, pause: timedelta) -> AlertRuleQuerySet:
        """Those whose metric was not looked at for so long."""
        is_due = Q(looked_at=None) | Q(looked_at__lte=instant - pause)
        return self.kept().filter(is_due, is_enabled=True, project__archived_at=None)

    def without_assistant(self) -> AlertRuleQuerySet:
        """Those whose assistant was deleted."""
        there = Assistant.objects.filter(pk=OuterRef("assistant_id"))
        return self.kept().filter(~Exists(there), assistant_id__isnull=False)


class AlertQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> AlertQuerySet:
        return self.filter(_about_what_is_seen(principal), project_id=principal.project_id)

    def open(self) -> AlertQuerySet:
        return self.filter(resolved_at=None)


class NotificationQuerySet(models.QuerySet[Any]):
    def due(self, instant: datetime) -> NotificationQuerySet:
        """Those that wait, and that nobody is sending just now."""
        return self.filter(status="waiting", next_attempt_at__lte=instant)
