"""How engines are told of to people."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from inference.models import Engine
from sovereign.core import times

NOTHING = "–"


def state_of(engine: Engine) -> str:
    """As people are told it: of a provider that is disabled, of a supervisor that died."""
    if engine.provider is not None and not engine.provider.enabled:
        return "disabled"
    # this machine's clock is good enough to be shown by: the database's would be asked for every row
    return "down" if engine.is_forgotten(timezone.now()) else engine.state


def names_of(engine: Engine, shown: int = 6) -> str:
    """What it serves, of many the first."""
    names = [entry["id"] for entry in engine.served]
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return (", ".join(names[:shown]) + rest) or NOTHING


def moment(instant: datetime | None) -> str:
    return NOTHING if instant is None else times.shown(instant, seconds=True)


def queue_of(engine: Engine) -> str:
    if engine.running is None and engine.waiting is None:
        return NOTHING
    return f"{engine.running or 0} running, {engine.waiting or 0} waiting"


def latency_of(engine: Engine) -> str:
    return NOTHING if engine.latency_ms is None else f"{engine.latency_ms} ms"


def last_error_of(engine: Engine) -> str:
    """Why it was down the last time, and when."""
    return f"{moment(engine.last_error_at)}: {engine.last_error}" if engine.last_error_at is not None else NOTHING
