"""The registry: engines that serve models, the models that are known, and other names for them.

It belongs to the house and not to a project: what a project may use is decided above.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.db import models
from django.db.models import Q

from inference.chat import Capabilities
from inference.querysets import SUPERVISOR_GONE, EngineQuerySet, RegisteredModelQuerySet
from inference.secrets import unseal
from sovereign.core.fields import id_field

CAPABILITY_NAMES = frozenset(field.name for field in fields(Capabilities))


class Engine(models.Model):
    """A server that answers ``/chat/completions``: vLLM under one of our supervisors, or somebody else's."""

    class Kind(models.TextChoices):
        VLLM = "vllm", "vLLM, supervised here"
        EXTERNAL = "external", "external"

    class State(models.TextChoices):
        INSTALLING = "installing", "installing"
        LOADING = "loading", "loading"
        READY = "ready", "ready"
        DOWN = "down", "down"

    id = id_field("eng_")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    base_url = models.CharField(max_length=500, blank=True, help_text="The address before /chat/completions.")
    sealed_key = models.TextField(blank=True, editable=False)
    served = models.JSONField(default=list, blank=True, help_text='[{"id": name, "context_length": tokens or null}]')
    capabilities = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.LOADING)
    reason = models.CharField(max_length=500, blank=True)
    since = models.DateTimeField()
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    last_token_at = models.DateTimeField(null=True, blank=True)
    probed_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    supervisor_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()

    objects: ClassVar = EngineQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(name="inference_engine_kind_is_known", condition=Q(kind__in=["vllm", "external"])),
            models.CheckConstraint(
                name="inference_engine_state_is_known",
                condition=Q(state__in=["installing", "loading", "ready", "down"]),
            ),
            models.UniqueConstraint(
                name="inference_engine_external_name_is_unique", fields=["name"], condition=Q(kind="external")
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """Host and port, for sentences."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2]

    def is_forgotten(self, instant: datetime) -> bool:
        """Whether the supervisor of a supervised engine died, and the guard has ended the engine since."""
        if self.kind != self.Kind.VLLM or self.state == self.State.DOWN or self.heartbeat_at is None:
            return False
        return instant - self.heartbeat_at > SUPERVISOR_GONE

    def key(self) -> str:
        """The secret for its ``Authorization`` header. Never shown."""
        return unseal(self.sealed_key)

    def entry(self, model: str) -> dict[str, Any] | None:
        """What this engine said about ``model``, ``None`` where it does not serve it."""
        return next((entry for entry in self.served if entry["id"] == model), None)

    def abilities(self, model: str) -> Capabilities:
        """The capability record for one of the served models."""
        known = {name: value for name, value in self.capabilities.items() if name in CAPABILITY_NAMES}
        entry = self.entry(model) or {}
        return Capabilities(**{**known, "context_length": entry.get("context_length")})


class RegisteredModel(models.Model):
    """A model name that requests may use; its engine may be away."""

    id = id_field("model_")
    name = models.CharField(max_length=200, unique=True)
    source = models.CharField(max_length=500, blank=True, help_text="A folder or repository, where we start it.")
    context_length = models.PositiveIntegerField(null=True, blank=True, help_text="tokens")
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    objects: ClassVar = RegisteredModelQuerySet.as_manager()

    class Meta:
        verbose_name = "model"
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                name="inference_one_default_model", fields=["is_default"], condition=Q(is_default=True)
            )
        ]

    def __str__(self) -> str:
        return self.name


class ModelAlias(models.Model):
    """Another name for a registered model."""

    id = id_field("alias_")
    alias = models.CharField(max_length=200, unique=True)
    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="aliases")
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = "model alias"
        verbose_name_plural = "model aliases"
        ordering = ["alias"]

    def __str__(self) -> str:
        return f"{self.alias} → {self.model}"
