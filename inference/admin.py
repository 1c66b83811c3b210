"""The registry in the admin: to be seen by everybody who may enter it, and changed by superusers.

Engines report about themselves, so nothing of theirs is written by hand; their keys are shown nowhere.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.admin import ModelAdmin
from unfold.decorators import display

from inference import services
from inference.models import Engine, ModelAlias, RegisteredModel
from sovereign.core.errors import ApiError

STATE_LABELS = {"ready": "success", "loading": "info", "installing": "info", "down": "danger"}


class HouseAdmin(ModelAdmin):
    """Rows of the whole installation: they belong to no project."""

    superusers_add = False
    superusers_delete = True

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_staff", False))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.superusers_add and is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.superusers_delete and is_superuser(request)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        services.remove(obj, user_id=request.user.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        except ApiError as error:
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        return response


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


@admin.register(Engine)
class EngineAdmin(HouseAdmin):
    list_display = ("name", "kind", "address", "shown_state", "reason", "since", "models", "last_token_at")
    list_filter = ("kind", "state")
    fields = (
        *("name", "kind", "address", "state", "reason", "since", "models", "abilities_shown"),
        *("last_token_at", "heartbeat_at", "failures", "created_at"),
    )
    readonly_fields = fields

    @display(description="state", ordering="state", label=STATE_LABELS)
    def shown_state(self, engine: Engine) -> str:
        return engine.state

    @admin.display(description="models")
    def models(self, engine: Engine) -> str:
        return ", ".join(entry["id"] for entry in engine.served) or "–"

    @admin.display(description="capabilities")
    def abilities_shown(self, engine: Engine) -> str:
        return ", ".join(sorted(name for name, value in engine.capabilities.items() if value)) or "–"


@admin.register(RegisteredModel)
class RegisteredModelAdmin(HouseAdmin):
    list_display = ("name", "is_default", "source", "context_length", "created_at")
    search_fields = ("name",)
    fields = ("name", "is_default", "source", "context_length", "created_at")
    readonly_fields = fields
    actions = ("make_default",)

    @admin.action(description="Make the default model", permissions=["delete"])
    def make_default(self, request: HttpRequest, queryset: QuerySet[RegisteredModel]) -> None:
        model = queryset.first()
        if model is None or queryset.count() != 1:
            self.message_user(request, "Choose one model.", messages.ERROR)
            return
        services.set_default_model(model=model, user_id=request.user.pk)
        self.message_user(request, f"{model.name} is the default model now.", messages.SUCCESS)


@admin.register(ModelAlias)
class ModelAliasAdmin(HouseAdmin):
    superusers_add = True
    list_display = ("alias", "model", "created_at")
    search_fields = ("alias", "model__name")
    list_select_related = ("model",)
    fields = ("alias", "model")

    def save_model(self, request: HttpRequest, obj: ModelAlias, form: ModelForm[ModelAlias], change: bool) -> None:
        made = services.add_alias(alias=obj.alias, model=obj.model, user_id=request.user.pk)
        obj.pk, obj.created_at = made.pk, made.created_at
        obj._state.adding = False
