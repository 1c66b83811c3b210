from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from sovereign.core.database import now

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class QueuedMessageQuerySet(models.QuerySet[Any]):
    def of(self, principal: Principal, thread_id: str) -> QueuedMessageQuerySet:
        """What a person has waiting on a thread, in the order in which it is sent."""
        own = self.filter(project_id=principal.project_id, user_id=principal.user_id, thread_id=thread_id)
        return own.order_by("position", "id")

    def due(self) -> QueuedMessageQuerySet:
        """The first of each thread that is free, as far as nothing is known to hold it.

        What was held because of how an answer ended is looked at again once another one has come to its end; what a
        limit refused, once it has waited for that.
        """
        earlier = self.model.objects.filter(thread=OuterRef("thread"), position__lt=OuterRef("position"))
        is_over = Q(hold__in=self.model.OF_ANSWER, thread__last_activity_at__gt=F("held_at"))
        has_waited = Q(hold=self.model.OF_LIMIT, not_before__lte=now())
        free = self.filter(thread__active_run_id=None, thread__trashed_at=None)
        return free.filter(Q(hold="") | is_over | has_waited).exclude(Exists(earlier))
