"""Conversations, to be read: another person's chat is opened by a role that may, and that is written down."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from sovereign.accounts.admin.base import ProjectAdmin, known
from sovereign.accounts.scopes import CONVERSATIONS_READ
from threads.models import Message, Thread
from threads.services import note_reading

MESSAGES_SHOWN = 200


class OriginFilter(admin.SimpleListFilter):
    """Who begins threads: people in the chat, programs over the API."""

    title = "origin"
    parameter_name = "origin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("chat", "Chat"), ("api", "API")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(owner__isnull=self.value() == "api") if self.value() else queryset


@admin.register(Thread)
class ThreadAdmin(ProjectAdmin):
    view_scope = CONVERSATIONS_READ
    list_display = ("title_shown", "origin", "message_count", "state", "project", "active_last")
    list_filter = (OriginFilter, "project")
    list_select_related = ("project", "owner")
    search_fields = ("title", "id", "owner__username")
    search_help_text = "Title, id or person"
    ordering = ("-last_activity_at", "-id")
    fieldsets = (
        (None, {"fields": (("origin", "project"), ("created_at", "last_activity_at"), "id", "its_runs")}),
        ("More", {"classes": ("collapse",), "fields": ("metadata", "tool_resources")}),
    )
    readonly_fields = (
        "id", "origin", "project", "created_at", "last_activity_at", "its_runs", "metadata", "tool_resources",
    )  # fmt: skip
    change_form_outer_after_template = "admin/threads/conversation.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        messages = Message.objects.filter(thread=OuterRef("pk")).order_by().values("thread")
        count = messages.annotate(total=Count("pk")).values("total")
        return known(request, super().get_queryset(request)).annotate(messages_total=Coalesce(Subquery(count), 0))

    @admin.display(description="conversation", ordering="title")
    def title_shown(self, thread: Thread) -> str:
        return str(thread)

    @admin.display(description="begun by")
    def origin(self, thread: Thread) -> str:
        return thread.owner.get_username() if thread.owner else "the API"

    @admin.display(description="messages")
    def message_count(self, thread: Any) -> int:
        return int(thread.messages_total)

    @display(description="state", label={"answering": "info"})
    def state(self, thread: Thread) -> str:
        return "answering" if thread.active_run_id else "at rest"

    @admin.display(description="last activity", ordering="last_activity_at")
    def active_last(self, thread: Thread) -> str:
        return f"{thread.last_activity_at:%Y-%m-%d %H:%M}"

    @admin.display(description="runs")
    def its_runs(self, thread: Thread) -> str:
        address = reverse("admin:runs_run_changelist")
        return format_html('<a class="sv-link" href="{}?thread={}">See its runs</a>', address, thread.pk)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        thread = self.get_object(request, unquote(object_id))
        context = {**(extra_context or {})}
        if thread is not None and self.has_view_permission(request, thread):
            note_reading(principal=self.principal_for(request, thread), thread=thread)
            context |= conversation(thread)
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response


def conversation(thread: Thread) -> dict[str, Any]:
    """The newest messages, oldest first, for the template; the text of each is escaped there."""
    newest = list(Message.objects.of_thread(thread.pk).order_by("-position")[: MESSAGES_SHOWN + 1])
    return {"conversation": newest[:MESSAGES_SHOWN][::-1], "has_earlier": len(newest) > MESSAGES_SHOWN}
