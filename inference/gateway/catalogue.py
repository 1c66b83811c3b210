"""The models that a project may call, by all the names they have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from inference.chat import Capabilities
from inference.models import Engine, ModelAlias, RegisteredModel
from inference.resolution import LOCAL, Registry, Target, is_able, suits
from sovereign.core.database import now

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
    registry, instant = Registry(project_id), now()
    entries: dict[str, ModelEntry] = {}
    for model in RegisteredModel.objects.all():
        if registry.may_use(model.name):
            entries[model.name] = _entry(model, registry, instant)
    for alias in ModelAlias.objects.select_related("model").order_by("created_at", "id"):
        if (meant := entries.get(alias.model.name)) is not None:
            entries[alias.alias] = replace(meant, id=alias.alias, created=_unix(alias.created_at))
    if (embedder := registry.embedder) is not None and embedder.name not in entries:
        entries[embedder.name] = _entry(_model_of(embedder), registry, instant, LOCAL)
    return list(entries.values())


def _model_of(embedder: Engine) -> RegisteredModel:
    """It is in no table: it came with this program."""
    return RegisteredModel(name=embedder.name, created_at=datetime.fromtimestamp(0, UTC))


def _entry(model: RegisteredModel, registry: Registry, instant: datetime, kind: str | None = None) -> ModelEntry:
    serving = registry.serving(Target(model.name, kind))
    ready = [engine for engine in serving if engine.is_ready(instant)]
    engine = next(iter(ready or serving), None)
    owner = registry.provider_of(engine) if engine is not None else None
    return ModelEntry(
        id=model.name,
        created=_unix(model.created_at),
        owned_by=owner.name if owner is not None else OURS,
        provider=owner.name if owner is not None else OURS,
        kind=engine.kind if engine else Engine.Kind.VLLM.value,
        capabilities=_capabilities(engine, model),
        ready=bool(ready),
        model=model.name,
    )


def _capabilities(engine: Engine | None, model: RegisteredModel) -> Capabilities:
    """What the engine says; of a model that nobody serves now what its name says."""
    if engine is None:
        return Capabilities(
            chat=suits(model.name, "chat"),
            embeddings=suits(model.name, "embeddings"),
            moderations=suits(model.name, "moderations"),
            context_length=model.context_length,
        )
    return replace(
        engine.abilities(model.name),
        chat=is_able(engine, model.name, "chat"),
        completions=is_able(engine, model.name, "completions"),
        embeddings=is_able(engine, model.name, "embeddings"),
        moderations=is_able(engine, model.name, "moderations"),
    )


def _unix(instant: datetime) -> int:
    return int(instant.timestamp())
