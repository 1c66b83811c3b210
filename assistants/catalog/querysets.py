from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class CatalogQuerySet(models.QuerySet[Any]):
    """Rows that belong to a project: functions and MCP servers."""

    def visible_to(self, principal: Principal) -> CatalogQuerySet:
        """The rows of the principal's project."""
        return self.filter(project_id=principal.project_id)
