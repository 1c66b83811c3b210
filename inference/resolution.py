"""From the name that a request gives to the model that is meant, for the project that asks.

Alias, then registered model, then a provider whose models begin like that, then the default for the names of OpenAI's
models, which old clients send; anything else is unknown. What a project may not use does not exist for it, whichever
name leads there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from django.db import connection
from django.db.models import Exists, F, Q, QuerySet, TextField
from django.db.models.functions import Cast

from inference.embedder import local_embedder
from inference.models import Engine, Provider, RegisteredModel
from inference.querysets import RegisteredModelQuerySet
from sovereign.core.database import Prepared
from sovereign.core.errors import ApiError, model_not_found, unsupported_model

Ability = Literal["chat", "completions", "embeddings", "moderations"]

OPENAI_NAMES = re.compile(r"(gpt-|chatgpt-|o[1-9](-|$)|text-|davinci|babbage|ft:gpt-|codex-)", re.IGNORECASE)
# engines list their models without saying what they are for: their names do, "nomic-embed-text" and "embedded-llama"
EMBEDDING_NAMES = re.compile(r"(?<![a-z])(embed|embedding|embeddings|rerank|reranker)(?![a-z])", re.IGNORECASE)
MODERATION_NAMES = re.compile(r"(?<![a-z])moderation(?![a-z])", re.IGNORECASE)
OTHER_OPENAI_NAMES = re.compile(r"-(embedding|moderation|transcribe|tts|image|realtime)(-|$)", re.IGNORECASE)
#: which names a provider is asked for that did not list them: it may have more models than it lists
PREFIXES: dict[str, re.Pattern[str]] = {
    Provider.Kind.OPENAI.value: re.compile(r"(gpt-|chatgpt-|o[1-9](-|$)|ft:|text-|omni-)", re.IGNORECASE),
    Provider.Kind.ANTHROPIC.value: re.compile(r"claude-", re.IGNORECASE),
}
LOCAL = "local"  # the kind, and the id, of the embedder in this process
STARTER = "sovereign-starter"  # inference.starter.persona.MODEL_NAME, one room further up
STARTER_WEIGHTS = Path(__file__).resolve().parent / "starter" / "weights"
MAXIMUM_NAME = 200
CANNOT_CHAT = '"chat": false'  # how an engine's row says it, in both databases


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
    return Registry(project_id).resolve(name, ability)


def default_model(project_id: str | None = None) -> str | None:
    """What a new assistant gets: the configured model, the one chosen in the admin, else the first that is served."""
    return Registry(project_id).default


def find(name: str, project_id: str | None = None) -> str | None:
    """The registered model that ``name`` names or is an alias of."""
    return Registry(project_id).find(name)


class Registry:
    """The registry as one project sees it at one moment: each part is read once, when it is needed."""

    def __init__(self, project_id: str | None) -> None:
        self._project_id = project_id
        self._called: dict[str, list[tuple[str, str | None, bool, bool]]] = {}

    @cached_property
    def engines(self) -> list[Engine]:
        """Those that the project may send its words to, in any state."""
        return list(Engine.objects.raw(*_usable(self._project_id)))

    @cached_property
    def _providers(self) -> dict[str, Provider]:
        return {provider.pk: provider for provider in Provider.objects.raw(*_ENABLED.with_values())}

    def provider_of(self, engine: Engine) -> Provider | None:
        """All of them are read at once; ``None`` for an engine of ours, and where it was taken away meanwhile."""
        return self._providers.get(engine.provider_id) if engine.provider_id is not None else None

    @cached_property
    def _hidden(self) -> set[str]:
        """The names of the models of engines that the project may not use."""
        hidden = Engine.objects.exclude(pk__in=[engine.pk for engine in self.engines])
        return {entry["id"] for served in hidden.values_list("served", flat=True) for entry in served}

    @cached_property
    def embedder(self) -> Engine | None:
        """The embedder that lives in this process, as an engine that has no row: everybody may use it."""
        found = local_embedder()
        if found is None:
            return None
        entry = {"id": found.name, "context_length": found.context_length}
        can = {"chat": False, "completions": False, "embeddings": True, "moderations": False}
        return Engine(id=LOCAL, kind=LOCAL, name=found.name, served=[entry], capabilities=can, state=Engine.State.READY)

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
            for name in dict.fromkeys(entry["id"] for entry in engine.served):
                found.setdefault(name, []).append(engine)
        return found

    # ------------------------------------------------------------------------------------- names

    def resolve(self, name: str, ability: Ability = "chat") -> Target | None:
        """See :func:`resolve`."""
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
        """See :func:`find`."""
        return next((model for model, _, _, _ in self._find(name)), None)

    def _find(self, name: str) -> list[tuple[str, str | None, bool, bool]]:
        """The row of the model that is meant by ``name``, aliases before names, if the project may use it."""
        rows = self._rows(name)
        ordered = [row for row in rows if row[1] == name] + [row for row in rows if row[0] == name]
        return [row for row in ordered if not row[2] or self.may_use(row[0])][:1]

    def _rows(self, name: str) -> list[tuple[str, str | None, bool, bool]]:
        if not name or len(name) > MAXIMUM_NAME or "\x00" in name:
            return []
        if name not in self._called:
            configured = (configured_model() if is_openai_name(name) else "") or name
            with connection.cursor() as cursor:
                cursor.execute(*_called(name, configured, self._project_id))
                rows = cursor.fetchall()
            for wanted in {name, configured}:  # the configured model is the default: one query knows both
                self._called[wanted] = [row for row in rows if wanted in row[:2]]
        return self._called[name]

    def may_use(self, model: str) -> bool:
        """Whether the project may use one of the engines that have it; one that nobody has is away, and no secret."""
        return model in self._by_model or model not in self._hidden

    def _by_prefix(self, name: str, ability: Ability) -> Target | None:
        kinds = {kind for kind, names in PREFIXES.items() if names.match(name)}
        if not kinds or len(name) > MAXIMUM_NAME or not name.isprintable() or not suits(name, ability):
            return None
        return next((Target(name, engine.kind) for engine in self.engines if engine.kind in kinds), None)

    # ------------------------------------------------------------------------------------- abilities

    def is_able(self, target: Target, ability: Ability) -> bool:
        """What its engines say of it decides, and where they say nothing its name."""
        rows = self._called.get(target.model, []) if target.kind is None else []
        if ability == "chat" and rows and not any(peculiar for *_, peculiar in rows):
            return suits(target.model, ability)  # no engine says of any model that it cannot chat
        serving = self.serving(target)
        if not serving:
            return suits(target.model, ability)
        return any(is_able(engine, target.model, ability) for engine in serving)

    # ------------------------------------------------------------------------------------- defaults

    @cached_property
    def default(self) -> str | None:
        """See :func:`default_model`."""
        if configured := configured_model():
            return self.find(configured) or configured
        with connection.cursor() as cursor:
            cursor.execute(*_all(self._project_id))
            rows = cursor.fetchall()
        names = [(name, is_default) for name, is_default, guarded in rows if not guarded or self.may_use(name)]
        models = [(name, chosen) for name, chosen in names if chosen or self.is_able(Target(name), "chat")]
        if chosen := [name for name, is_default in models if is_default]:
            return chosen[0]
        return self._first_served([name for name, _ in models]) or next((name for name, _ in models), None)

    def _first_served(self, names: list[str]) -> str | None:
        served = {entry["id"] for engine in self.engines if engine.state != "down" for entry in engine.served}
        return next((name for name in names if name in served), None)

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
            for entry in engine.served:
                if is_able(engine, entry["id"], ability):
                    return Target(entry["id"])
        raise nobody_can(name, ability)


# ----------------------------------------------------------------------------------------- what engines and names say


def is_able(engine: Engine, model: str, ability: Ability) -> bool:
    """Whether an engine can do that with this model."""
    said = {**engine.capabilities, **(engine.entry(model) or {}).get("abilities", {})}
    if ability in said:
        return bool(said[ability])
    return suits(model, ability)


def suits(name: str, ability: Ability) -> bool:
    """What a model's name tells of what it is for: engines that are merely OpenAI-compatible do not say."""
    if ability == "embeddings":
        return is_embedding_name(name)
    if ability == "moderations":
        return MODERATION_NAMES.search(name) is not None
    return not is_embedding_name(name) and MODERATION_NAMES.search(name) is None


