"""What the pages of the registry share."""

from __future__ import annotations

from django.contrib.admin.options import BaseModelAdmin
from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import TabularInline

from sovereign.accounts.admin.base import ServiceAdmin, is_superuser

STATE_LABELS = {
    "ready": "success",
    "asleep": "primary",
    "loading": "info",
    "installing": "info",
    "down": "danger",
    "disabled": "default",
}


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


class HouseAdmin(HousePermissions, ServiceAdmin):
    """The base of these pages."""


class HouseInline(HousePermissions, TabularInline):
    """An inline of a ``HouseAdmin``."""

    extra = 0
