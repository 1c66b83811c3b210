from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q
from django.db.models.functions import Now

from assistants.models import Assistant
from runs.models import Run
from runs.states import ACTIVE as RUNNING
from runs.states import Status
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE

if TYPE_CHECKING:
    from sovereign.accounts.principals import Principal

#: of results, in the order they come to
OPEN = ("waiting", "running", "checking")
#: of runs
ACTIVE = ("queued", "in_progress")
#: of the runs that answer cases: they go on by themselves
AT_WORK = sorted(RUNNING - {Status.REQUIRES_ACTION})


class EvaluationSetQuerySet(models.QuerySet[Any]):
    def visible_to(self, principal: Principal) -> EvaluationSetQuerySet:
        """Those of the project, without those of assistants that others keep to themselves."""
        seen = Assistant.objects.visible_to(principal)
        return self.filter(Q(assistant=None) | Q(assistant__in=seen), project_id=principal.project_id)

    def open_to(self, principal: Principal, assistant_id: str | None) -> EvaluationSetQuerySet:
        """Those whose cases the principal may add to, of the assistant's and of those for every one: the cases of a
        gate are changed by those who promote."""
        fitting = self.visible_to(principal).filter(Q(assistant_id=assistant_id) | Q(assistant=None))
        return fitting if principal.allows(ASSISTANTS_PROMOTE) else fitting.filter(gates={})

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

    def with_something_to_do(self, places: int) -> EvaluationRunQuerySet:
        """Those that a step would change: an answer is there, a case can begin, or something was counted otherwise.

        :param places: cases of one run that are answered and checked at the same time.
        """
        answering = Run.objects.filter(pk=OuterRef("results__run_id"), status__in=AT_WORK)
        counted = self.annotate(
            waiting=Count("results", filter=Q(results__status="waiting")),
            busy=Count("results", filter=Q(results__status__in=("running", "checking"))),
            answered=Count("results", filter=Q(~Exists(answering), results__status="running")),
            ended=Count("results", filter=~Q(results__status__in=OPEN)),
        )
        return counted.filter(
            Q(answered__gt=0)
            | Q(waiting__gt=0, busy__lt=places)
            | Q(waiting=0, busy=0)
            | ~Q(ended=F("passed") + F("failed") + F("errored"))
        )


class EvaluationResultQuerySet(models.QuerySet[Any]):
    def open(self) -> EvaluationResultQuerySet:
        """Those that nothing came of yet."""
        return self.filter(status__in=OPEN)

    def to_be_checked(self) -> EvaluationResultQuerySet:
        """Answers that no living worker checks."""
        return self.filter(Q(lease_expires_at=None) | Q(lease_expires_at__lte=Now()), status="checking")