def is_openai_name(name: str) -> bool:
    return OPENAI_NAMES.match(name) is not None


def is_embedding_name(name: str) -> bool:
    """Whether a model of this name makes vectors or scores, and no answers."""
    return EMBEDDING_NAMES.search(name) is not None


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


# ----------------------------------------------------------------------------------------- names of our own


def configured_model() -> str:
    """The name under which the operator's ``MODEL_NAME`` is served; empty where none is set."""
    return served_name(settings.SOVEREIGN.model_name) if settings.SOVEREIGN.model_name else ""


def served_name(model: str) -> str:
    """The name under which we serve ``model``: of a folder its last part, of a repository all of it.

    >>> served_name("/models/qwen"), served_name("Qwen/Qwen3-8B"), served_name("")
    ('qwen', 'Qwen/Qwen3-8B', 'sovereign-starter')
    """
    folder = model_folder(model)
    if folder is None:
        return model[:MAXIMUM_NAME]
    return STARTER if folder == STARTER_WEIGHTS else folder.name[:MAXIMUM_NAME]


def model_folder(model: str) -> Path | None:
    """The folder that ``model`` means (it may be missing); ``None`` for a name in a repository of models."""
    if not model:
        return STARTER_WEIGHTS
    path = Path(model).expanduser()
    return path.resolve() if path.is_absolute() or model.startswith(".") or path.is_dir() else None


