from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import models
from django.db.models import Exists, OuterRef, Q

from assistants.querysets import sees_all
from sovereign.accounts.scopes import CONVERSATIONS_READ

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class ThreadQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> ThreadQuerySet:
        """The project's :meth:`standing` threads that are :meth:`known_to` the principal, less the chats of other
        people and of visitors unless the role may read those; a visitor has their own."""
        threads = self.standing().filter(project_id=principal.project_id).known_to(principal)
        if principal.visitor_id is not None:
            return threads.filter(visitor_id=principal.visitor_id)
        if principal.allows(CONVERSATIONS_READ):
            return threads
        nobodys = Q(owner_id__isnull=True, visitor_id__isnull=True)
        return threads.filter(nobodys if principal.user_id is None else nobodys | Q(owner_id=principal.user_id))

    def known_to(self, principal: Principal) -> ThreadQuerySet:
        """Without those that were made to try an assistant that others keep to themselves."""
        return self if sees_all(principal) else self.exclude(_tries_unknown_to(principal))

    def owned_by(self, user_id: int) -> ThreadQuerySet:
        """The chats a person began."""
        return self.filter(owner_id=user_id)

    def standing(self) -> ThreadQuerySet:
        """Without those in the trash: but for who takes them out of it, there are none."""
        return self.filter(trashed_at=None)

    def of_family(self, family: str) -> ThreadQuerySet:
        """A thread and all its branches, and theirs."""
        return self.filter(Q(pk=family) | Q(family=family))


@lru_cache(maxsize=4_096)
def _tries_unknown_to(principal: Principal) -> Q:
    run: Any = apps.get_model("runs", "Run")  # of the room above
    return Q(Exists(run.objects.tried().filter(thread=OuterRef("pk")).unknown_to(principal)))


class MessageQuerySet(models.QuerySet[Any]):
    def of_thread(self, thread_id: str) -> MessageQuerySet:
        return self.filter(thread_id=thread_id)
