"""Which engines may answer a call, best first: those of the model itself, then those of its fallbacks.

What stands in rows decides here, and is mostly in memory (``inference.snapshot``); which of several engines is taken is
decided by what this process knows about them (``balance``, ``breaker``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from inference import snapshot
from inference.adapters.base import Endpoint
from inference.chat import Availability, Capabilities, EngineUnavailable
from inference.endpoints import endpoint_of
from inference.gateway.sentences import why_not
from inference.models import Engine, Provider
from inference.naming import Ability
from inference.resolution import Registry, Target, ask, registry_of
from sovereign.core.database import service
from sovereign.core.errors import ApiError

WANTED_INTERVAL = timedelta(seconds=2)  # between two notes that a sleeping engine is wanted


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An engine that may be asked, how busy it said it was, and whether it lists the model."""

    endpoint: Endpoint
    provider: Provider | None
    busy: int
    is_listed: bool = True


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
    return ask(project_id, partial(_routes, name, ability), lambda found: any(route.candidates for route in found))


def _routes(name: str, ability: Ability, registry: Registry) -> list[Route]:
    target = _target(registry, name, ability)
    if target is None:
        return [Route(name, [], why_not(name, registry.engines))]
    first = _route(registry, target, ability)
    return [first] if first.candidates else [first, *_fallbacks(registry, target, ability)]


def routes_in_memory(name: str, project_id: str | None, ability: Ability = "chat") -> list[Route] | None:
    """As ``routes``, without the database; ``None`` where it has to be asked. May be called in the loop."""
    known = snapshot.fresh()
    if known is None:
        return None
    asked = (name, project_id, ability)
    found: Route | None = known.worked_out.get(asked)
    if found is None:
        registry = registry_of(project_id, known)
        target = _target(registry, name, ability)
        found = Route(name, []) if target is None else _ready(registry, target, ability)
        if not found.candidates:
            return None
        known.keep(asked, found)
    return [found]


def narrowed(route: Route, engine_id: str) -> Route:
    """The same with no other engine than this one."""
    candidates = [candidate for candidate in route.candidates if candidate.endpoint.engine_id == engine_id]
    reason = "" if candidates else route.reason or f"The engine does not serve '{route.model}' at the moment."
    return replace(route, candidates=candidates, reason=reason)


def fallback_routes(model: str, project_id: str | None, ability: Ability = "chat") -> list[Route]:
    """What may answer in the place of ``model``, whose own engines did not."""
    return _fallbacks(registry_of(project_id), Target(model), ability)


def availabilities(names: Iterable[str], project_id: str | None) -> dict[str, Availability]:
    """Which of ``names`` can be called now. An engine of one that sleeps is told that it is wanted."""
    wanted = list(names)

    def question(registry: Registry) -> dict[str, Availability]:
        return {name: _availability(registry, name) for name in wanted}

    return ask(project_id, question, lambda found: all(each.ready for each in found.values()))


def promised(name: str, project_id: str | None) -> Capabilities:
    """What the model can do that a name means, as its engines said it last: ready ones first. Wakes none of them."""
    registry = registry_of(project_id)
    try:
        target = registry.resolve(name)
    except ApiError:
        target = None
    seen = registry.serving(target) if target is not None else []
    if target is None or not seen:
        return Capabilities()
    best = next((engine for engine in seen if engine.is_ready(registry.known.instant)), seen[0])
    return best.promised(registry.entry(best, target.model))


def _availability(registry: Registry, name: str) -> Availability:
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
    promised = seen[0].promised(registry.entry(seen[0], target.model)) if seen else Capabilities()
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


def _ready(registry: Registry, target: Target, ability: Ability) -> Route:
    """The engines that are ready, or why one that is ready cannot be asked."""
    model, instant, candidates, reason = target.model, registry.known.instant, [], ""
    for engine in _able(registry, target, ability):
        if not engine.is_ready(instant):
            continue
        said = registry.entry(engine, model)
        try:
            endpoint = endpoint_of(engine, model, said)
        except EngineUnavailable as error:
            reason = error.message
            continue
        busy = (engine.running or 0) + (engine.waiting or 0)
        candidates.append(Candidate(endpoint, engine.provider, busy, bool(said)))
    return Route(model, candidates, reason)


def _able(registry: Registry, target: Target, ability: Ability) -> list[Engine]:
    return [engine for engine in registry.serving(target) if registry.can(engine, target.model, ability)]


def _route(registry: Registry, target: Target, ability: Ability) -> Route:
    """As ``_ready``; engines that sleep are told that they are wanted, where none is ready."""
    found = _ready(registry, target, ability)
    if found.candidates:
        return found
    asleep = [engine for engine in _able(registry, target, ability) if engine.state == Engine.State.ASLEEP]
    _want(asleep, registry.known.instant)
    return Route(target.model, [], found.reason or why_not(target.model, registry.engines))


def _fallbacks(registry: Registry, target: Target, ability: Ability) -> list[Route]:
    """In the order that was chosen; those that this project may use, and that can do what is asked."""
    found = []
    for name in registry.known.fallbacks.get(target.model, []):
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
