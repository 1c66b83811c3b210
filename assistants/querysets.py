from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q

from sovereign.accounts.scopes import ASSISTANTS_PROMOTE

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal


def sees_all(principal: Principal) -> bool:
    """Whether nothing is private to others: for administrators, and the product itself (no person's, and no key)."""
    return principal.allows(ASSISTANTS_PROMOTE) or (principal.user_id is None and principal.key_id is None)


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

    def hidden_from(self, principal: Principal) -> AssistantQuerySet:
        """Those of the project that others keep to themselves; see :func:`sees_all`."""
        assistants = self.filter(project_id=principal.project_id, visibility="private")
        if principal.user_id is not None:
            assistants = assistants.exclude(created_by_user=principal.user_id)
        if principal.key_id is not None:
            assistants = assistants.exclude(created_by_key=principal.key_id)
        return assistants


class OfProject(models.QuerySet[Any]):
    """Rows of an assistant: who sees them has asked for the assistant before."""

    def visible_to(self, principal: Principal) -> OfProject:
        return self.filter(project_id=principal.project_id)

    def of(self, assistant_id: str) -> OfProject:
        return self.filter(assistant_id=assistant_id)


class DeploymentQuerySet(OfProject):
    def in_service(self, assistant_id: str, environment: str) -> DeploymentQuerySet:
        """The active deployment and the canary beside it, if there are."""
        return self.filter(assistant_id=assistant_id, environment=environment, status__in=("active", "canary"))
