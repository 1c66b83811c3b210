"""Alerts: what is wrong now and was before, who sees to it, and what was sent."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from unfold.decorators import display

from runs.alerts import services
from runs.alerts.admin.base import SEVERITY_LABELS, STATE_LABELS, AlertPages, notices_of
from runs.alerts.models import NOTE_LENGTH, Alert
from runs.alerts.watched import WATCHED
from sovereign.accounts.admin.base import page_of, visible
from sovereign.accounts.scopes import ALERTS_WRITE
from sovereign.core import times
from sovereign.core.errors import ApiError
from sovereign.core.visible import storable


@admin.register(Alert)
class AlertAdmin(AlertPages):
    empty_words = "Rules raise alerts. Nothing is out of bounds, or no rule looks."
    list_display = ("begun", "state_shown", "severity_shown", "sentence", "rule", "project")
    list_filter = ("state", "severity", "project")
    list_select_related = ("rule", "project")
    search_fields = ("sentence", "=id", "rule__name", "=assistant_id")
    search_help_text = "Words, rule, or the id of an alert or an assistant"
    ordering = ("-created_at", "-id")
    actions = ("acknowledge",)
    change_form_outer_before_template = "admin/alerts/alert.html"
    readonly_fields = (
        "rule", "project", "assistant_id", "metric", "value_shown", "worst_shown", "acknowledged_at",
        "acknowledged_by_user", "acknowledged_by_key", "created_at", "resolved_at", "id",
    )  # fmt: skip
    fieldsets = (
        ("About", {"fields": (("rule", "project"), ("metric", "assistant_id"), ("value_shown", "worst_shown"),
                              ("created_at", "resolved_at"), ("acknowledged_at", "acknowledged_by_user"),
                              "acknowledged_by_key", "id")}),
    )  # fmt: skip

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # nothing of it is edited; it is acknowledged by a button of its own

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return visible(request, super().get_queryset(request))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.acknowledge_view)
        return [path("<path:object_id>/acknowledge/", view, name="alerts_alert_acknowledge"), *super().get_urls()]

    # ------------------------------------------------------------------------------------- columns

    @admin.display(description="begun", ordering="created_at")
    def begun(self, alert: Alert) -> str:
        return times.shown(alert.created_at)

    @display(description="state", label=STATE_LABELS, ordering="state")
    def state_shown(self, alert: Alert) -> str:
        return str(alert.get_state_display())

    @display(description="severity", label=SEVERITY_LABELS, ordering="severity")
    def severity_shown(self, alert: Alert) -> str:
        return str(alert.get_severity_display())

    @admin.display(description="when it began")
    def value_shown(self, alert: Alert) -> str:
        return WATCHED[alert.metric].shown(alert.value)

    @admin.display(description="the furthest")
    def worst_shown(self, alert: Alert) -> str:
        return WATCHED[alert.metric].shown(alert.worst)

    # ------------------------------------------------------------------------------------- acknowledging

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, ALERTS_WRITE)

    @admin.action(description="Acknowledge the selected alerts", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        """Those that are over are left as they are."""
        done = 0
        for alert in queryset.filter(state=Alert.State.FIRING):
            services.acknowledge(principal=self.principal_for(request, alert), alert_id=alert.pk)
            done += 1
        self.message_user(request, f"{done} alerts are acknowledged.", messages.SUCCESS)

    def acknowledge_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say that one sees to it, with a note."""
        alert = self.found(request, object_id)
        note = storable(request.POST.get("note", ""), NOTE_LENGTH)
        try:
            services.acknowledge(principal=self.principal_for(request, alert), alert_id=alert.pk, note=note)
        except ApiError as error:
            return self.refused(request, alert, "alert.acknowledge", error)
        self.message_user(request, "The alert is acknowledged.", messages.SUCCESS)
        return HttpResponseRedirect(page_of(alert))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        alert = self.get_object(request, unquote(object_id))
        context = {**(extra_context or {})}
        if alert is not None and self.has_view_permission(request, alert):
            context |= {
                "alert": alert,
                "label": STATE_LABELS[alert.get_state_display()],
                "notices": notices_of(alert.notifications.all()),
                "may_acknowledge": alert.resolved_at is None and self.allowed(request, ALERTS_WRITE, alert),
                "note_length": NOTE_LENGTH,
            }
        return super().change_view(request, object_id, form_url, context)
