"""What tools were used: every call that was carried out here, to be read by those who see a project's usage."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from assistants.models import Assistant
from runs.admin.calls import LABELS
from runs.models import ToolUse
from runs.outcomes import Outcome
from sovereign.accounts.admin.base import ProjectAdmin, projects_allowing
from sovereign.accounts.models import ApiKey, User
from sovereign.accounts.scopes import USAGE_READ
from sovereign.core import times

ASSISTANTS_OFFERED = 200
COLOURS = {outcome.label: LABELS.get(outcome, "warning") for outcome in Outcome}


class AssistantFilter(admin.SimpleListFilter):
    """The assistants of the projects whose usage the person may see."""

    title = "assistant"
    parameter_name = "assistant_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        projects = projects_allowing(request, USAGE_READ)
        own = Assistant.objects.all() if projects is None else Assistant.objects.filter(project_id__in=projects)
        return [(row.pk, str(row)) for row in own.order_by("name", "id")[:ASSISTANTS_OFFERED]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(assistant_id=self.value()) if self.value() else queryset


@admin.register(ToolUse)
class ToolUseAdmin(ProjectAdmin):
    view_scope = USAGE_READ
    empty_words = "Every tool that an assistant uses stands here, with how long it took and how it ended."
    list_display = ("ended", "tool", "kind", "outcome_shown", "timing", "assistant", "its_run", "by")
    list_filter = ("kind", "outcome", AssistantFilter, "created_at", "project")
    list_select_related = ("project",)
    search_fields = ("=id", "=call_id", "=run_id", "=thread_id", "=assistant_id", "=key_id", "=tool")
    search_help_text = "Name of a tool, or id of a call, run, thread, assistant or key"
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": (("ended", "outcome_shown"), ("tool", "kind"), "timing")}),
        ("Who", {"fields": ("project", "by")}),
        ("What for", {"fields": ("assistant", "its_run", "thread_id", "step_id", "call_id", "id")}),
    )
    readonly_fields = (
        "ended", "outcome_shown", "tool", "kind", "timing", "project", "by", "assistant", "its_run", "thread_id",
        "step_id", "call_id", "id",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        assistant = Assistant.objects.filter(pk=OuterRef("assistant_id")).values("name")[:1]
        person = User.objects.filter(pk=OuterRef("user_id")).values("username")[:1]
        key = ApiKey.objects.filter(pk=OuterRef("key_id")).values("name")[:1]
        named = {"assistant_name": Subquery(assistant), "person": Subquery(person), "key_name": Subquery(key)}
        return super().get_queryset(request).annotate(**named)

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        return lookup == "run_id" or bool(super().lookup_allowed(lookup, value, request))

    @admin.display(description="ended", ordering="created_at")
    def ended(self, use: ToolUse) -> str:
        return times.shown(use.created_at, seconds=True)

    @display(description="outcome", label=COLOURS, ordering="outcome")
    def outcome_shown(self, use: ToolUse) -> str:
        return str(Outcome(use.outcome).label)

    @admin.display(description="time", ordering="milliseconds")
    def timing(self, use: ToolUse) -> str:
        return f"{use.milliseconds / 1000:.3f} s"

    @admin.display(description="assistant", ordering="assistant_id")
    def assistant(self, use: Any) -> str:
        return use.assistant_name or use.assistant_id or "–"

    @admin.display(description="run", ordering="run_id")
    def its_run(self, use: ToolUse) -> str:
        if not use.run_id:
            return "–"
        address = reverse("admin:runs_run_change", args=[quote(use.run_id)])
        return format_html('<a class="sv-link" href="{}">See the run</a>', address)

    @admin.display(description="for")
    def by(self, use: Any) -> str:
        return use.person or use.key_name or use.key_id or (f"user {use.user_id}" if use.user_id else "–")
