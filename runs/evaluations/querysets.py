from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from assistants.models import Assistant

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal

#: of results, in the order they come to
OPEN = ("waiting", "running", "checking")
#: of runs
ACTIVE = ("queued", "in_progress")


class EvaluationSetQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> EvaluationSetQuerySet:
        """Those of the project, without those of assistants that others keep to themselves."""
        seen = Assistant.objects.visible_to(principal)
        return self.filter(Q(assistant=None) | Q(assistant__in=seen), project_id=principal.project_id)

    def gates_of(self, assistant_id: str, project_id: str) -> EvaluationSetQuerySet:
        """Those that may stand before a deployment of the assistant: its own, and those for every assistant."""
        sets = self.filter(Q(assistant_id=assistant_id) | Q(assistant=None), project_id=project_id)
        return sets.order_by("created_at", "id")


class EvaluationCaseQuerySet(models.QuerySet[Any]):
    def of(self, set_id: str) -> EvaluationCaseQuerySet:
        return self.filter(set_id=set_id).order_by("position")


class EvaluationRunQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> EvaluationRunQuerySet:
        """Those whose set and whose assistant the principal sees."""
        seen = Assistant.objects.visible_to(principal)
        return self.filter(
            Q(set__assistant=None) | Q(set__assistant__in=seen), assistant__in=seen, project_id=principal.project_id
        )

    def active(self) -> EvaluationRunQuerySet:
        return self.filter(status__in=ACTIVE)


class EvaluationResultQuerySet(models.QuerySet[Any]):
    def open(self) -> EvaluationResultQuerySet:
        """Those that nothing came of yet."""
        return self.filter(status__in=OPEN)

    def to_be_checked(self) -> EvaluationResultQuerySet:
        """Answers that no living worker checks."""
        return self.filter(Q(lease_expires_at=None) | Q(lease_expires_at__lte=Now()), status="checking")
