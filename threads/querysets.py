from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q

from sovereign.accounts.scopes import CONVERSATIONS_READ

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class ThreadQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> ThreadQuerySet:
        """The project's threads, less the chats of other people unless the role may read those."""
        threads = self.filter(project_id=principal.project_id)
        if principal.allows(CONVERSATIONS_READ):
            return threads
        nobodys = Q(owner_id__isnull=True)
        return threads.filter(nobodys if principal.user_id is None else nobodys | Q(owner_id=principal.user_id))

    def owned_by(self, user_id: int) -> ThreadQuerySet:
        """The chats a person began."""
        return self.filter(owner_id=user_id)


class MessageQuerySet(models.QuerySet[Any]):
    def of_thread(self, thread_id: str) -> MessageQuerySet:
        return self.filter(thread_id=thread_id)
