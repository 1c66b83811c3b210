"""Why nothing can answer now, in one sentence for people."""

from __future__ import annotations

from datetime import UTC, datetime

from inference.engines.installation import installation
from inference.models import Engine
from sovereign.core.database import now


def why_not(model: str, engines: list[Engine]) -> str:
    """Why none of ``engines`` serves ``model``: from the one that should, else from any that is not ready."""
    if not engines and (installing := installation()) is not None:
        begun = datetime.fromtimestamp(float(installing["since"]), UTC)
        running = installing["state"] == "installing"
        return f"The engine is being installed since {begun:%H:%M} UTC." if running else str(installing["reason"])
    if not engines:
        return f"No engine serves '{model}': none is configured or running."
    concerned = [engine for engine in engines if engine.entry(model) or engine.name == model]
    waiting = [engine for engine in concerned or engines if engine.state != Engine.State.READY or concerned]
    if not waiting:
        return f"No engine serves '{model}'."
    return explain(min(waiting, key=lambda engine: engine.state == Engine.State.DOWN), model, now())


def explain(engine: Engine, model: str, instant: datetime) -> str:
    """One sentence about an engine that cannot serve ``model`` now."""
    seconds = max(0, int((instant - engine.since).total_seconds()))
    since = f"{engine.since:%H:%M} UTC" if seconds < 86_400 else f"{engine.since:%Y-%m-%d %H:%M} UTC"
    if engine.is_forgotten(instant):
        return (
            f"The engine of {engine.name} lost its supervisor, which last reported at {engine.heartbeat_at:%H:%M} UTC."
        )
    if engine.state == Engine.State.ASLEEP:
        return f"The engine of {engine.name} sleeps, and is being woken."
    if engine.state == Engine.State.LOADING and engine.kind == Engine.Kind.VLLM:
        return f"The engine is loading {engine.name} since {since}."
    if engine.state == Engine.State.LOADING:
        return f"No engine serves '{model}': the provider {engine.name} has not answered yet."
    if engine.provider_id is not None:  # why it is down names its host: that is for those who run the house
        return f"No engine serves '{model}': the provider {engine.name} is down since {since}."
    reason = engine.reason.rstrip(".")
    return f"The engine of {engine.name} is down since {since}{reason and ': ' + reason}."
