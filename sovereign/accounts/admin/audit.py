"""The audit log: to be read, never to be written."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.accounts.models import AuditEvent, User
from sovereign.accounts.scopes import AUDIT_READ


@admin.register(AuditEvent)
class AuditEventAdmin(ProjectAdmin):
    view_scope = AUDIT_READ
    list_display = ("created_at", "action", "object_type", "object_id", "actor", "project")
    list_filter = ("action", "object_type", "project")
    search_fields = ("object_id", "request_id", "key_id")
    list_select_related = ("project",)
    fields = ("created_at", "action", "object_type", "object_id", "actor", "project", "details", "request_id")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        username = User.objects.filter(pk=OuterRef("user_id")).values("username")[:1]
        return super().get_queryset(request).annotate(username=Subquery(username))

    @admin.display(description="by")
    def actor(self, event: Any) -> str:
        return event.username or event.key_id or (f"user {event.user_id}" if event.user_id else "the product")
