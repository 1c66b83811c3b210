"""Small things that several of these tests need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.test import override_settings

from inference import services
from inference.models import Engine
from sovereign.core.database import now


@contextmanager
def configured(**changes: Any) -> Iterator[None]:
    """The configuration with other values."""
    with override_settings(SOVEREIGN=replace(settings.SOVEREIGN, **changes)):
        yield


def ready_engine(url: str, *models: str, key: str = "", **changes: Any) -> Engine:
    """An external engine that was seen producing tokens."""
    engine = services.register_external(url=url, key=key, name=changes.pop("name", services.CONFIGURED))
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


def age(engine: Engine, **fields: float) -> None:
    """Make the row's times so many seconds older than now."""
    instant = now()
    changes = {name: instant - timedelta(seconds=seconds) for name, seconds in fields.items()}
    Engine.objects.filter(pk=engine.pk).update(**changes)
    engine.refresh_from_db()
