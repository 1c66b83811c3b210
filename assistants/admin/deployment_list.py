"""All deployments in the admin, to look things up: what is done about them is on the pages of their assistants."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from assistants.admin.deployment_rows import COLOURS, WORDS, shown
from assistants.admin.visible import visible_assistants
from assistants.kinds import Environment
from assistants.models import Assistant, Deployment
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.scopes import ASSISTANTS_READ
from sovereign.core import times

OFFERED = 50  # assistants to filter by; the rest is found by their names
LABELS = {WORDS[status]: colour for status, colour in COLOURS.items()}


class AssistantFilter(admin.SimpleListFilter):
    """The assistants whose deployments the person sees, by name."""

    title = "assistant"
    parameter_name = "assistant"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        seen = visible_assistants(request).filter(pk__in=Deployment.objects.order_by().values("assistant_id"))
        asked = request.GET.get(self.parameter_name, "")
        offered: list[Assistant] = list(seen.order_by("name", "id")[:OFFERED])
        if asked and all(one.pk != asked for one in offered):
            offered += seen.filter(pk=asked)
        return [(one.pk, str(one)) for one in offered]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(assistant_id=self.value()) if self.value() else queryset


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status, words.capitalize()) for status, words in WORDS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(status=self.value()) if self.value() in WORDS else queryset


@admin.register(Deployment)
class DeploymentAdmin(ProjectAdmin):
    view_scope = ASSISTANTS_READ
    empty_words = "What is deployed answers in an environment. An assistant's page deploys it, under Deployments."
    list_display = ("asked", "its_assistant", "its_version", "environment_shown", "status_shown", "why", "project")
    list_display_links = ("asked",)
    list_filter = ("environment", StatusFilter, AssistantFilter, "project")
    list_select_related = ("assistant", "version", "project")
    search_fields = ("=id", "assistant__name", "=assistant__id", "=version__id")
    search_help_text = "Name of an assistant; id of a deployment, assistant or version"
    ordering = ("-created_at", "-id")
    fieldsets = (
        (None, {"fields": (("its_assistant", "its_version", "environment_shown", "status_shown"), "why")}),
        ("About", {"classes": ("collapse",), "fields": ("id", "project", "replaces", "promoted_from")}),
    )
    readonly_fields = (
        "its_assistant", "its_version", "environment_shown", "status_shown", "why", "id", "project", "replaces",
        "promoted_from",
    )  # fmt: skip
    change_form_outer_after_template = "admin/assistants/deployment.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.filter(assistant__in=visible_assistants(request)).select_related("assistant", "version", "project")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = self.get_object(request, unquote(object_id))
        context = {**(extra_context or {})}
        if found is not None and self.has_view_permission(request, found):
            context |= {"row": shown(found), "deployments_address": _deployments_of(found)}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    @admin.display(description="asked for", ordering="created_at")
    def asked(self, deployment: Deployment) -> str:
        return times.shown(deployment.created_at, seconds=True)

    @admin.display(description="assistant", ordering="assistant__name")
    def its_assistant(self, deployment: Deployment) -> str:
        return format_html('<a class="sv-link" href="{}">{}</a>', _deployments_of(deployment), deployment.assistant)

    @admin.display(description="version", ordering="version__number")
    def its_version(self, deployment: Deployment) -> str:
        number = deployment.version.number
        address = reverse("admin:assistants_assistant_version", args=[quote(deployment.assistant_id), number])
        return format_html('<a class="sv-link" href="{}">version {}</a>', address, number)

    @admin.display(description="environment", ordering="environment")
    def environment_shown(self, deployment: Deployment) -> str:
        return str(Environment(deployment.environment).label)

    @display(description="status", label=LABELS, ordering="status")
    def status_shown(self, deployment: Deployment) -> str:
        return WORDS[deployment.status]

    @admin.display(description="why")
    def why(self, deployment: Deployment) -> str:
        return deployment.reason or "–"


def _deployments_of(deployment: Deployment) -> str:
    return reverse("admin:assistants_assistant_deployments", args=[quote(deployment.assistant_id)])
