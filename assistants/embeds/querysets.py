from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class EmbedKeyQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> EmbedKeyQuerySet:
        return self.filter(project_id=principal.project_id)

    def in_force(self, at: datetime) -> EmbedKeyQuerySet:
        """Neither revoked, nor the key behind it, and of a project that is not archived."""
        unended = Q(api_key__expires_at=None) | Q(api_key__expires_at__gt=at)
        return self.filter(unended, revoked_at=None, api_key__revoked_at=None, project__archived_at=None)

    def showing(self, at: datetime) -> EmbedKeyQuerySet:
        """In force, and of an assistant that its maker does not keep to themselves."""
        return self.in_force(at).filter(assistant__visibility="project")


class VisitorQuerySet(models.QuerySet[Any]):
    def in_force(self, at: datetime) -> VisitorQuerySet:
        return self.filter(expires_at__gt=at)
