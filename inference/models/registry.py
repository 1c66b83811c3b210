"""The registry: providers, engines that serve models, the models that are known, and other names for them.

It belongs to the house; which projects may use a provider is said by the provider.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from inference.chat import Capabilities
from inference.querysets import SUPERVISOR_GONE, EngineQuerySet
from inference.secrets import unseal
from sovereign.core.fields import id_field

CAPABILITY_NAMES = frozenset(field.name for field in fields(Capabilities))


class Provider(models.Model):
    """Somebody else's server, as an administrator describes it: where it is, who may use it, and how much."""

    class Kind(models.TextChoices):
        OPENAI_COMPATIBLE = "openai_compatible", "OpenAI-compatible server"
        OPENAI = "openai", "OpenAI"
        ANTHROPIC = "anthropic", "Anthropic"
        OLLAMA = "ollama", "Ollama"

    class Source(models.TextChoices):
        ADMIN = "admin", "made in the admin"
        ENVIRONMENT = "environment", "set by environment variables"

    id = id_field("prov_")
    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=32, choices=Kind.choices)
    source = models.CharField(max_length=16, choices=Source.choices, default=Source.ADMIN, editable=False)
    base_url = models.CharField(
        "address", max_length=500, help_text="What stands before /chat/completions, /v1/messages or /api/chat."
    )
    sealed_key = models.TextField(blank=True, editable=False)
    key_variable = models.CharField(
        max_length=64, blank=True, help_text="An environment variable that holds the key, in place of one kept here."
    )
    enabled = models.BooleanField(default=True, help_text="Only then does anything leave this house for it.")
    all_projects = models.BooleanField(default=False, help_text="Every project may use it.")
    projects = models.ManyToManyField("accounts.Project", blank=True, related_name="+")
    inner_network = models.BooleanField(
        default=False, help_text="Its address may be one of an inner network, such as 10.0.0.5 or localhost."
    )
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    concurrent_calls = models.PositiveIntegerField(null=True, blank=True)
    first_token_seconds = models.PositiveIntegerField(default=120, help_text="How long its first token may take.")
    idle_seconds = models.PositiveIntegerField(default=60, help_text="How long it may pause within an answer.")
    total_seconds = models.PositiveIntegerField(default=3_600, help_text="How long a whole answer may take.")
    options = models.JSONField(default=dict, blank=True, help_text='Ollama: {"keep_alive": "5m", "num_ctx": 8192}')
    wanted_until = models.DateTimeField(null=True, blank=True, editable=False)  # of the environment's: a lease of it
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                name="inference_provider_kind_is_known",
                condition=Q(kind__in=["openai_compatible", "openai", "anthropic", "ollama"]),
            )
        ]

    def __str__(self) -> str:
        return self.name

    def key(self) -> str:
        """Its secret: of its environment variable where it names one, else the one kept here. Never shown."""
        if self.key_variable:
            return str(settings.SOVEREIGN.provider_key(self.key_variable, self.base_url))
        return unseal(self.sealed_key)


class Engine(models.Model):
    """A server that produces tokens: vLLM under one of our supervisors, or the one of a provider."""

    class Kind(models.TextChoices):
        VLLM = "vllm", "vLLM, supervised here"
        OPENAI_COMPATIBLE = Provider.Kind.OPENAI_COMPATIBLE.value, Provider.Kind.OPENAI_COMPATIBLE.label
        OPENAI = Provider.Kind.OPENAI.value, Provider.Kind.OPENAI.label
        ANTHROPIC = Provider.Kind.ANTHROPIC.value, Provider.Kind.ANTHROPIC.label
        OLLAMA = Provider.Kind.OLLAMA.value, Provider.Kind.OLLAMA.label

    class State(models.TextChoices):
        INSTALLING = "installing", "installing"
        LOADING = "loading", "loading"
        READY = "ready", "ready"
        ASLEEP = "asleep", "asleep"
        DOWN = "down", "down"

    id = id_field("eng_")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=32, choices=Kind.choices)
    provider = models.OneToOneField(
        Provider, on_delete=models.CASCADE, null=True, blank=True, related_name="engine", editable=False
    )
    base_url = models.CharField(max_length=500, blank=True)
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
    last_error = models.CharField(max_length=500, blank=True, default="", help_text="Why it was down the last time.")
    last_error_at = models.DateTimeField(null=True, blank=True)
    latency_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Of the last probe's answer.")
    running = models.PositiveIntegerField(null=True, blank=True, help_text="Requests that it computes.")
    waiting = models.PositiveIntegerField(null=True, blank=True, help_text="Requests that wait in it.")
    cache_usage = models.FloatField(null=True, blank=True, help_text="Of its KV cache, 0 to 1.")
    wanted_at = models.DateTimeField(null=True, blank=True, help_text="When somebody last wanted it while it slept.")
    supervisor_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()

    objects: ClassVar = EngineQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                name="inference_engine_kind_is_known",
                condition=Q(kind="vllm", provider=None)
                | Q(kind__in=["openai_compatible", "openai", "anthropic", "ollama"], provider__isnull=False),
            ),
            models.CheckConstraint(
                name="inference_engine_state_is_known",
                condition=Q(state__in=["installing", "loading", "ready", "asleep", "down"]),
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

    def is_ready(self, instant: datetime) -> bool:
        """Whether it may be sent requests, as ``EngineQuerySet.ready`` finds them."""
        return self.state == self.State.READY and not self.is_forgotten(instant)

    def key(self) -> str:
        """The secret of an engine that is supervised here; a provider keeps its own. Never shown."""
        return unseal(self.sealed_key)

    def entry(self, model: str) -> dict[str, Any] | None:
        """What this engine said about ``model``, ``None`` where it does not serve it."""
        return next((entry for entry in self.served if entry["id"] == model), None)

    def abilities(self, model: str) -> Capabilities:
        """The capability record for one of the served models: the engine's, and what is said of this one."""
        return self.promised(self.entry(model) or {})

    def promised(self, entry: dict[str, Any]) -> Capabilities:
        """As ``abilities``, of what it said about a model."""
        said = {**self.capabilities, **entry.get("abilities", {}), "context_length": entry.get("context_length")}
        return Capabilities(**{name: value for name, value in said.items() if name in CAPABILITY_NAMES})


class RegisteredModel(models.Model):
    """A model name that requests may use; its engine may be away."""

    id = id_field("model_")
    name = models.CharField(max_length=200, unique=True)
    source = models.CharField(max_length=500, blank=True, help_text="A folder or repository, where we start it.")
    context_length = models.PositiveIntegerField(null=True, blank=True, help_text="tokens")
    is_default = models.BooleanField(default=False)
    #: the provider that it is known from: who may not use that has not heard of it, also when it serves nothing or was
    #: deleted. Empty for what everybody may know.
    learned_from = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField()

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


class ModelFallback(models.Model):
    """What is asked in a model's place where no engine of its own can begin an answer; the lowest position first."""

    id = id_field("fallback_")
    model = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="fallbacks")
    position = models.PositiveSmallIntegerField()
    fallback = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE, related_name="+")

    class Meta:
        verbose_name = "fallback"
        ordering = ["model_id", "position"]
        constraints = [
            models.UniqueConstraint(name="inference_fallback_once", fields=["model", "fallback"]),
            models.UniqueConstraint(name="inference_fallback_position_once", fields=["model", "position"]),
            models.CheckConstraint(name="inference_fallback_is_another", condition=~Q(model=F("fallback"))),
        ]

    def __str__(self) -> str:
        return f"{self.model} → {self.fallback}"
