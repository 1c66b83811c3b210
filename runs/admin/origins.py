"""What made a run's answer, and what was said of it: the version, where it was deployed, its prompts, thumbs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import Exists, OuterRef, QuerySet, Subquery, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from assistants.kinds import Environment
from assistants.models import AssistantVersion, Deployment
from assistants.prompts.models import Prompt
from runs.models import Feedback, Run, RunConfiguration
from sovereign.accounts.admin.base import ProjectAdmin, projects_allowing
from sovereign.accounts.models import ApiKey, User
from sovereign.accounts.scopes import CONVERSATIONS_READ, PROMPTS_READ

NONE = "none"  # as a filter's address says it
DRAFT = "the draft"
RATED: dict[str, dict[str, Any]] = {
    "up": {"rating": Feedback.Rating.UP},
    "down": {"rating": Feedback.Rating.DOWN},
    "commented": {"comment__gt": ""},
}


class EnvironmentFilter(admin.SimpleListFilter):
    title = "environment"
    parameter_name = "environment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*Environment.choices, (NONE, "None")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(environment=None if self.value() == NONE else self.value())


class RatingFilter(admin.SimpleListFilter):
    title = "feedback"
    parameter_name = "feedback"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("up", "Good"), ("down", "Bad"), ("commented", "With a comment"), (NONE, "None")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        said = Feedback.objects.standing().filter(run=OuterRef("pk"))
        if self.value() == NONE:
            return queryset.filter(~Exists(said))
        wanted = RATED.get(self.value() or "")
        return queryset.filter(Exists(said.filter(**wanted))) if wanted else queryset


class PromptFilter(admin.SimpleListFilter):
    """The runs whose instructions a version of a prompt made: shown where an address asks for one."""

    title = "version of a prompt"
    parameter_name = "prompt_version"

    def __init__(self, request: HttpRequest, params: dict[str, Any], *others: Any) -> None:
        self.asked = (params.get(self.parameter_name) or [""])[-1]
        super().__init__(request, params, *others)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(self.asked, self.asked)] if self.asked else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        configurations, prompt = RunConfiguration.objects.all(), Prompt.objects.filter(versions=self.value()).first()
        projects = {prompt.project_id} if prompt is not None else projects_allowing(request, CONVERSATIONS_READ)
        if projects is not None:  # the texts of others are not even looked through
            queryset, configurations = (rows.filter(project__in=projects) for rows in (queryset, configurations))
        written = configurations.annotate(text=Cast("data", TextField()))
        return queryset.filter(configuration__in=written.filter(text__contains=f'"{self.value()}"'))


class Origins(ProjectAdmin):
    """Columns of runs; the list and the page have them alike."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        version = AssistantVersion.objects.filter(pk=OuterRef("version_id")).values("number")[:1]
        return super().get_queryset(request).annotate(version_number=Subquery(version))

    @admin.display(description="version", ordering="version_number")
    def its_version(self, run: Any) -> str:
        if run.version_id is None:
            return DRAFT
        if run.version_number is None:
            return f"{run.version_id} (deleted)"
        if run.assistant_name is None:  # not theirs to see
            return f"version {run.version_number}"
        address = reverse("admin:assistants_assistant_version", args=[quote(run.assistant_id), run.version_number])
        return format_html('<a class="sv-link" href="{}">version {}</a>', address, run.version_number)

    @admin.display(description="environment", ordering="environment")
    def its_environment(self, run: Run) -> str:
        return str(Environment(run.environment).label) if run.environment else "–"

    @admin.display(description="deployment")
    def its_deployment(self, run: Run) -> str:
        if run.deployment_id is None:
            return "–"
        found = Deployment.objects.filter(pk=run.deployment_id).first()
        state = found.get_status_display() if found is not None else "Deleted"
        address = f"{reverse('admin:runs_run_changelist')}?deployment_id={quote(run.deployment_id)}"
        return format_html('{} ({}) <a class="sv-link" href="{}">all its runs</a>', run.deployment_id, state, address)


def origin(request: HttpRequest, run: Run) -> dict[str, Any]:
    """For the page's template: ``prompts`` and ``feedback``."""
    return {"prompts": _prompts(request, run), "feedback": _feedback(run)}


def _prompts(request: HttpRequest, run: Run) -> list[dict[str, Any]]:
    """Those that made the instructions, as they are frozen, with the pages that the person may open."""
    used = run.configuration.data.get("prompts") or []
    projects = projects_allowing(request, PROMPTS_READ)
    rows = Prompt.objects.filter(pk__in=[prompt["prompt"] for prompt in used], project_id=run.project_id)
    there = set(rows.values_list("pk", flat=True)) if projects is None or run.project_id in projects else set()
    runs = reverse("admin:runs_run_changelist")
    return [
        {
            **prompt,
            "address": reverse("admin:prompts_prompt_change", args=[quote(prompt["prompt"])])
            if prompt["prompt"] in there
            else "",
            "runs": f"{runs}?{PromptFilter.parameter_name}={prompt['version']}",
        }
        for prompt in used
    ]


def _feedback(run: Run) -> list[dict[str, Any]]:
    """``{"is_good", "who", "comment", "at"}``, the newest first."""
    said = list(Feedback.objects.standing().filter(run=run))
    people = dict(
        User.objects.filter(pk__in=[row.user_id for row in said if row.user_id]).values_list("pk", "username")
    )
    keys = dict(ApiKey.objects.filter(pk__in=[row.key_id for row in said if row.key_id]).values_list("pk", "name"))
    return [
        {
            "is_good": row.rating == Feedback.Rating.UP,
            "who": people.get(row.user_id or 0) or keys.get(row.key_id or "") or row.key_id or f"user {row.user_id}",
            "comment": row.comment,
            "at": row.updated_at,
        }
        for row in said
    ]
