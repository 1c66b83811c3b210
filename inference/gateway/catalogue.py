"""The models that a project may call, by all the names they have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from inference import snapshot
from inference.chat import Capabilities
from inference.models import Engine
from inference.naming import suits
from inference.resolution import LOCAL, Registry, Target, registry_of
from inference.snapshot import KnownModel

OURS = "sovereign"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A name that may be asked for. ``provider`` is the provider's name and ``kind`` its kind, of an engine of ours
    ``sovereign`` and ``vllm``; ``created`` is in unix seconds; ``model`` is what an alias stands for."""

    id: str
    created: int
    owned_by: str
    provider: str
    kind: str
    capabilities: Capabilities
    ready: bool
    model: str


def models(project_id: str | None) -> list[ModelEntry]:
    """Registered models and their aliases, oldest first: what the project may not use is not among them."""
    registry = registry_of(project_id, snapshot.read())
    models = [model for model in registry.known.models.values() if registry.may_use(model.name)]
    entries = {model.name: _entry(model, registry) for model in models}
    for alias in registry.known.aliases.values():
        if (meant := entries.get(alias.model)) is not None:
            entries[alias.alias] = replace(meant, id=alias.alias, created=_unix(alias.created_at))
    if (embedder := registry.embedder) is not None and embedder.name not in entries:
        model = KnownModel(embedder.name, False, None, embedder.created_at, "")
        entries[embedder.name] = _entry(model, registry, LOCAL)
    return list(entries.values())


def _entry(model: KnownModel, registry: Registry, kind: str | None = None) -> ModelEntry:
    serving, instant = registry.serving(Target(model.name, kind)), registry.known.instant
    ready = [engine for engine in serving if engine.is_ready(instant)]
    engine = next(iter(ready or serving), None)
    owner = engine.provider if engine is not None else None
    return ModelEntry(
        id=model.name,
        created=_unix(model.created_at),
        owned_by=owner.name if owner is not None else OURS,
        provider=owner.name if owner is not None else OURS,
        kind=engine.kind if engine else Engine.Kind.VLLM.value,
        capabilities=_capabilities(engine, model, registry),
        ready=bool(ready),
        model=model.name,
    )


def _capabilities(engine: Engine | None, model: KnownModel, registry: Registry) -> Capabilities:
    """What the engine says; of a model that nobody serves now what its name says."""
    if engine is None:
        return Capabilities(
            chat=suits(model.name, "chat"),
            embeddings=suits(model.name, "embeddings"),
            moderations=suits(model.name, "moderations"),
            context_length=model.context_length,
        )
    return replace(
        engine.promised(registry.entry(engine, model.name)),
        chat=registry.can(engine, model.name, "chat"),
        completions=registry.can(engine, model.name, "completions"),
        embeddings=registry.can(engine, model.name, "embeddings"),
        moderations=registry.can(engine, model.name, "moderations"),
    )


def _unix(instant: datetime) -> int:
    return int(instant.timestamp())
