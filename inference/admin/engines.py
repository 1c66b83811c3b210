"""Engines: they report about themselves, so nothing of theirs is written by hand; their keys are shown nowhere."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display

from inference import services
from inference.admin.base import STATE_LABELS, HouseAdmin
from inference.admin.live import live
from inference.admin.wording import NOTHING, last_error_of, latency_of, moment, names_of, queue_of, state_of
from inference.models import Engine, Provider

SHOWN_NOW = 20  # engines above their list


@admin.register(Engine)
class EngineAdmin(HouseAdmin):
    empty_words = "Engines report about themselves as soon as they run."
    list_display = ("name", "kind_shown", "address", "shown_state", "reason", "since_shown", "models", "latency")
    list_filter = ("kind", "state")
    list_before_template = "admin/inference/engines.html"
    described = ("name", "kind_shown", "provider", "address", "models", "abilities_shown")
    stated = ("shown_state", "since_shown", "reason", "failures", "last_error_shown", "heartbeat_at", "probed_at")
    loaded = ("queue", "cache", "latency", "last_token")
    change_form_outer_before_template = "admin/inference/engines_now.html"
    fieldsets = (
        (None, {"fields": described}),
        ("State", {"fields": stated}),
        ("Load", {"fields": loaded}),
    )
    readonly_fields = (*described, *stated, *loaded)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Engine]:
        found: QuerySet[Engine] = super().get_queryset(request).select_related("provider")
        return found

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        engines = live(self.get_queryset(request)[:SHOWN_NOW])
        return super().changelist_view(request, {**(extra_context or {}), "engines": engines})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        engine = self.get_object(request, unquote(object_id))
        shown = {"engines": live([engine])} if engine is not None else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        if isinstance(obj, Engine) and obj.provider_id is not None:
            return False  # it goes with its provider
        return super().has_delete_permission(request, obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        services.remove(obj, user_id=request.user.pk)

    @admin.display(description="kind", ordering="kind")
    def kind_shown(self, engine: Engine) -> str:
        return "vLLM" if engine.kind == Engine.Kind.VLLM else Provider.Kind(engine.kind).label

    @display(description="state", ordering="state", label=STATE_LABELS)
    def shown_state(self, engine: Engine) -> str:
        return state_of(engine)

    @admin.display(description="models")
    def models(self, engine: Engine) -> str:
        return names_of(engine)

    @admin.display(description="capabilities")
    def abilities_shown(self, engine: Engine) -> str:
        return ", ".join(sorted(name for name, value in engine.capabilities.items() if value)) or NOTHING

    @admin.display(description="since", ordering="since")
    def since_shown(self, engine: Engine) -> str:
        return moment(engine.since)

    @admin.display(description="last token", ordering="last_token_at")
    def last_token(self, engine: Engine) -> str:
        return moment(engine.last_token_at)

    @admin.display(description="last error")
    def last_error_shown(self, engine: Engine) -> str:
        return last_error_of(engine)

    @admin.display(description="queue")
    def queue(self, engine: Engine) -> str:
        return queue_of(engine)

    @admin.display(description="KV cache")
    def cache(self, engine: Engine) -> str:
        return NOTHING if engine.cache_usage is None else f"{engine.cache_usage:.0%} used"

    @admin.display(description="latency")
    def latency(self, engine: Engine) -> str:
        return latency_of(engine)
