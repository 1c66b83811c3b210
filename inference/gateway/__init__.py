"""The one way from the rooms above to a model: resolves the name, picks an engine, streams, counts.

``check_model`` at the door and ``stream`` at run time resolve the same way; between them an engine may have come or
gone, which is why only ``stream`` asks for a working one.
"""

from __future__ import annotations

from collections.abc import Iterable

from inference import resolution
from inference.adapters.transport import close_transport
from inference.chat import Availability, Capabilities
from inference.gateway import routing
from inference.gateway.allowances import places
from inference.gateway.catalogue import ModelEntry, models
from inference.gateway.ledger import close_ledger
from inference.gateway.streaming import complete, embed, in_turns, moderate, stream
from inference.naming import Ability
from inference.resolution import Registry, registry_of
from sovereign.core.errors import ApiError

__all__ = [
    "ModelEntry",
    "availabilities",
    "availability",
    "check_model",
    "close",
    "complete",
    "default_model",
    "embed",
    "in_turns",
    "meanings",
    "models",
    "moderate",
    "places",
    "promised",
    "stream",
]


def check_model(name: str, *, project_id: str | None = None, ability: Ability = "chat") -> None:
    """Refuse a model that the project does not know; one whose engine is down passes.

    :raises ApiError: 404 ``model_not_found``; 400 ``unsupported_model``.
    """
    resolution.resolve(name, project_id, ability)


def default_model(*, project_id: str | None = None) -> str | None:
    """The name that a new assistant gets; ``None`` before anything is known."""
    return resolution.default_model(project_id)


def meanings(names: Iterable[str], *, project_id: str | None = None) -> dict[str, str | None]:
    """Which model each of these names means; ``None`` for one that means nothing."""
    registry = registry_of(project_id)
    return {name: _meaning(registry, name) for name in names}


def _meaning(registry: Registry, name: str) -> str | None:
    try:
        target = registry.resolve(name)
    except ApiError:
        return None
    return target.model if target is not None else None


def availability(name: str, *, project_id: str | None = None) -> Availability:
    """Whether ``name`` can be called now; mostly without a query."""
    return availabilities([name], project_id=project_id)[name]


def availabilities(names: Iterable[str], *, project_id: str | None = None) -> dict[str, Availability]:
    """Whether each of these can."""
    return routing.availabilities(names, project_id)


def promised(name: str, *, project_id: str | None = None) -> Capabilities:
    """What the model can do that a name means, without waking an engine that sleeps: for pages that only tell it."""
    return routing.promised(name, project_id)


async def close() -> None:
    """Write the usage that is still open, and close the connections; to be called before the running loop ends."""
    await close_ledger()
    await close_transport()
