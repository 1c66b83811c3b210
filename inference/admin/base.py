"""What the pages of the registry share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin.options import BaseModelAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.admin import ModelAdmin, TabularInline

from sovereign.core.errors import ApiError

STATE_LABELS = {
    "ready": "success",
    "asleep": "primary",
    "loading": "info",
    "installing": "info",
    "down": "danger",
    "disabled": "default",
}


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


class HousePermissions(BaseModelAdmin):
    """Staff sees rows of the whole installation, which belong to no project; superusers may change some of them."""

    superusers_add = False
    superusers_change = False
    superusers_delete = True

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_staff", False))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.superusers_change and is_superuser(request)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.superusers_add and is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.superusers_delete and is_superuser(request)

    def has_write_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Of actions."""
        return is_superuser(request)


class HouseAdmin(HousePermissions, ModelAdmin):
    """The base of these pages. An ``ApiError`` of a service becomes a message."""

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:  # one by one, so that each goes through its service
            self.delete_model(request, obj)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().changeform_view, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().delete_view, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._told(request, super().changelist_view, *args, **kwargs)

    def _told(self, request: HttpRequest, view: Callable[..., Any], *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: HttpResponse = view(request, *args, **kwargs)
        except ApiError as error:
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        return response


class HouseInline(HousePermissions, TabularInline):
    """An inline of a ``HouseAdmin``."""

    extra = 0
