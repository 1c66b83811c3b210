"""The one way from the rooms above to a model: resolves the name, picks an engine, streams, counts.

``check_model`` at the door and ``stream`` at run time resolve the same way; between them an engine may have come or
gone, which is why only ``stream`` asks for a working one.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime

import structlog

from inference import metrics, resolution, services
from inference.adapters import adapter_for
from inference.adapters.base import Endpoint
from inference.adapters.transport import close_transport, transport
from inference.chat import (
    Availability,
    Capabilities,
    ChatRequest,
    Delta,
    EngineUnavailable,
    Finished,
    InferenceError,
    Usage,
)
from inference.engines.installation import installation
from inference.models import Engine
from sovereign.core.database import in_database, now
from sovereign.core.errors import ApiError

log = structlog.get_logger(__name__)

_turn = itertools.count()


def check_model(name: str) -> None:
    """Refuse a model that nobody knows; one whose engine is down passes.

    :raises ApiError: 404 ``model_not_found``; 400 ``unsupported_model``.
    """
    resolution.resolve(name)


def default_model() -> str | None:
    """The name that a new assistant gets; ``None`` before anything is known."""
    return resolution.default_model()


def availability(name: str) -> Availability:
    """Whether ``name`` can be called now; two small queries."""
    try:
        engine, model = _pick(name)
    except EngineUnavailable as error:
        return Availability(ready=False, reason=error.message, capabilities=_promised(name))
    return Availability(ready=True, capabilities=engine.abilities(model))


async def stream(request: ChatRequest) -> AsyncGenerator[Delta, None]:
    """The deltas of one model call: always exactly one ``Finished`` at the end, or an error.

    Closing the iterator closes the upstream connection.

    :raises EngineUnavailable: nothing can serve the model now; nothing was begun.
    :raises InferenceError: the call failed.
    """
    endpoint = await in_database(_endpoint, request.model)
    transport().record_tokens_with(_record_token)
    deltas = adapter_for(endpoint.kind).stream(endpoint, request)
    loop = asyncio.get_running_loop()
    started, waiting, outcome = loop.time(), True, "cancelled"
    metrics.ACTIVE.inc()
    try:
        async with aclosing(deltas):
            async for delta in deltas:
                if waiting:
                    waiting = False
                    metrics.FIRST_TOKEN.labels(endpoint.model).observe(loop.time() - started)
                if type(delta) is Finished:
                    outcome = delta.reason
                    _count(endpoint.model, delta.usage)
                yield delta
    except InferenceError as error:
        outcome = error.code
        log.warning("model_call_failed", model=endpoint.model, engine=endpoint.engine_id, error=error.message)
        if isinstance(error, EngineUnavailable):
            await in_database(
                services.mark_down, engine_id=endpoint.engine_id, reason=error.message, base_url=endpoint.base_url
            )
        raise
    finally:
        metrics.ACTIVE.dec()
        metrics.CALLS.labels(endpoint.model, outcome).inc()


async def close() -> None:
    """Close the connections of the running loop; to be called before it ends."""
    await close_transport()


def _count(model: str, usage: Usage) -> None:
    metrics.TOKENS.labels(model, "prompt").inc(usage.prompt_tokens)
    metrics.TOKENS.labels(model, "completion").inc(usage.completion_tokens)
    metrics.TOKENS.labels(model, "cached").inc(usage.cached_tokens)


async def _record_token(engine_id: str) -> None:
    await in_database(services.record_token, engine_id=engine_id)


def _endpoint(name: str) -> Endpoint:
    engine, model = _pick(name)
    return Endpoint(
        engine_id=engine.id,
        kind=engine.kind,
        base_url=engine.base_url,
        model=model,
        key=engine.key(),
        capabilities=engine.abilities(model),
    )


def _pick(name: str) -> tuple[Engine, str]:
    """A ready engine for ``name``, in turn where there are several, and the model's name there.

    :raises EngineUnavailable: with one sentence for people.
    """
    try:
        model = resolution.resolve(name)
    except ApiError as error:
        raise EngineUnavailable(error.message) from None
    if model is None:
        raise EngineUnavailable(_why_not(name, list(Engine.objects.all())))
    instant = now()
    serving = [engine for engine in Engine.objects.ready(instant) if engine.entry(model)]
    if not serving:
        raise EngineUnavailable(_why_not(model, list(Engine.objects.all())))
    return serving[next(_turn) % len(serving)], model


def _promised(name: str) -> Capabilities:
    """What the engine of a model could do when it was last seen."""
    try:
        model = resolution.resolve(name)
    except ApiError:
        return Capabilities()
    seen = [engine for engine in Engine.objects.all() if model and engine.entry(model)]
    return seen[0].abilities(model) if seen and model else Capabilities()


def _why_not(model: str, engines: list[Engine]) -> str:
    """Why no engine serves ``model``, from the engine that should: else from any that is not ready."""
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
    reason = engine.reason.rstrip(".")
    if engine.is_forgotten(instant):
        return (
            f"The engine of {engine.name} lost its supervisor, which last reported at {engine.heartbeat_at:%H:%M} UTC."
        )
    if engine.state == Engine.State.LOADING and engine.kind == Engine.Kind.VLLM:
        return f"The engine is loading {engine.name} since {since}."
    if engine.state == Engine.State.LOADING:
        return f"No engine serves '{model}': {engine.address} has not answered yet."
    if engine.provider_id is not None:
        return f"No engine serves '{model}': {reason or engine.address + ' is down'} since {since}."
    return f"The engine of {engine.name} is down since {since}{reason and ': ' + reason}."
