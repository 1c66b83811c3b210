from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class AssistantQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> AssistantQuerySet:
        """The assistants of the principal's project."""
        return self.filter(project_id=principal.project_id)
