"""The vocabulary of the registry's queries."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from inference.models import Engine, RegisteredModel  # noqa: F401

#: a supervised engine is ended by its guard after 60 s without a supervisor: older rows describe nothing
SUPERVISOR_GONE = timedelta(seconds=75)


class EngineQuerySet(models.QuerySet["Engine"]):
    def supervised(self) -> Self:
        return self.filter(kind="vllm")

    def external(self) -> Self:
        return self.filter(kind="external")

    def ready(self, now: datetime) -> Self:
        """Engines that may be sent requests: told ready, and not forgotten by a supervisor that died."""
        return self.filter(state="ready").exclude(Q(kind="vllm") & Q(heartbeat_at__lt=now - SUPERVISOR_GONE))


class RegisteredModelQuerySet(models.QuerySet["RegisteredModel"]):
    def called(self, name: str) -> Self:
        """The model with this name, or with this alias (an alias wins over a name of the same spelling)."""
        return self.filter(Q(name=name) | Q(aliases__alias=name))
