"""Small things that several of these tests need."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.test import override_settings

from inference import services
from inference.adapters.base import Endpoint
from inference.gateway import balance
from inference.gateway.routing import Candidate
from inference.models import Engine, Provider
from sovereign.core.database import now


@contextmanager
def configured(**changes: Any) -> Iterator[None]:
    """The configuration with other values, and without the shell's providers."""
    nobody = {"openai_api_key": "", "anthropic_api_key": "", "ollama_host": ""}
    with override_settings(SOVEREIGN=replace(settings.SOVEREIGN, **{**nobody, **changes})):
        yield


def provider_engine(url: str, *, name: str = "upstream", key: str = "", **described: Any) -> Engine:
    """The engine of a provider that every project may use; one of the same name gets another address or key."""
    described = {"all_projects": True, "inner_network": True, **described}
    provider = Provider.objects.filter(name=name).first()
    if provider is None:
        kind = described.pop("kind", "openai_compatible")
        provider = services.create_provider(name=name, kind=kind, base_url=url, key=key, **described)
    else:
        given = None if provider.key() == key else key
        services.update_provider(provider=provider, base_url=url, key=given, **described)
    return Engine.objects.select_related("provider").get(provider=provider)


def ready_engine(url: str, *models: str, key: str = "", **changes: Any) -> Engine:
    """The engine of a provider that was seen producing tokens."""
    engine = provider_engine(url, name=changes.pop("name", "upstream"), key=key, **changes.pop("provider", {}))
    served = [{"id": model, "context_length": 512} for model in models]
    services.record_probe(engine=engine, served=served, capabilities=changes.pop("capabilities", {}), token=True)
    Engine.objects.filter(pk=engine.pk).update(**changes)
    engine.refresh_from_db()
    return engine


def supervised_engine(name: str = "alpha", **changes: Any) -> Engine:
    engine = services.open_engine(name=name, source="", context_length=512, supervisor_id="sup_1", key="k")
    Engine.objects.filter(pk=engine.pk).update(**changes)
    engine.refresh_from_db()
    return engine


def threads_of(engine: Engine, *others: Engine) -> Iterator[str]:
    """Names of threads whose calls go to ``engine`` as long as it has no more to do than the others."""
    candidates = [
        Candidate(Endpoint(engine_id=one.pk, kind=one.kind, base_url="", model=""), None, 0)
        for one in (engine, *others)
    ]
    for thread in map(str, itertools.count()):
        if balance.ranked(candidates, thread.encode())[0] is candidates[0]:
            yield thread


def age(engine: Engine, **fields: float) -> None:
    """Make the row's times so many seconds older than now."""
    instant = now()
    changes = {name: instant - timedelta(seconds=seconds) for name, seconds in fields.items()}
    Engine.objects.filter(pk=engine.pk).update(**changes)
    engine.refresh_from_db()
