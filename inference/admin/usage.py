"""What model calls took: every one of them, and what they add up to. Read by those who may see a project's usage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.dateparse import parse_date
from unfold.decorators import action

from inference import usage
from inference.models import UsageRecord
from inference.usage import BY, Total
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.models import ApiKey, Project
from sovereign.accounts.scopes import USAGE_READ
from sovereign.core import times
from sovereign.core.database import now

LINES = 500  # groups that are shown
DAYS = 30  # back from today, where no days are chosen
NANO_UNITS = 10**9
NAMED: dict[str, type[Project] | type[ApiKey]] = {"project": Project, "key": ApiKey}


@admin.register(UsageRecord)
class UsageAdmin(ProjectAdmin):
    view_scope = USAGE_READ
    empty_words = "Every call of a model stands here, with its tokens and what it cost."
    project_path = "project_id"
    list_display = ("at", "model", "provider", "outcome", "tokens", "cost_shown", "timing", "key", "project")
    list_filter = ("model", "provider", "outcome", "purpose", "day")
    search_fields = ("=id", "=run_id", "=thread_id", "=assistant_id", "=key_id", "=user_id", "model", "asked")
    search_help_text = "Id of a call, run, thread, assistant, key or person, or a model"
    ordering = ("-created_at", "-id")
    actions_list = ("totals",)
    fieldsets = (
        (None, {"fields": (("at", "outcome"), ("asked", "model", "provider"), ("tokens", "cost_shown"), "timing")}),
        ("Who", {"fields": ("project", "key", "user_id", "purpose")}),
        ("What for", {"fields": ("assistant_id", "thread_id", "run_id", "engine_id", "id")}),
    )
    readonly_fields = (
        *("at", "outcome", "asked", "model", "provider", "tokens", "cost_shown", "timing", "project", "key"),
        *("user_id", "purpose", "assistant_id", "thread_id", "run_id", "engine_id", "id"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        project = Project.objects.filter(pk=OuterRef("project_id")).values("name")[:1]
        key = ApiKey.objects.filter(pk=OuterRef("key_id")).values("name")[:1]
        return super().get_queryset(request).annotate(project_name=Subquery(project), key_name=Subquery(key))

    @admin.display(description="ended", ordering="created_at")
    def at(self, row: UsageRecord) -> str:
        return times.shown(row.created_at, seconds=True)

    @admin.display(description="tokens")
    def tokens(self, row: UsageRecord) -> str:
        cached = f", {row.cached_tokens} cached" if row.cached_tokens else ""
        return f"{row.prompt_tokens} in{cached}, {row.completion_tokens} out"

    @admin.display(description="cost", ordering="cost")
    def cost_shown(self, row: UsageRecord) -> str:
        return money(row.cost)

    @admin.display(description="time")
    def timing(self, row: UsageRecord) -> str:
        first = "" if row.first_token_ms is None else f", first token after {row.first_token_ms} ms"
        return f"{row.total_ms} ms{first}"

    @admin.display(description="key", ordering="key_id")
    def key(self, row: Any) -> str:
        return row.key_name or row.key_id or "–"

    @admin.display(description="project", ordering="project_id")
    def project(self, row: Any) -> str:
        return row.project_name or row.project_id or "–"

    @action(description="Totals", url_path="totals", icon="functions")
    def totals(self, request: HttpRequest) -> HttpResponse:
        """``?by=model&first=2026-01-01&last=2026-01-31``; what cannot be read is as if it were not given."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        by = request.GET.get("by", "")
        by = by if by in BY else "model"
        today = now().date()
        last = _day(request.GET.get("last")) or today
        first = _day(request.GET.get("first")) or last - min(timedelta(days=DAYS - 1), last - date.min)
        rows = UsageRecord.objects.filter(pk__in=self.get_queryset(request).values("pk")).between(first, last)
        groups = usage.totals(rows, by, limit=LINES)
        names = _names(by, [group.key[0] for group in groups])
        context = {
            **self.admin_site.each_context(request),
            "title": "Usage",
            "by": by,
            "first": first,
            "last": last,
            "choices": [(word, word == by) for word in BY],
            "lines": [_line(names.get(group.key[0]) or str(group.key[0] or "–"), group) for group in groups],
            "all": _line("all", usage.totals(rows)[0]),
            "is_cut": len(groups) == LINES,
        }
        return TemplateResponse(request, "admin/inference/usage.html", context)


def money(nano_units: int) -> str:
    """In whole units of the house's currency, exactly.

    >>> money(1_500_000_000), money(150), money(0)
    ('1.5', '0.00000015', '0')
    """
    return f"{(Decimal(nano_units) / NANO_UNITS).normalize():f}"


def _line(name: str, total: Total) -> dict[str, Any]:
    return {"name": name, "total": total, "cost": money(total.cost)}


def _names(by: str, ids: Sequence[Any]) -> dict[Any, str]:
    """What people call projects and keys; of the others the value itself is the name."""
    model = NAMED.get(by)
    return {} if model is None else dict(model.objects.filter(pk__in=ids).values_list("pk", "name"))


def _day(text: str | None) -> date | None:
    try:
        return parse_date(text or "")
    except ValueError:
        return None
