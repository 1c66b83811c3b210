"""What the engines are doing, for people: the landing page, ``/health/ready`` and the admin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypedDict

from inference.engines.installation import installation
from inference.models import Engine
from sovereign.core.database import now


class EngineStatus(TypedDict):
    """One engine. ``reason`` is a sentence or empty; ``since`` is when the state began."""

    name: str
    state: str  # installing, loading, ready or down
    since: datetime
    reason: str
    model: str | None
    last_token_at: datetime | None


def engine_status() -> list[EngineStatus]:
    """All engines, ready ones first; empty where none was ever started or configured."""
    instant = now()
    engines = [_status(engine, instant) for engine in Engine.objects.all()]
    if (installing := installation()) is not None and not any(engine["state"] == "ready" for engine in engines):
        state = "installing" if installing["state"] == "installing" else "down"
        since = datetime.fromtimestamp(float(installing["since"]), UTC)
        engines.append(
            EngineStatus(
                name="vLLM", state=state, since=since, reason=installing["reason"], model=None, last_token_at=None
            )
        )
    order = ["ready", "loading", "installing", "down"]
    return sorted(engines, key=lambda engine: order.index(engine["state"]))


def _status(engine: Engine, instant: datetime) -> EngineStatus:
    state, since, reason = engine.state, engine.since, engine.reason
    if engine.is_forgotten(instant):
        state, since, reason = Engine.State.DOWN, engine.heartbeat_at or since, "Its supervisor stopped reporting."
    model = engine.served[0]["id"] if engine.served else None
    return EngineStatus(
        name=engine.name if engine.kind == Engine.Kind.VLLM else engine.address,
        state=state,
        since=since,
        reason=reason,
        model=model,
        last_token_at=engine.last_token_at,
    )
