"""Engines: they report about themselves, so nothing of theirs is written by hand; their keys are shown nowhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from inference import services
from inference.admin.base import STATE_LABELS, HouseAdmin
from inference.models import Engine, Provider
from sovereign.core.database import now

NOTHING = "–"


@admin.register(Engine)
class EngineAdmin(HouseAdmin):
    list_display = (
        "name",
        "kind_shown",
        "address",
        "shown_state",
        "reason",
        "since_shown",
        "models",
        "queue",
        "last_token",
    )
    list_filter = ("kind", "state")
    list_before_template = "admin/inference/engines.html"
    described = ("name", "kind_shown", "provider", "address", "models", "abilities_shown")
    stated = ("shown_state", "since_shown", "reason", "failures", "heartbeat_at", "probed_at")
    loaded = ("queue", "cache", "latency", "last_token")
    fieldsets = (
        (None, {"fields": described}),
        ("State", {"fields": stated}),
        ("Load", {"fields": loaded}),
    )
    readonly_fields = (*described, *stated, *loaded)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Engine]:
        found: QuerySet[Engine] = super().get_queryset(request).select_related("provider")
        return found

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

    @admin.display(description="queue")
    def queue(self, engine: Engine) -> str:
        return queue_of(engine)

    @admin.display(description="KV cache")
    def cache(self, engine: Engine) -> str:
        return NOTHING if engine.cache_usage is None else f"{engine.cache_usage:.0%} used"

    @admin.display(description="latency")
    def latency(self, engine: Engine) -> str:
        return latency_of(engine)


def state_of(engine: Engine) -> str:
    """As people are told it: of a provider that is disabled, of a supervisor that died."""
    if engine.provider is not None and not engine.provider.enabled:
        return "disabled"
    return "down" if engine.is_forgotten(now()) else engine.state


def names_of(engine: Engine, shown: int = 6) -> str:
    """What it serves, of many the first."""
    names = [entry["id"] for entry in engine.served]
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return (", ".join(names[:shown]) + rest) or NOTHING


def moment(instant: datetime | None) -> str:
    return NOTHING if instant is None else f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def queue_of(engine: Engine) -> str:
    if engine.running is None and engine.waiting is None:
        return NOTHING
    return f"{engine.running or 0} running, {engine.waiting or 0} waiting"


def latency_of(engine: Engine) -> str:
    return NOTHING if engine.latency_ms is None else f"{engine.latency_ms} ms"