# ----------------------------------------------------------------------------------------- queries


def _flagged(models: RegisteredModelQuerySet, project_id: str | None) -> Any:
    """``guarded``: there are engines that the project may not use. ``peculiar``: some say of a model that it cannot
    chat. Both are rare, and where there are none a model's row alone tells that it may be used.
    """
    usable = Engine.objects.usable_by(project_id).values("pk")
    said = Engine.objects.annotate(
        models_said=Cast(F("served"), TextField()), engine_said=Cast(F("capabilities"), TextField())
    )
    says_no = said.filter(Q(models_said__contains=CANNOT_CHAT) | Q(engine_said__contains=CANNOT_CHAT))
    return models.annotate(guarded=Exists(Engine.objects.exclude(pk__in=usable)), peculiar=Exists(says_no))


def _rows_called(name: str, configured: str, project_id: str | None) -> QuerySet[RegisteredModel, Any]:
    models = RegisteredModel.objects.filter(
        Q(name=name) | Q(aliases__alias=name) | Q(name=configured) | Q(aliases__alias=configured)
    )
    return _flagged(models, project_id).values_list("name", "aliases__alias", "guarded", "peculiar")


_CALLED = Prepared(lambda name, configured, project: _rows_called(name, configured, project))
_CALLED_BY_HOUSE = Prepared(lambda name, configured: _rows_called(name, configured, None))


def _rows_of_all(project_id: str | None) -> QuerySet[RegisteredModel, Any]:
    return _flagged(RegisteredModel.objects.all(), project_id).values_list("name", "is_default", "guarded")


_ALL = Prepared(lambda project: _rows_of_all(project))
_ALL_OF_HOUSE = Prepared(lambda: _rows_of_all(None))


def _all(project_id: str | None) -> tuple[str, list[Any]]:
    """The query for the names and flags of all models."""
    return _ALL_OF_HOUSE.with_values() if project_id is None else _ALL.with_values(project_id)


_USABLE = Prepared(lambda project: Engine.objects.usable_by(project))
_USABLE_BY_HOUSE = Prepared(lambda: Engine.objects.usable_by(None))
_ENABLED = Prepared(lambda: Provider.objects.filter(enabled=True).order_by())


def _usable(project_id: str | None) -> tuple[str, list[Any]]:
    return _USABLE_BY_HOUSE.with_values() if project_id is None else _USABLE.with_values(project_id)


def _called(name: str, configured: str, project_id: str | None) -> tuple[str, list[Any]]:
    """The query for names, aliases and flags of the models that either name may mean."""
    if project_id is None:
        return _CALLED_BY_HOUSE.with_values(name, configured)
    return _CALLED.with_values(name, configured, project_id)
