"""What is done to several assistants at once: each by its service, and what one refuses is told of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from assistants import services
from assistants.models import Assistant, LifeStatus
from sovereign.accounts import audit
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.core.errors import ApiError


class ChangesSeveral(ProjectAdmin):
    """Actions of the list, beside Django's own that deletes."""

    @admin.action(description="Activate: they answer", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Assistant]) -> None:
        self._bring(request, queryset, LifeStatus.ACTIVE, "active")

    @admin.action(description="Archive: they rest, and nothing of them is changed", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Assistant]) -> None:
        self._bring(request, queryset, LifeStatus.ARCHIVED, "archived")

    def _bring(self, request: HttpRequest, queryset: QuerySet[Assistant], status: LifeStatus, words: str) -> None:
        done = [self._brought(request, assistant, status) for assistant in queryset.exclude(status=status)]
        self.message_user(request, f"{sum(done)} made {words}.", messages.SUCCESS if all(done) else messages.WARNING)

    def _brought(self, request: HttpRequest, assistant: Assistant, status: LifeStatus) -> bool:
        principal: Any = self.principal_for(request, assistant)
        try:
            services.change_assistant(principal=principal, assistant_id=assistant.pk, status=status.value)
        except ApiError as error:
            audit.refused(principal, "assistant.change", audit.kind_of(assistant), assistant.pk, error)
            self.message_user(request, f"{assistant}: {error.message}", messages.WARNING)
            return False
        return True
