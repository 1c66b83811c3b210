"""What model calls took, and what it cost: rows that outlive everything they name."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from inference.querysets import UsageQuerySet
from sovereign.core.fields import id_field, reference


class ModelPrice(models.Model):
    """What a model's tokens cost from a day on, in nano-units of the house's currency (10⁻⁹) for one token.

    A price of 0.15 for a million tokens is 150. Usage rows keep what they cost on their day: a new price changes none.
    """

    id = id_field("price_")
    model = models.CharField(max_length=200, help_text="The model's name at its provider.")
    provider = models.ForeignKey(
        "inference.Provider", on_delete=models.CASCADE, null=True, blank=True, related_name="prices"
    )
    valid_from = models.DateField()
    prompt = models.PositiveBigIntegerField(help_text="Nano-units for a token of the prompt.")
    cached = models.PositiveBigIntegerField(null=True, blank=True, help_text="For a cached one; as prompt if empty.")
    completion = models.PositiveBigIntegerField(help_text="For a token of the answer, reasoning included.")

    class Meta:
        verbose_name = "price"
        ordering = ["model", "-valid_from"]
        constraints = [
            models.UniqueConstraint(
                name="inference_price_once_a_day",
                fields=["model", "valid_from"],
                condition=models.Q(provider=None),
            ),
            models.UniqueConstraint(
                name="inference_price_of_provider_once_a_day",
                fields=["model", "provider", "valid_from"],
                condition=models.Q(provider__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.valid_from}"


class UsageRecord(models.Model):
    """One model call. All that it names are plain ids: what is deleted was used all the same."""

    id = id_field("call_")  # of the model call, so that none is counted twice
    project_id = reference()
    key_id = reference()
    user_id = reference()
    assistant_id = reference()
    thread_id = reference()
    run_id = reference()
    purpose = models.CharField(max_length=32, blank=True)
    asked = models.CharField(max_length=200, help_text="The name that was asked for.")
    model = models.CharField(max_length=200, help_text="The model that answered.")
    engine_id = reference()
    provider = models.CharField(max_length=64, blank=True, help_text="Its name; empty for an engine of ours.")
    outcome = models.CharField(max_length=32)
    prompt_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    reasoning_tokens = models.PositiveIntegerField(default=0)
    queue_ms = models.PositiveIntegerField(default=0, help_text="Until it was sent to an engine.")
    first_token_ms = models.PositiveIntegerField(null=True, blank=True, help_text="From there to its first token.")
    total_ms = models.PositiveIntegerField(default=0)
    gpu_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Where the engine tells it.")
    cost = models.PositiveBigIntegerField(default=0, help_text="Nano-units of the house's currency.")
    day = models.DateField(help_text="UTC")
    created_at = models.DateTimeField()

    objects: ClassVar = UsageQuerySet.as_manager()

    class Meta:
        verbose_name = "usage"
        verbose_name_plural = "usage"
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["project_id", "day"], name="inference_usage_by_project"),
            models.Index(fields=["-created_at", "-id"], name="inference_usage_newest"),
            models.Index(fields=["run_id"], condition=models.Q(run_id__isnull=False), name="inference_usage_of_run"),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.created_at:%Y-%m-%d %H:%M}"


class UncountedCall(models.Model):
    """A model call that the roll-ups of ``runs.analytics`` do not hold yet; who counts it deletes this row.

    A mark in the row of usage would have that wide row, and all its indexes, written twice.
    """

    call_id = models.CharField(max_length=64)
    thread_id = reference()

    def __str__(self) -> str:
        return self.call_id
