"""From the name that a request gives to the model that is meant, for the project that asks.

Alias, then registered model, then a provider whose models begin like that, then the default for the names of OpenAI's
models, which old clients send; anything else is unknown. What a project may not use does not exist for it, whichever
name leads there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, TypeVar

from inference import snapshot
from inference.chat import EngineUnavailable
from inference.embedder import local_embedder
from inference.models import Engine
from inference.naming import (
    EMBEDDING_NAMES,
    MAXIMUM_NAME,
    MODERATION_NAMES,
    OTHER_OPENAI_NAMES,
    PREFIXES,
    Ability,
    configured_model,
    is_openai_name,
    suits,
)
from inference.snapshot import Snapshot
from sovereign.core.errors import ApiError, model_not_found, unsupported_model

T = TypeVar("T")

LOCAL = "local"  # the kind, and the id, of the embedder in this process


@dataclass(frozen=True, slots=True)
class Target:
    """What a name means: a model's name at the engines that have it.

    ``kind``: of the provider that is asked although it did not list the model, where only its prefix led there; or
    ``local``, for the embedder of this process.
    """

    model: str
    kind: str | None = None


def resolve(name: str, project_id: str | None = None, ability: Ability = "chat") -> Target | None:
    """What ``name`` means for a project (``None``: for the house, which may use everything).

    ``None`` where only the default would do and there is none yet.

    :raises ApiError: 404 ``model_not_found``; 400 ``unsupported_model`` for one that cannot do what is asked.
    """
    return ask(project_id, lambda registry: registry.resolve(name, ability))


def default_model(project_id: str | None = None) -> str | None:
    """What a new assistant gets: the configured model, the one chosen in the admin, else the first that is served."""
    return registry_of(project_id).default


def registry_of(project_id: str | None, known: Snapshot | None = None) -> Registry:
    """The registry as a project sees it now.

    :param known: as of this moment.
    """
    known = known or snapshot.current()
    found: Registry | None = known.worked_out.get(project_id)
    if found is None:
        found = Registry(project_id, known)
        known.keep(project_id, found)
    return found


def ask(project_id: str | None, question: Callable[[Registry], T], settles: Callable[[T], bool] = bool) -> T:
    """What the registry in memory says; where that is a no, what it says when it is read anew.

    Another process may have made known just now what is asked for.

    :param settles: whether an answer is no no.
    :raises ApiError: what ``question`` raises.
    :raises EngineUnavailable: likewise.
    """
    begun = time.monotonic()
    known = snapshot.current()
    try:
        answer = question(registry_of(project_id, known))
        if settles(answer) or known.moment >= begun:
            return answer
    except (ApiError, EngineUnavailable):
        if known.moment >= begun:
            raise
    return question(registry_of(project_id, snapshot.read()))


class Registry:
    """The registry as one project sees it at one moment. All threads share it."""

    def __init__(self, project_id: str | None, known: Snapshot | None = None) -> None:
        self.known = known or snapshot.current()
        self._project_id = project_id
        self._targets: dict[tuple[str, Ability], Target | None] = {}

    @cached_property
    def engines(self) -> list[Engine]:
        """Those that the project may send its words to, in any state."""
        return [engine for engine in self.known.engines if self._may_ask(engine)]

    def _may_ask(self, engine: Engine) -> bool:
        return engine.provider is None or self.known.may_use(engine.provider, self._project_id)

    @cached_property
    def embedder(self) -> Engine | None:
        """The embedder that lives in this process, as an engine that has no row: everybody may use it."""
        found = local_embedder()
        if found is None:
            return None
        entry = {"id": found.name, "context_length": found.context_length}
        can = {"chat": False, "completions": False, "embeddings": True, "moderations": False}
        since, ready = found.made_at, Engine.State.READY
        return Engine(
            id=LOCAL, kind=LOCAL, name=found.name, served=[entry], capabilities=can, state=ready, created_at=since
        )

    def serving(self, target: Target) -> list[Engine]:
        """The engines that have the model, in any state."""
        if target.kind == LOCAL:
            return [self.embedder] if self.embedder is not None else []
        if target.kind is not None:
            return [engine for engine in self.engines if engine.kind == target.kind]
        return self._by_model.get(target.model, [])

    @cached_property
    def _by_model(self) -> dict[str, list[Engine]]:
        found: dict[str, list[Engine]] = {}
        for engine in self.engines:
            for name in self.known.entries[engine.pk]:
                found.setdefault(name, []).append(engine)
        return found

    def entry(self, engine: Engine, model: str) -> dict[str, Any]:
        """What an engine said about a model; nothing where it does not list it."""
        if engine.pk == LOCAL:
            return engine.entry(model) or {}
        return self.known.entries.get(engine.pk, {}).get(model, {})

    # ------------------------------------------------------------------------------------- rights

    def may_use(self, model: str) -> bool:
        """Whether the project may use one of the engines that have it, or may know of it although nobody has it."""
        if model in self._by_model:
            return True
        return model not in self._hidden and self._may_know(model)

    @cached_property
    def _hidden(self) -> set[str]:
        """The names of the models of engines that the project may not use."""
        hidden = [engine for engine in self.known.engines if not self._may_ask(engine)]
        return {name for engine in hidden for name in self.known.entries[engine.pk]}

    def _may_know(self, model: str) -> bool:
        row = self.known.models.get(model)
        if row is None or not row.learned_from:
            return True
        provider = self.known.providers.get(row.learned_from)
        if provider is None:  # deleted: whom it was for is not known any more
            return self._project_id is None
        return self.known.may_use(provider, self._project_id)

    # ------------------------------------------------------------------------------------- names

    def resolve(self, name: str, ability: Ability = "chat") -> Target | None:
        """See :func:`resolve`."""
        asked = (name, ability)
        if asked in self._targets:
            return self._targets[asked]
        found = self._resolve(name, ability)
        if len(self._targets) < snapshot.REMEMBERED:
            self._targets[asked] = found
        return found

    def _resolve(self, name: str, ability: Ability) -> Target | None:
        if (registered := self.find(name)) is not None:
            target = Target(registered)
            if not self.is_able(target, ability):
                raise unable(name, ability)
            return target
        if self.embedder is not None and self.embedder.name == name:
            if ability != "embeddings":
                raise unable(name, ability)
            return Target(name, LOCAL)
        if (target_of_prefix := self._by_prefix(name, ability)) is not None:
            return target_of_prefix
        return self._default_for(name, ability)

    def find(self, name: str) -> str | None:
        """The registered model that ``name`` names or is an alias of, aliases before names, if it may be used."""
        return next((model for model in self._called(name) if self.may_use(model)), None)

    def _called(self, name: str) -> list[str]:
        alias = self.known.aliases.get(name)
        return [*([alias.model] if alias is not None else []), *([name] if name in self.known.models else [])]

    def _by_prefix(self, name: str, ability: Ability) -> Target | None:
        kinds = {kind for kind, names in PREFIXES.items() if names.match(name)}
        if not kinds or len(name) > MAXIMUM_NAME or not name.isprintable() or not suits(name, ability):
            return None
        return next((Target(name, engine.kind) for engine in self.engines if engine.kind in kinds), None)

    # ------------------------------------------------------------------------------------- abilities

    def is_able(self, target: Target, ability: Ability) -> bool:
        """What its engines say of it decides, and where they say nothing its name."""
        serving = self.serving(target)
        if not serving:
            return suits(target.model, ability)
        return any(self.can(engine, target.model, ability) for engine in serving)

    def can(self, engine: Engine, model: str, ability: Ability) -> bool:
        """Whether an engine can do that with this model."""
        said = self.entry(engine, model).get("abilities", {})
        if ability in said:
            return bool(said[ability])
        if ability in engine.capabilities:
            return bool(engine.capabilities[ability])
        return suits(model, ability)

    # ------------------------------------------------------------------------------------- defaults

    @cached_property
    def default(self) -> str | None:
        """See :func:`default_model`."""
        if (configured := self._configured()) is not None:
            return configured
        models = [model for model in self.known.models.values() if self.may_use(model.name)]
        if chosen := [model.name for model in models if model.is_default]:
            return chosen[0]
        names = [model.name for model in models if self.is_able(Target(model.name), "chat")]
        return self._first_served(names) or next(iter(names), None)

    def _configured(self) -> str | None:
        """The configured model, which may not be registered yet; ``None`` where the project may not use it."""
        configured = configured_model()
        if not configured:
            return None
        if (found := self.find(configured)) is not None:
            return found
        return configured if not self._called(configured) and self.may_use(configured) else None

    def _first_served(self, names: list[str]) -> str | None:
        up = [engine for engine in self.engines if engine.state != Engine.State.DOWN]
        return next((name for name in names if any(name in self.known.entries[engine.pk] for engine in up)), None)

    def _default_for(self, name: str, ability: Ability) -> Target | None:
        """What an unknown name of OpenAI's means here.

        :raises ApiError: 404, 400.
        """
        if ability in ("embeddings", "moderations"):
            return self._default_of(name, ability)
        if not is_openai_name(name):
            raise model_not_found(name[:MAXIMUM_NAME])
        if OTHER_OPENAI_NAMES.search(name):
            raise unsupported_model(name[:MAXIMUM_NAME])
        default = self.default
        return Target(default) if default is not None else None

    def _default_of(self, name: str, ability: Ability) -> Target:
        """The first model that makes embeddings, or moderations, for the names that OpenAI's have.

        :raises ApiError: 404.
        """
        names = MODERATION_NAMES if ability == "moderations" else EMBEDDING_NAMES
        if not names.search(name) or len(name) > MAXIMUM_NAME:
            raise model_not_found(name[:MAXIMUM_NAME])
        if ability == "embeddings" and self.embedder is not None:
            return Target(self.embedder.name, LOCAL)
        for engine in sorted(self.engines, key=lambda engine: engine.state != Engine.State.READY):
            for model in self.known.entries[engine.pk]:
                if self.can(engine, model, ability):
                    return Target(model)
        raise nobody_can(name, ability)


def unable(name: str, ability: Ability) -> ApiError:
    """For a model that exists and is for something else."""
    shown = name[:MAXIMUM_NAME]
    if ability == "chat":
        return unsupported_model(shown)
    return ApiError(
        f"The requested model '{shown}' cannot be used for {ability}.", param="model", code="unsupported_model"
    )


def nobody_can(name: str, ability: Ability) -> ApiError:
    """Nothing that this project may use does that."""
    return ApiError(
        f"The model '{name[:MAXIMUM_NAME]}' does not exist, and no model here is for {ability}.",
        status=HTTPStatus.NOT_FOUND,
        param="model",
        code="model_not_found",
    )
