from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from inference import gateway, services
from inference.api.objects import DeletedModel, ModelList, ModelObject
from inference.gateway import ModelEntry
from inference.models import RegisteredModel
from inference.naming import MAXIMUM_NAME, Ability
from inference.resolution import Registry, Target, registry_of
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.scopes import MODELS_READ, MODELS_WRITE
from sovereign.core.errors import ApiError, model_not_found

ABILITIES: tuple[Ability, ...] = ("chat", "embeddings", "moderations")


def render_model(entry: ModelEntry, name: str | None = None) -> dict[str, Any]:
    """:param name: what it was asked for as, where that is no name of its own."""
    return {"id": name or entry.id, "object": "model", "created": entry.created, "owned_by": entry.owned_by}


def rendered(entries: list[ModelEntry]) -> Response:
    return Response({"object": "list", "data": [render_model(entry) for entry in entries]})


class ModelsView(ApiView):
    """The models that a project may use."""

    scopes: ClassVar = {"GET": MODELS_READ}

    @extend_schema(operation_id="listModels", responses=ModelList)
    def get(self, request: Request) -> Response:
        """The models, with their aliases."""
        return rendered(gateway.models(principal_of(request).project_id))


class ModelView(ApiView):
    """One model."""

    scopes: ClassVar = {"GET": MODELS_READ, "DELETE": MODELS_WRITE}

    @extend_schema(operation_id="retrieveModel", responses=ModelObject)
    def get(self, request: Request, model: str) -> Response:
        """Read a model, by its name or another name for it."""
        return Response(_shown(model, principal_of(request).project_id))

    @extend_schema(operation_id="deleteModel", responses=DeletedModel)
    def delete(self, request: Request, model: str) -> Response:
        """Forget a model that no engine serves any more."""
        principal = principal_of(request)
        entries = gateway.models(principal.project_id)
        entry = next((entry for entry in entries if entry.id == model), None)
        row = RegisteredModel.objects.filter(name=model).first()
        if entry is None or row is None:
            raise model_not_found(model[:MAXIMUM_NAME])
        services.delete_model(model=row, principal=principal)
        return Response({"id": model, "object": "model", "deleted": True})


def _shown(name: str, project_id: str) -> dict[str, Any]:
    """What a name means, also one that only leads to the default model or to a provider.

    :raises ApiError: 404.
    """
    entries = {entry.id: entry for entry in gateway.models(project_id)}
    if name in entries:
        return render_model(entries[name])
    registry = registry_of(project_id)
    target = _target(registry, name)
    if target.kind is None and target.model in entries:
        return render_model(entries[target.model], name)
    engine = next(iter(registry.serving(target)), None)
    if engine is None or engine.provider is None:
        raise model_not_found(name[:MAXIMUM_NAME])
    since = int(engine.provider.created_at.timestamp())
    return {"id": name, "object": "model", "created": since, "owned_by": engine.provider.name}


def _target(registry: Registry, name: str) -> Target:
    """:raises ApiError: 404."""
    for ability in ABILITIES:
        with suppress(ApiError):
            if (target := registry.resolve(name, ability)) is not None:
                return target
    raise model_not_found(name[:MAXIMUM_NAME])


class ProviderModelsView(ApiView):
    """The models of one provider: a sidecar's name for it."""

    scopes: ClassVar = {"GET": MODELS_READ}

    def get(self, request: Request, provider: str) -> Response:
        """The models of one provider, by its name or kind."""
        wanted = provider.casefold()
        entries = gateway.models(principal_of(request).project_id)
        found = [entry for entry in entries if wanted in (entry.provider.casefold(), entry.kind.casefold())]
        if not found:
            raise ApiError(f"No provider '{provider[:MAXIMUM_NAME]}' has a model here.", status=404, param="provider")
        return rendered(found)
