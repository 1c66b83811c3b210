from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import BooleanField, Exists, ExpressionWrapper, F, OuterRef, Q

from sovereign.accounts.models import Membership

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class SharedLinkQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> SharedLinkQuerySet:
        """Those that the person made: others see none, whatever their role."""
        return self.filter(project_id=principal.project_id, created_by_id=principal.user_id)

    def in_force(self) -> SharedLinkQuerySet:
        """Those that open something."""
        return self.filter(_opens())

    def backed(self) -> SharedLinkQuerySet:
        """With ``is_in_force``: whether it opens something."""
        return self.annotate(is_in_force=ExpressionWrapper(_opens(), BooleanField()))


def _opens() -> Q:
    """Not revoked, of a thread that stands, whose owner is still of the project, where links are allowed."""
    members = Membership.objects.in_force()
    owner = members.filter(project_id=OuterRef("project_id"), user_id=OuterRef("created_by_id"))
    standing = Q(revoked_at=None, thread__trashed_at=None, thread__owner_id=F("created_by_id"))
    return standing & Q(project__allows_shared_links=True) & Q(Exists(owner))
