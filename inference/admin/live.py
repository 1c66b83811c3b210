"""How engines do at this moment, for the panel that pages of engines, providers and models have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from inference.admin.base import STATE_LABELS
from inference.admin.wording import latency_of, queue_of, state_of
from inference.models import Engine
from sovereign.accounts.admin.base import page_of


def live(engines: Iterable[Engine]) -> list[dict[str, Any]]:
    """A row for each engine, for ``engines_now.html``; the provider is selected with the engine."""
    return [_row(engine) for engine in engines]


def serving(model: str) -> list[Engine]:
    """The engines that have a model, in any state."""
    usable = Engine.objects.usable_by(None).select_related("provider")
    return [engine for engine in usable if engine.entry(model) is not None]


def _row(engine: Engine) -> dict[str, Any]:
    state = state_of(engine)
    cache = None if engine.cache_usage is None else round(engine.cache_usage * 100)
    return {
        "name": engine.name,
        "address": page_of(engine),
        "state": state,
        "label": STATE_LABELS[state],
        "since": engine.since,
        "reason": engine.reason,
        "queue": queue_of(engine),
        "cache": cache,
        "latency": latency_of(engine),
        "last_token": engine.last_token_at,
        "last_error": engine.last_error if engine.last_error != engine.reason else "",
        "last_error_at": engine.last_error_at,
    }
