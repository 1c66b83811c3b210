"""Models that a provider was told to fetch: whoever left the page finds again how far it is."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from inference.models.registry import Provider
from inference.querysets import PullQuerySet
from sovereign.core.fields import id_field, reference


class ModelPull(models.Model):
    """A worker follows it under a lease; the provider itself keeps what was fetched, also of one that was ended."""

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        IN_PROGRESS = "in_progress", "In progress"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    id = id_field("pull_")
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="pulls")
    model = models.CharField(max_length=200)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    step = models.CharField(max_length=200, blank=True, default="", help_text="What is done now, as the provider says.")
    completed_bytes = models.PositiveBigIntegerField(default=0, help_text="Of the piece that is fetched now.")
    total_bytes = models.PositiveBigIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often a worker began to follow it.")
    user_id = models.BigIntegerField(null=True, blank=True)
    lease_owner = reference()
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar = PullQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                name="inference_pull_once_at_a_time",
                fields=["provider", "model"],
                condition=Q(status__in=["queued", "in_progress"]),
            ),
            models.CheckConstraint(
                name="inference_pull_status_is_known",
                condition=Q(status__in=["queued", "in_progress", "completed", "failed", "cancelled"]),
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at", "id"],
                condition=Q(status__in=["queued", "in_progress"]),
                name="inference_pull_active",
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} at {self.provider}"

    @property
    def is_over(self) -> bool:
        return self.status not in (self.Status.QUEUED, self.Status.IN_PROGRESS)

    @property
    def percent(self) -> int | None:
        """Of the piece that is fetched now; ``None`` where the provider does not say."""
        return min(100, self.completed_bytes * 100 // self.total_bytes) if self.total_bytes else None
