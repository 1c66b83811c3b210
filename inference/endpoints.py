"""From a row of the registry to where a call goes: one function for calls, probes and tests of a connection."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from inference.adapters.base import Endpoint, Patience
from inference.chat import Capabilities, EngineUnavailable
from inference.models import Engine, Provider


def endpoint_of(engine: Engine, model: str, said: dict[str, Any] | None = None) -> Endpoint:
    """Where a call of ``model`` goes on ``engine``; ``model`` may be empty where only its models are listed.

    A query for the provider, unless it was selected together with the engine.

    :param said: what the engine said of the model, where that is known.
    :raises EngineUnavailable: this process lacks the environment variable that holds the key.
    """
    capabilities = engine.abilities(model) if said is None else engine.promised(said)
    if engine.provider is None:
        return Endpoint(
            engine_id=engine.id,
            kind=engine.kind,
            base_url=engine.base_url,
            model=model,
            key=engine.key(),
            capabilities=capabilities,
        )
    return _of_provider(engine.provider, engine, model, capabilities)


def _of_provider(provider: Provider, engine: Engine, model: str, capabilities: Capabilities) -> Endpoint:
    """As ``endpoint_of``, of an engine and its provider."""
    key = provider.key()
    if provider.key_variable and not key:
        missing = f"The environment variable {provider.key_variable} is not set in this process."
        if not settings.SOVEREIGN.key_goes_to(provider.key_variable, provider.base_url):
            missing = f"The environment variable {provider.key_variable} is not for this address."
        raise EngineUnavailable(f"The provider {provider.name} has no key at the moment.", detail=missing)
    return Endpoint(
        engine_id=engine.id,
        kind=provider.kind,
        base_url=provider.base_url,
        model=model,
        key=key,
        capabilities=capabilities,
        patience=Patience(
            first_token=provider.first_token_seconds, idle=provider.idle_seconds, total=provider.total_seconds
        ),
        inner_network=provider.inner_network,
        options=provider.options,
    )
