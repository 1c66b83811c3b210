"""What the engines are doing, for people and for machines: the landing page, health and the admin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypedDict
from urllib.parse import urlsplit

import structlog
from django.db import Error as DatabaseError

from inference import resolution
from inference.engines.installation import installation
from inference.models import Engine, Provider
from sovereign.core.addresses import is_inner_host
from sovereign.core.database import now

log = structlog.get_logger(__name__)

ORDER = ("ready", "asleep", "loading", "installing", "down")  # the best first


class EngineStatus(TypedDict):
    """One engine. ``reason`` is a sentence or empty; ``since`` is when the state began."""

    name: str
    kind: str
    provider: str | None  # its name; None for an engine of ours
    address: str  # host and port; empty where there is none yet
    state: str  # installing, loading, ready, asleep or down
    since: datetime
    reason: str
    model: str | None  # the default where it serves that, else its first
    models: list[str]
    failures: int
    heartbeat_at: datetime | None
    last_token_at: datetime | None
    latency_ms: int | None
    running: int | None
    waiting: int | None
    cache_usage: float | None  # 0 to 1


def engine_status() -> list[EngineStatus]:
    """All engines that may be asked, ready ones first; empty where none was ever started or configured."""
    instant = now()
    usable = Engine.objects.usable_by(None).select_related("provider")
    default = resolution.default_model()
    engines = [_status(engine, default, instant) for engine in usable]
    if (installing := installation()) is not None and not any(engine["state"] == "ready" for engine in engines):
        engines.append(_installation(installing["state"], installing["since"], installing["reason"]))
    return sorted(engines, key=lambda engine: ORDER.index(engine["state"]))


def destination(provider: Provider) -> str:
    """Where words go that it is asked, for the log and the admin: ``openai (api.openai.com, every project)``."""
    host = urlsplit(provider.base_url).hostname or ""
    where = f"{host}, in this network" if is_inner_host(host) else host
    return f"{provider.name} ({where}, {'every project' if provider.all_projects else 'chosen projects'})"


def destinations() -> list[str]:
    """Of all enabled providers."""
    return [destination(provider) for provider in Provider.objects.filter(enabled=True)]


def log_destinations(places: list[str] | None = None) -> None:
    """Say where words may go; a database that does not answer is told by health."""
    try:
        places = destinations() if places is None else places
    except DatabaseError:
        return
    log.info("words_may_leave_for" if places else "words_leave_for_nobody", providers=places)


def _status(engine: Engine, default: str | None, instant: datetime) -> EngineStatus:
    state, since, reason = engine.state, engine.since, engine.reason
    if engine.is_forgotten(instant):
        state, since, reason = Engine.State.DOWN, engine.heartbeat_at or since, "Its supervisor stopped reporting."
    models = [entry["id"] for entry in engine.served]
    return EngineStatus(
        name=engine.name if engine.provider is None else engine.address,
        kind=engine.kind,
        provider=None if engine.provider is None else engine.provider.name,
        address=engine.address,
        state=state,
        since=since,
        reason=reason,
        model=default if default in models else next(iter(models), None),
        models=models,
        failures=engine.failures,
        heartbeat_at=engine.heartbeat_at,
        last_token_at=engine.last_token_at,
        latency_ms=engine.latency_ms,
        running=engine.running,
        waiting=engine.waiting,
        cache_usage=engine.cache_usage,
    )


def _installation(state: object, since: object, reason: object) -> EngineStatus:
    """vLLM before there is an engine of it."""
    return EngineStatus(
        name="vLLM",
        kind=Engine.Kind.VLLM,
        provider=None,
        address="",
        state="installing" if state == "installing" else "down",
        since=datetime.fromtimestamp(float(str(since)), UTC),
        reason=str(reason),
        model=None,
        models=[],
        failures=0,
        heartbeat_at=None,
        last_token_at=None,
        latency_ms=None,
        running=None,
        waiting=None,
        cache_usage=None,
    )
