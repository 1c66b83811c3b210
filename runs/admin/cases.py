"""A run's answer becomes a case of an evaluation: one click on its page, or an action on the list."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from runs.evaluations import services
from runs.evaluations.models import EvaluationSet
from runs.models import Run
from sovereign.accounts import audit
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.scopes import EVALUATIONS_WRITE
from sovereign.core.errors import ApiError

SETS_SHOWN = 50


class MakesCases(ProjectAdmin):
    """Of the page of runs."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.case_view)
        return [path("<path:object_id>/case/", view, name="runs_run_case"), *super().get_urls()]

    def case_choices(self, request: HttpRequest, run: Run) -> dict[str, Any]:
        """The evaluations that a run's answer can be put into, for the template."""
        if not run.is_over or not self.allowed(request, EVALUATIONS_WRITE, run):
            return {}
        fitting = EvaluationSet.objects.open_to(self.principal_for(request, run), run.assistant_id).order_by(
            "name", "id"
        )
        return {
            "evaluation_sets": list(fitting.values_list("id", "name")[:SETS_SHOWN]),
            "case_address": reverse("admin:runs_run_case", args=[quote(run.pk)]),
        }

    def case_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Make a case of the run, in the set that ``evaluation`` names."""
        run = self.get_object(request, unquote(object_id))
        if run is None:
            raise Http404("no such run")
        if request.method != "POST" or not self.allowed(request, EVALUATIONS_WRITE, run):
            raise PermissionDenied
        page = HttpResponseRedirect(reverse("admin:runs_run_change", args=[quote(run.pk)]))
        principal = self.principal_for(request, run)
        try:
            case = services.case_from_run(principal=principal, set_id=request.POST.get("evaluation", ""), run_id=run.pk)
        except ApiError as error:
            audit.refused(principal, "evaluation.add_case", "run", run.pk, error)
            self.message_user(request, error.message, messages.ERROR)
            return page
        self.message_user(request, f"'{case}' is a case of '{case.set}' now.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:evaluations_evaluationcase_change", args=[quote(case.pk)]))

    def has_evaluate_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, EVALUATIONS_WRITE)

    @admin.action(description="Make cases of the newest evaluation of their assistant", permissions=["evaluate"])
    def make_cases(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        made = 0
        for run in queryset:
            principal = self.principal_for(request, run)
            try:
                sets = EvaluationSet.objects.visible_to(principal).filter(assistant_id=run.assistant_id)
                newest = sets.order_by("-created_at", "-id").first()
                if newest is None:
                    raise ApiError("Its assistant has no evaluation yet.")
                services.case_from_run(principal=principal, set_id=newest.pk, run_id=run.pk)
                made += 1
            except ApiError as error:
                audit.refused(principal, "evaluation.add_case", "run", run.pk, error)
                self.message_user(request, f"{run.pk}: {error.message}", messages.WARNING)
        self.message_user(request, f"{made} cases were made.", messages.SUCCESS)
