from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q

from sovereign.accounts.scopes import ASSISTANTS_PROMOTE

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


class AssistantQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> AssistantQuerySet:
        """The assistants of the principal's project, without those that others keep to themselves."""
        assistants = self.filter(project_id=principal.project_id)
        if principal.allows(ASSISTANTS_PROMOTE):
            return assistants
        theirs = Q(visibility="project")
        if principal.user_id is not None:
            theirs |= Q(created_by_user=principal.user_id)
        if principal.key_id is not None:
            theirs |= Q(created_by_key=principal.key_id)
        return assistants.filter(theirs)


class OfProject(models.QuerySet[Any]):
    """Rows of an assistant: who sees them has asked for the assistant before."""

    def visible_to(self, principal: Principal) -> OfProject:
        return self.filter(project_id=principal.project_id)

    def of(self, assistant_id: str) -> OfProject:
        return self.filter(assistant_id=assistant_id)


class AssistantVersionQuerySet(OfProject):
    pass


class PromptLinkQuerySet(OfProject):
    pass


class DeploymentQuerySet(OfProject):
    def in_service(self, assistant_id: str, environment: str) -> DeploymentQuerySet:
        """The active deployment and the canary beside it, if there are."""
        return self.filter(assistant_id=assistant_id, environment=environment, status__in=("active", "canary"))
