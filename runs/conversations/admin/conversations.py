"""Conversations in the admin, to be read and ended: what was said, what of it the model sees, and how it was found."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.decorators import display

from assistants.admin.visible import visible_assistants
from runs.conversations import services
from runs.conversations.admin.of_assistant import ConversationsOfAssistant
from runs.conversations.models import Compression, Conversation
from runs.conversations.rendering import render_summary
from sovereign.accounts import audit
from sovereign.accounts.admin.base import known
from sovereign.accounts.scopes import CONVERSATIONS_READ, THREADS_WRITE
from sovereign.core import times
from sovereign.core.errors import ApiError
from threads.admin.reading import conversation as messages_of
from threads.services import note_reading

ACTIVE, ENDED = "active", "ended"
LABELS = {ACTIVE: "success", ENDED: "default"}
REASON = "Ended in the admin."


class StateFilter(admin.SimpleListFilter):
    """Whether more may be said."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(ACTIVE, "Active"), (ENDED, "Ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(ended_at__isnull=self.value() == ACTIVE) if self.value() else queryset


@admin.register(Conversation)
class ConversationAdmin(ConversationsOfAssistant):
    view_scope = CONVERSATIONS_READ
    empty_words = "As soon as somebody has talked to an assistant, what they wanted and how it went stands here."
    list_display = ("title", "assistant", "state", "satisfaction", "project", "active_last")
    list_filter = (StateFilter, "thumb", "compression", "project")
    list_select_related = ("thread", "project")
    search_fields = ("=id", "=thread__id", "=assistant_id", "thread__title")
    search_help_text = "Id of a conversation, thread or assistant, or title"
    ordering = ("-last_activity_at", "-id")
    actions = ("end_them",)
    fieldsets = (
        (None, {
            "fields": (("state", "satisfaction"), ("assistant", "its_thread"), "comment", "end_reason"),
        }),
        ("More", {
            "classes": ("collapse",),
            "fields": (
                "id", "project", ("environment", "created_by_key"), ("created_at", "last_activity_at", "ended_at"),
            ),
        }),
    )  # fmt: skip
    readonly_fields = (
        "state", "satisfaction", "assistant", "its_thread", "comment", "end_reason", "id", "project", "environment",
        "created_by_key", "created_at", "last_activity_at", "ended_at",
    )  # fmt: skip
    change_form_outer_after_template = "admin/conversations/conversation.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        name = visible_assistants(request).filter(pk=OuterRef("assistant_id")).values("name")[:1]
        return known(request, super().get_queryset(request)).annotate(assistant_name=Subquery(name))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.end_view)
        return [path("<path:object_id>/end/", view, name="conversations_conversation_end"), *super().get_urls()]

    # ------------------------------------------------------------------------------------- columns

    @admin.display(description="conversation", ordering="thread__title")
    def title(self, conversation: Conversation) -> str:
        return str(conversation.thread)

    @admin.display(description="assistant", ordering="assistant_id")
    def assistant(self, conversation: Any) -> str:
        if conversation.assistant_name is None:
            return str(conversation.assistant_id)
        address = reverse("admin:assistants_assistant_change", args=[quote(conversation.assistant_id)])
        return format_html('<a class="sv-link" href="{}">{}</a>', address, conversation.assistant_name)

    @display(description="state", label=LABELS)
    def state(self, conversation: Conversation) -> str:
        return ENDED if conversation.is_over else ACTIVE

    @admin.display(description="satisfaction", ordering="score")
    def satisfaction(self, conversation: Conversation) -> str:
        thumb = conversation.get_thumb_display() if conversation.thumb else ""
        score = "" if conversation.score is None else f"{conversation.score} of 5"
        return ", ".join(part for part in (thumb, score) if part)

    @admin.display(description="last activity", ordering="last_activity_at")
    def active_last(self, conversation: Conversation) -> str:
        return times.shown(conversation.last_activity_at)

    @admin.display(description="thread")
    def its_thread(self, conversation: Conversation) -> str:
        address = reverse("admin:threads_thread_change", args=[quote(conversation.thread_id)])
        return format_html('<a class="sv-link" href="{}">{}</a>', address, conversation.thread_id)

    # ------------------------------------------------------------------------------------- its page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = self.get_object(request, unquote(object_id))
        context = {**(extra_context or {})}
        if found is not None and self.has_view_permission(request, found):
            note_reading(principal=self.principal_for(request, found), thread=found.thread)
            context |= {"told": render_summary(found), **messages_of(request, found.thread)}
            context |= self._ways_of(request, found)
            context["cut_words"] = Compression(context["told"]["context"]["compression"]).label
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def _ways_of(self, request: HttpRequest, found: Conversation) -> dict[str, Any]:
        may_end = not found.is_over and self.allowed(request, THREADS_WRITE, found)
        return {"may_end": may_end, "end_address": _page_of(found, "end")}

    def end_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.get_object(request, unquote(object_id))
        if found is None or not self.has_view_permission(request, found):
            raise Http404("no such conversation")
        if request.method != "POST" or not self.allowed(request, THREADS_WRITE, found):
            raise PermissionDenied
        if self._ended(request, found):
            self.message_user(request, "The conversation has ended.", messages.SUCCESS)
        return HttpResponseRedirect(_page_of(found))

    def has_end_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, THREADS_WRITE)

    @admin.action(description="End the selected conversations", permissions=["end"])
    def end_them(self, request: HttpRequest, queryset: QuerySet[Conversation]) -> None:
        done = [self._ended(request, found) for found in queryset]
        self.message_user(request, f"{sum(done)} ended.", messages.SUCCESS)

    def _ended(self, request: HttpRequest, found: Conversation) -> bool:
        """A refusal becomes a message, and an entry of the audit log."""
        principal = self.principal_for(request, found)
        try:
            services.end(principal=principal, conversation_id=found.pk, reason=REASON)
        except ApiError as error:
            audit.refused(principal, "conversation.end", audit.kind_of(found), found.pk, error)
            self.message_user(request, f"{found.pk}: {error.message}", messages.WARNING)
            return False
        return True


def _page_of(found: Conversation, view: str = "change") -> str:
    return reverse(f"admin:conversations_conversation_{view}", args=[quote(found.pk)])
