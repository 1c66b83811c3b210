from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Exists, OuterRef

from assistants.models import Assistant
from assistants.querysets import sees_all

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class RollupQuerySet(models.QuerySet[Any]):
    def of_project(self, project_id: str) -> RollupQuerySet:
        return self.filter(project_id=project_id)

    def known_to(self, principal: Principal) -> RollupQuerySet:
        """Without those of assistants that others keep to themselves."""
        if sees_all(principal):
            return self
        return self.exclude(Exists(Assistant.objects.hidden_from(principal).filter(pk=OuterRef("assistant_id"))))
