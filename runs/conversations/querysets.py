from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Exists, OuterRef, QuerySet

from threads.models import Thread

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class ConversationQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> ConversationQuerySet:
        """Those whose threads the principal sees."""
        return self.filter(project_id=principal.project_id)._on(Thread.objects.visible_to(principal))

    def known_to(self, principal: Principal) -> ConversationQuerySet:
        """Those whose threads are known to the principal."""
        return self._on(Thread.objects.known_to(principal))

    def active(self) -> ConversationQuerySet:
        return self.filter(ended_at=None)

    def _on(self, threads: QuerySet[Any]) -> ConversationQuerySet:
        return self.filter(Exists(threads.filter(pk=OuterRef("thread_id")).order_by()))
