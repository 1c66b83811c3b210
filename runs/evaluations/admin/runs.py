"""A run's page: what came of each case, beside what came of it with another version."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from unfold.decorators import display

from runs.evaluations import services
from runs.evaluations.admin.base import EvaluationPages
from runs.evaluations.checks import KINDS
from runs.evaluations.comparison import Change, Comparison, compare
from runs.evaluations.models import EvaluationResult, EvaluationRun
from sovereign.accounts.admin.base import page_of, visible
from sovereign.core import times
from sovereign.core.errors import ApiError

Status = EvaluationRun.Status
LABELS = {
    Status.QUEUED.label: "warning",
    Status.IN_PROGRESS.label: "info",
    Status.COMPLETED.label: "success",
    Status.CANCELLED.label: "default",
}
RESULT_LABELS = {
    EvaluationResult.Status.PASSED: "success",
    EvaluationResult.Status.FAILED: "danger",
    EvaluationResult.Status.ERROR: "warning",
}
CHANGE_LABELS = {Change.FIXED: "success", Change.BROKEN: "danger"}
SHOWN = 200  # cases on the page; what is broken comes first
OTHERS_SHOWN = 30
ORDER = (Change.BROKEN, Change.FIXED)


@admin.register(EvaluationRun)
class EvaluationRunAdmin(EvaluationPages):
    empty_words = "Begin one on the page of a set: every question is asked of a version, and every answer is judged."
    list_display = ("begun", "set", "assistant", "version_shown", "status_shown", "passed_shown", "rate")
    list_filter = ("status", "project")
    list_select_related = ("set", "assistant", "version", "project")
    search_fields = ("=id", "set__name", "=set__id", "assistant__name", "=assistant__id")
    search_help_text = "Evaluation, assistant, or id"
    ordering = ("-created_at", "-id")
    change_form_outer_after_template = "admin/evaluations/run.html"
    readonly_fields = (
        "set", "assistant", "version_shown", "status_shown", "passed_shown", "rate", "failed", "errored", "id",
        "project", "deployment_id", "created_at", "started_at", "ended_at",
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": (("set", "assistant"), ("version_shown", "status_shown"), ("passed_shown", "rate"))}),
        ("About", {"classes": ("collapse",), "fields": (
            ("id", "project", "deployment_id"), ("failed", "errored"), ("created_at", "started_at", "ended_at"))}),
    )  # fmt: skip

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # nothing of it is edited; it is cancelled by a button of its own

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return visible(request, super().get_queryset(request)).select_related("set", "assistant", "version")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.cancel_view)
        return [path("<path:object_id>/cancel/", view, name="evaluations_evaluationrun_cancel"), *super().get_urls()]

    # ------------------------------------------------------------------------------------- columns

    @admin.display(description="begun", ordering="created_at")
    def begun(self, run: EvaluationRun) -> str:
        return times.shown(run.created_at, seconds=True)

    @admin.display(description="version", ordering="version__number")
    def version_shown(self, run: EvaluationRun) -> str:
        return str(run.version)

    @display(description="status", label=LABELS, ordering="status")
    def status_shown(self, run: EvaluationRun) -> str:
        return str(run.get_status_display())

    @admin.display(description="passed")
    def passed_shown(self, run: EvaluationRun) -> str:
        return f"{run.passed} of {run.total}"

    @admin.display(description="pass rate")
    def rate(self, run: EvaluationRun) -> str:
        return "" if run.pass_rate is None else f"{run.pass_rate:.0%}"

    # ------------------------------------------------------------------------------------- its page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page; with ``?against=`` beside another run than the previous version's."""
        run = self.get_object(request, unquote(object_id))
        context = {**(extra_context or {})}
        if run is not None and self.has_view_permission(request, run):
            try:
                context |= self._shown(request, run)
            except ApiError as error:
                self.message_user(request, error.message, messages.ERROR)
                return HttpResponseRedirect(page_of(run))
        return super().change_view(request, object_id, form_url, context)

    def _shown(self, request: HttpRequest, run: EvaluationRun) -> dict[str, Any]:
        comparison = compare(
            principal=self.principal_for(request, run), run_id=run.pk, against=request.GET.get("against") or None
        )
        others = EvaluationRun.objects.filter(set=run.set).exclude(pk=run.pk).select_related("version", "assistant")
        return {
            "run": run,
            "against": comparison.against,
            "counts": [(Change(name).label if name in Change.values else "Gone", number)
                       for name, number in comparison.counts.items() if number],
            "rows": rows_of(comparison),
            "others": [(other.pk, f"{other.assistant}, {other.version}, {times.shown(other.created_at)}")
                       for other in visible(request, others).order_by("-created_at")[:OTHERS_SHOWN]],
            "may_cancel": not run.is_over and super().has_change_permission(request, run),
            "cancel_address": page_of(run, "cancel"),
        }  # fmt: skip

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        run = self.found(request, object_id)
        try:
            services.cancel_run(principal=self.principal_for(request, run), run_id=run.pk)
        except ApiError as error:
            return self.refused(request, run, "evaluation.cancel_run", error)
        self.message_user(request, "The run was called off.", messages.SUCCESS)
        return HttpResponseRedirect(page_of(run))


def rows_of(comparison: Comparison) -> list[dict[str, Any]]:
    """The cases as the page shows them: those that changed first."""
    results = list(comparison.run.results.order_by("position"))
    place = {change: number for number, change in enumerate(ORDER)}
    results.sort(key=lambda result: place.get(Change(comparison.change_of(result)), len(ORDER)))
    return [_row(comparison, result) for result in results[:SHOWN]]


def _row(comparison: Comparison, result: EvaluationResult) -> dict[str, Any]:
    before = comparison.before.get(result.case_id or "")
    changed = Change(comparison.change_of(result))
    return {
        "name": str(result),
        "asked": _said(result.case.get("messages", [])),
        "reference": result.case.get("reference", ""),
        "change": changed.label if comparison.against is not None and changed != Change.SAME else "",
        "change_label": CHANGE_LABELS.get(changed, "default"),
        "sides": [_side(each) for each in (before, result) if each is not None],
        "is_open": changed in ORDER or result.status in (EvaluationResult.Status.FAILED, EvaluationResult.Status.ERROR),
        "status": result.get_status_display(),
        "label": RESULT_LABELS.get(EvaluationResult.Status(result.status), "default"),
    }


def _side(result: EvaluationResult) -> dict[str, Any]:
    run = result.evaluation_run
    return {
        "title": str(run.version),
        "status": result.get_status_display(),
        "label": RESULT_LABELS.get(EvaluationResult.Status(result.status), "default"),
        "answer": result.answer,
        "error": result.error,
        "seconds": "" if result.milliseconds is None else f"{result.milliseconds / 1000:.2f} s",
        "verdicts": [
            {**verdict, "title": KINDS[verdict["type"]].title if verdict["type"] in KINDS else verdict["type"]}
            for verdict in result.verdicts
        ],
        "run": reverse("admin:runs_run_change", args=[quote(result.run_id)]) if result.run_id else "",
    }


def _said(said: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Role and text of each message."""
    return [(message["role"], _text(message["content"])) for message in said]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(part["text"] if part["type"] == "text" else f"[{part['type']}]" for part in content)
