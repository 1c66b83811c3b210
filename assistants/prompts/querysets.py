from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class PromptQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> PromptQuerySet:
        return self.filter(project_id=principal.project_id)


class PromptVersionQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> PromptVersionQuerySet:
        return self.filter(prompt__project_id=principal.project_id)
