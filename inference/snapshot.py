"""The registry in this process's memory: all its tables as of one moment, at most a second ago.

Every call of a model asks which engines may answer it, and what says so changes a few times a minute. What another
process decides is therefore obeyed a second later; what this one does, at once. Nothing that is found here is to be
changed: all threads share it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db import transaction

from inference.models import Engine, ModelAlias, ModelFallback, Provider, RegisteredModel
from sovereign.core.database import now

VALID = 1.0  # seconds
OLDEST = 2.0  # seconds: what may still be used while another thread reads
REMEMBERED = 2_000  # answers that were worked out from one snapshot


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A registered model; ``learned_from`` is the id of the provider that it is known from, ``""`` for one of ours."""

    name: str
    is_default: bool
    context_length: int | None
    created_at: datetime
    learned_from: str


@dataclass(frozen=True, slots=True)
class KnownAlias:
    alias: str
    model: str
    created_at: datetime


class Snapshot:
    """What stands in the registry's tables; a handful of queries."""

    def __init__(self) -> None:
        self.moment = time.monotonic()  # before the first query: it is rather older than younger
        self._instant = now()
        self.engines: list[Engine] = list(Engine.objects.select_related("provider"))
        self.providers: dict[str, Provider] = {one.pk: one for one in Provider.objects.order_by()}
        self.granted = frozenset(Provider.projects.through.objects.values_list("provider_id", "project_id"))
        fields = ("name", "is_default", "context_length", "created_at", "learned_from")
        self.models = {row[0]: KnownModel(*row) for row in RegisteredModel.objects.values_list(*fields)}
        aliases = ModelAlias.objects.order_by("created_at", "id").values_list("alias", "model__name", "created_at")
        self.aliases = {row[0]: KnownAlias(*row) for row in aliases}
        self.fallbacks: dict[str, list[str]] = {}
        pairs = ModelFallback.objects.order_by("position").values_list("model__name", "fallback__name")
        for model, fallback in pairs:
            self.fallbacks.setdefault(model, []).append(fallback)
        #: what others worked out from it, by keys of their own
        self.worked_out: dict[Hashable, Any] = {}

    @property
    def age(self) -> float:
        """Seconds."""
        return time.monotonic() - self.moment

    @property
    def instant(self) -> datetime:
        """The database's clock now, without asking it."""
        return self._instant + timedelta(seconds=self.age)

    @cached_property
    def entries(self) -> dict[str, dict[str, dict[str, Any]]]:
        """What each engine, by its id, said of each of its models, by their names."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for engine in self.engines:
            entries = found[engine.pk] = {}
            for entry in engine.served:
                entries.setdefault(entry["id"], entry)
        return found

    def may_use(self, provider: Provider, project_id: str | None) -> bool:
        """Whether a project's words (``None``: the house's own) may be sent to this provider."""
        if not provider.enabled:
            return False
        return project_id is None or provider.all_projects or (provider.pk, project_id) in self.granted

    def keep(self, key: Hashable, answer: Any) -> None:
        """Remember what was worked out, as long as this snapshot is used."""
        if len(self.worked_out) < REMEMBERED:
            self.worked_out[key] = answer


_held: Snapshot | None = None
_generation = 0  # grows with every change that this process makes
_reading = threading.Lock()


def fresh() -> Snapshot | None:
    """The one in memory, if it may be used; no query."""
    held = _held
    return held if held is not None and held.age < VALID else None


def current() -> Snapshot:
    """One that may be used; read where the one in memory is too old.

    While one thread reads, the others go on with what there was, and never wait: they may hold a connection that the
    reader needs.
    """
    if (found := fresh()) is not None:
        return found
    if not _reading.acquire(blocking=False):
        held = _held
        return held if held is not None and held.age < min(OLDEST, 2 * VALID) else read()
    try:
        return read()
    finally:
        _reading.release()


def read() -> Snapshot:
    """What stands in the tables now."""
    global _held
    generation = _generation
    found = Snapshot()
    if generation == _generation:  # else something was changed meanwhile, which it may not know
        _held = found
    return found


def forget() -> None:
    """Something has changed: the next question reads anew."""
    global _held, _generation
    _generation += 1
    _held = None


def changed() -> None:
    """To be called in a transaction that changes the registry: with its commit what is in memory is old."""
    transaction.on_commit(forget)
