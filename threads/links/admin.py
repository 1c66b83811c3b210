"""The links by which a project's conversations are read without a login: who manages the project sees and revokes them.

What an address ends with is shown to nobody but its owner, in the chat.
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.decorators import display

from sovereign.accounts.admin.base import ProjectAdmin, page_of
from sovereign.accounts.scopes import MEMBERS_MANAGE
from sovereign.core import times
from threads.links import services
from threads.links.models import SharedLink
from threads.links.querysets import SharedLinkQuerySet

STATE_LABELS = {"open": "success", "revoked": "default", "opens nothing": "warning"}


class StateFilter(admin.SimpleListFilter):
    """Those that anybody reads by now."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("closed", "Revoked, or opens nothing")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = {"open": True, "closed": False}.get(str(self.value()))
        return queryset if wanted is None else queryset.filter(is_in_force=wanted)


@admin.register(SharedLink)
class SharedLinkAdmin(ProjectAdmin):
    view_scope = MEMBERS_MANAGE
    empty_words = "Who shares a conversation in the chat makes a link by which anybody reads it. Such links stand here."
    list_display = ("title_shown", "project", "state", "made_by", "created", "used")
    list_filter = (StateFilter, "project")
    list_select_related = ("project", "thread", "created_by")
    search_fields = ("=id", "=thread__id", "title", "created_by__username")
    search_help_text = "Title, person, or id"
    fields = ("conversation", "project", "state", "made_by", "created", "used", "revoked", "id")
    readonly_fields = fields
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SharedLink]:
        return cast(SharedLinkQuerySet, super().get_queryset(request)).backed()

    @admin.display(description="conversation", ordering="title")
    def title_shown(self, link: SharedLink) -> str:
        return link.title or "Untitled"

    @admin.display(description="conversation")
    def conversation(self, link: SharedLink) -> str:
        if link.thread.trashed_at is not None:
            return f"{self.title_shown(link)} (deleted by its owner)"
        return format_html('<a class="sv-link" href="{}">{}</a>', page_of(link.thread), self.title_shown(link))

    @display(description="state", label=STATE_LABELS)
    def state(self, link: Any) -> str:
        if link.revoked_at is not None:
            return "revoked"
        return "open" if link.is_in_force else "opens nothing"

    @admin.display(description="made by", ordering="created_by")
    def made_by(self, link: SharedLink) -> str:
        return str(link.created_by)

    @admin.display(description="made", ordering="created_at")
    def created(self, link: SharedLink) -> str:
        return times.shown(link.created_at)

    @admin.display(description="last read", ordering="last_used")
    def used(self, link: SharedLink) -> str:
        return times.shown(link.last_used) if link.last_used is not None else "never"

    @admin.display(description="revoked")
    def revoked(self, link: SharedLink) -> str:
        return times.shown(link.revoked_at) if link.revoked_at is not None else "no"

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.allowed(request, MEMBERS_MANAGE)

    @admin.action(description="Revoke the selected links", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[SharedLink]) -> None:
        for link in queryset:
            services.revoke_of_member(principal=self.principal_for(request, link), link=link)
        self.message_user(request, "They open nothing any more.", messages.SUCCESS)
