"""The pages of analytics. They stand beside the grades, which nobody edits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from assistants.admin.tabs import tabs
from assistants.admin.visible import visible_assistants
from assistants.models import Assistant
from runs.analytics import expectations, grading
from runs.analytics.admin import asked, drawn, words
from runs.analytics.admin.expected import ExpectationsForm
from runs.analytics.metrics import METRICS
from runs.analytics.models import Grade
from runs.analytics.reading import series_by
from runs.analytics.summary import Line, summarise
from runs.analytics.trends import find, read, trend
from sovereign.accounts import audit
from sovereign.accounts.admin.base import ProjectAdmin, principal_for, projects_allowing
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ANALYTICS_READ, ASSISTANTS_PROMOTE
from sovereign.core.errors import ApiError

SHOWN = 100  # assistants on the page of all
COLUMNS = [METRICS[name] for name in ("runs", "users", "error_rate", "response_p95", "tokens", "cost", "satisfaction")]
BY_GRADE = "grade"
LIST = "analytics_grade_changelist"


@admin.register(Grade)
class AnalyticsAdmin(ProjectAdmin):
    view_scope = ANALYTICS_READ
    sidebar_title = "Analytics"

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "assistant": ("of/<path:assistant_id>/", self.assistant_view),
            "expectations": ("expected/<str:project_id>/", self.expectations_view),
        }
        own = [
            path(route, self.admin_site.admin_view(view), name=f"analytics_{name}")
            for name, (route, view) in views.items()
        ]
        inner: list[URLPattern] = super().get_urls()  # of them only the list: a grade has no page, not even to be read
        return [*own, *(each for each in inner if each.name == LIST)]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(assistant_id__in=visible_assistants(request).values("pk"))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """``?project=&days=&sort=``: all assistants that the person sees, in one project."""
        projects = self._projects(request)
        if not projects:
            raise PermissionDenied
        project = next((one for one in projects if one.pk == request.GET.get("project")), projects[0])
        days, sort = asked.days_of(request), request.GET.get("sort", "")
        metric = METRICS[sort if sort in METRICS else "runs"]
        found = summarise(
            principal=principal_for(request, project.pk),
            window=asked.until_now(days),
            order_by=metric,
            limit=SHOWN,
            is_worst_first=sort == BY_GRADE,
        )
        context = {
            "title": "Analytics",
            "project": project,
            "projects": [(one.pk, str(one), one.pk == project.pk) for one in projects],
            "days": days,
            "windows": asked.windows(days),
            "sort": BY_GRADE if sort == BY_GRADE else metric.name,
            "columns": [(one.name, one.title) for one in COLUMNS],
            "lines": [_line(one) for one in found.lines],
            "all": [words.shown(one, one.value(found.total)) for one in COLUMNS],
            "left_out": found.assistants - len(found.lines),
            "expectations_address": reverse("admin:analytics_expectations", args=[project.pk]),
        }
        return self._page(request, "admin/analytics/overview.html", context)

    def assistant_view(self, request: HttpRequest, assistant_id: str) -> HttpResponse:
        """``?days=&version=&environment=&against=``: how one of them does, why, and beside another."""
        assistant = self._assistant(request, unquote(assistant_id))
        principal = self.principal_for(request, assistant)
        wanted = asked.asked_about(request, assistant)
        health = grading.judged(wanted.question, wanted.window)
        history = grading.history_of(principal=principal, assistant_id=assistant.pk, days=wanted.days)
        series = series_by(wanted.question, wanted.window, wanted.period, (), drawn.NEEDED).get((), [])
        context = {
            "title": f"How {assistant} does",
            "assistant": assistant,
            "tabs": tabs(request, assistant, "Analytics"),
            "address": reverse("admin:assistants_assistant_change", args=[quote(assistant.pk)]),
            "runs_address": f"{reverse('admin:runs_run_changelist')}?assistant_id={assistant.pk}",
            "expectations_address": reverse("admin:analytics_expectations", args=[assistant.project_id]),
            "asked": wanted,
            "health": health,
            "label": words.LABELS.get(health.grade or "", "default"),
            "metrics": _metrics(wanted),
            "charts": drawn.charts_of(series, wanted.period) if series else [],
            "grades": drawn.chart_of_grades(history),
            "history": history[::-1],
            "columns": [metric.title for metric in drawn.LISTED],
            "rows": drawn.table_of(series, wanted.period),
        }
        return self._page(request, "admin/analytics/assistant.html", context)

    def expectations_view(self, request: HttpRequest, project_id: str) -> HttpResponse:
        """``GET``: what is expected. ``POST``: something else is."""
        project = next((one for one in self._projects(request) if one.pk == project_id), None)
        if project is None:
            raise Http404("no such project")
        principal = principal_for(request, project.pk)
        is_sent = request.method == "POST"
        form = ExpectationsForm(expectations.get_standards(principal=principal), request.POST if is_sent else None)
        if is_sent and form.is_valid() and self._is_changed(request, principal, form):
            return HttpResponseRedirect(request.path)
        context = {
            "title": f"What {project} expects",
            "project": project,
            "form": form,
            "may_change": principal.allows(ASSISTANTS_PROMOTE),
            "list_address": f"{reverse('admin:analytics_grade_changelist')}?project={project.pk}",
        }
        return self._page(request, "admin/analytics/expectations.html", context)

    # ------------------------------------------------------------------------------------- helpers

    def _is_changed(self, request: HttpRequest, principal: Principal, form: ExpectationsForm) -> bool:
        try:
            expectations.change_standards(principal=principal, **form.given())
        except ApiError as error:
            audit.refused(principal, "expectations.update", "expectations", "", error)
            form.refuse(error)
            return False
        self.message_user(request, "Grades are made by this from now on.", messages.SUCCESS)
        return True

    def _assistant(self, request: HttpRequest, assistant_id: str) -> Assistant:
        """:raises Http404: unknown, or one of which the person may not see how it does."""
        assistant: Assistant | None = visible_assistants(request).filter(pk=assistant_id).first()
        if assistant is None or not self.has_view_permission(request, assistant):
            raise Http404("no such assistant")
        return assistant

    def _projects(self, request: HttpRequest) -> list[Project]:
        allowed = projects_allowing(request, ANALYTICS_READ)
        active = Project.objects.active().order_by("name", "pk")
        return list(active if allowed is None else active.filter(pk__in=allowed))

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
        return TemplateResponse(request, template, {**self.admin_site.each_context(request), **context})


def _line(line: Line) -> dict[str, Any]:
    name, args = asked.page_of(line.assistant_id)
    return {
        "name": line.name or line.assistant_id,
        "address": reverse(name, args=args),
        "grade": line.grade,
        "label": words.LABELS.get(line.grade.letter, "default") if line.grade else "",
        "values": [words.shown(metric, metric.value(line.measures)) for metric in COLUMNS],
    }


def _metrics(wanted: asked.Asked) -> list[dict[str, Any]]:
    """Every metric of which something is known: as it is, how it changed, and beside another's."""
    metrics = list(METRICS.values())
    now, before = (read(wanted.question, window, metrics) for window in (wanted.window, wanted.window.before))
    other = None if wanted.other is None else read(wanted.other[1], wanted.window, metrics)
    return [
        {
            "title": metric.title,
            "value": words.shown(metric, metric.value(now.whole)),
            "change": words.changed(metric, trend(metric, now, before)),
            "before": words.shown(metric, metric.value(before.whole)),
            "other": None if other is None else words.shown(metric, metric.value(other.whole)),
            "differs": "" if other is None else words.certainty(find(metric, now, other)),
        }
        for metric in metrics
        if metric.value(now.whole) is not None or (other is not None and metric.value(other.whole) is not None)
    ]
