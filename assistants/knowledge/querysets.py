from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class ProjectQuerySet(models.QuerySet[Any]):
    """Rows that belong to a project: files, uploads, vector stores."""

    def visible_to(self, principal: Principal) -> ProjectQuerySet:
        """The rows of the principal's project."""
        return self.filter(project_id=principal.project_id)
