"""The vocabulary of the registry's queries."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from inference.models import Engine, ModelPull, StoredCompletion, UsageRecord  # noqa: F401
    from sovereign.accounts.principals import Principal

#: a supervised engine is ended by its guard after 60 s without a supervisor: older rows describe nothing
SUPERVISOR_GONE = timedelta(seconds=75)


class EngineQuerySet(models.QuerySet["Engine"]):
    def supervised(self) -> Self:
        return self.filter(provider=None)

    def of_providers(self) -> Self:
        """Engines that others run."""
        return self.filter(provider__enabled=True).select_related("provider")

    def usable_by(self, project_id: str | None) -> Self:
        """Those that a project may send its words to; ``None`` is the house itself, which may use all of them."""
        everybodys = Q(provider=None) | Q(provider__enabled=True, provider__all_projects=True)
        if project_id is None:
            return self.filter(Q(provider=None) | Q(provider__enabled=True))
        granted = self.model._default_manager.filter(provider__enabled=True, provider__projects=project_id)
        return self.filter(everybodys | Q(pk__in=granted.values("pk")))

    def ready(self, now: datetime) -> Self:
        """Engines that may be sent requests: told ready, and not forgotten by a supervisor that died."""
        return self.filter(state="ready").exclude(Q(provider=None) & Q(heartbeat_at__lt=now - SUPERVISOR_GONE))


class PullQuerySet(models.QuerySet["ModelPull"]):
    def active(self) -> Self:
        """Those that are not over."""
        return self.filter(status__in=["queued", "in_progress"])


class UsageQuerySet(models.QuerySet["UsageRecord"]):
    def visible_to(self, principal: Principal) -> Self:
        return self.filter(project_id=principal.project_id)

    def between(self, first: date, last: date) -> Self:
        """Of these days (UTC), both included."""
        return self.filter(day__gte=first, day__lte=last)


class StoredCompletionQuerySet(models.QuerySet["StoredCompletion"]):
    def visible_to(self, principal: Principal) -> Self:
        return self.filter(project_id=principal.project_id)
