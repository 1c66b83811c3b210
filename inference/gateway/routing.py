"""Which engines may answer a call, best first: those of the model itself, then those of its fallbacks.

What stands in rows is read here, synchronously, once for each call; which of several engines is taken is decided by
what this process knows about them (``balance``, ``breaker``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from inference.adapters.base import Endpoint
from inference.chat import Availability, Capabilities, EngineUnavailable
from inference.endpoints import endpoint_of
from inference.gateway.sentences import why_not
from inference.models import Engine, ModelFallback, Provider
from inference.resolution import Ability, Registry, Target, is_able
from sovereign.core.database import now, service
from sovereign.core.errors import ApiError

WANTED_INTERVAL = timedelta(seconds=2)  # between two notes that a sleeping engine is wanted


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An engine that may be asked, and how busy it said it was."""

    endpoint: Endpoint
    provider: Provider | None
    busy: int


@dataclass(frozen=True, slots=True)
class Route:
    """One model that may answer, on the engines that are ready for it; ``reason`` says why there is none."""

    model: str
    candidates: list[Candidate]
    reason: str = ""


def routes(name: str, project_id: str | None, ability: Ability = "chat") -> list[Route]:
    """What may answer to ``name``: the model that is meant, and its fallbacks where none of its own engines is ready.

    :raises EngineUnavailable: nobody knows the name.
    """
    registry = Registry(project_id)
    target = _target(registry, name, ability)
    if target is None:
        return [Route(name, [], why_not(name, registry.engines))]
    first = _route(registry, target, ability)
    return [first] if first.candidates else [first, *_fallbacks(registry, target, ability)]


def fallback_routes(model: str, project_id: str | None, ability: Ability = "chat") -> list[Route]:
    """What may answer in the place of ``model``, whose own engines did not."""
    return _fallbacks(Registry(project_id), Target(model), ability)


def availability(name: str, project_id: str | None) -> Availability:
    """Whether ``name`` can be called now. An engine of it that sleeps is told that it is wanted."""
    registry = Registry(project_id)
    try:
        target = _target(registry, name, "chat")
    except EngineUnavailable as error:
        return Availability(ready=False, reason=error.message)
    if target is None:
        return Availability(ready=False, reason=why_not(name, registry.engines))
    first = _route(registry, target, "chat")
    for route in [first] if first.candidates else [first, *_fallbacks(registry, target, "chat")]:
        if route.candidates:
            return Availability(ready=True, capabilities=_of_all(route.candidates))
    seen = registry.serving(target)
    promised = seen[0].abilities(target.model) if seen else Capabilities()
    return Availability(ready=False, reason=first.reason, capabilities=promised)


def _of_all(candidates: list[Candidate]) -> Capabilities:
    """What can be counted on, whichever of them is asked: the first one's, and the shortest context."""
    lengths = [candidate.endpoint.capabilities.context_length for candidate in candidates]
    shortest = min((length for length in lengths if length is not None), default=None)
    return replace(candidates[0].endpoint.capabilities, context_length=shortest)


def _target(registry: Registry, name: str, ability: Ability) -> Target | None:
    try:
        return registry.resolve(name, ability)
    except ApiError as error:
        raise EngineUnavailable(error.message) from None


def _route(registry: Registry, target: Target, ability: Ability) -> Route:
    model, instant = target.model, now()
    serving = [engine for engine in registry.serving(target) if is_able(engine, model, ability)]
    candidates, reason = [], ""
    for engine in (engine for engine in serving if engine.is_ready(instant)):
        provider = registry.provider_of(engine)
        if provider is None and engine.provider_id is not None:
            continue
        engine.provider = provider
        try:
            endpoint = endpoint_of(engine, model)
        except EngineUnavailable as error:
            reason = error.message
            continue
        candidates.append(Candidate(endpoint, provider, (engine.running or 0) + (engine.waiting or 0)))
    if candidates:
        return Route(model, candidates)
    _want([engine for engine in serving if engine.state == Engine.State.ASLEEP], instant)
    return Route(model, [], reason or why_not(model, registry.engines))


def _fallbacks(registry: Registry, target: Target, ability: Ability) -> list[Route]:
    """In the order that was chosen; those that this project may use, and that can do what is asked."""
    chosen = ModelFallback.objects.filter(model__name=target.model).order_by("position")
    found = []
    for name in chosen.values_list("fallback__name", flat=True):
        fallback = Target(name)
        if registry.serving(fallback) and registry.is_able(fallback, ability):
            found.append(_route(registry, fallback, ability))
    return found


def _want(engines: list[Engine], instant: datetime) -> None:
    """Their supervisors wake them; written only now and then, since many may want the same."""
    late = instant - WANTED_INTERVAL
    due = [engine.pk for engine in engines if engine.wanted_at is None or engine.wanted_at < late]
    if due:
        _note_wanted(due, instant)


@service
def _note_wanted(engine_ids: list[str], instant: datetime) -> None:
    Engine.objects.filter(pk__in=engine_ids, state=Engine.State.ASLEEP).update(wanted_at=instant)
