"""What is written to a file, and how far it is."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from sovereign.core.fields import CreatedAtField, id_field, reference

ERROR_LENGTH = 500


class ExportQuerySet(models.QuerySet["Export"]):
    def active(self) -> ExportQuerySet:
        return self.filter(status__in=(Export.Status.QUEUED, Export.Status.IN_PROGRESS))


class Export(models.Model):
    """Threads of a project that one person wants to take along: theirs alone, and deleted some days later."""

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        IN_PROGRESS = "in_progress", "Being written"
        COMPLETED = "completed", "Ready to be fetched"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Called off"

    id = id_field("export_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=8, help_text="One of threads.exporting.SUFFIXES.")
    thread_ids = models.JSONField(help_text="In the order in which they are written.")
    threads = models.PositiveIntegerField(help_text="How many these are.")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    error = models.CharField(max_length=ERROR_LENGTH, blank=True, default="")
    total = models.PositiveIntegerField(help_text="Messages, when it was asked for.")
    written = models.PositiveIntegerField(default=0, help_text="Of those.")
    storage_key = reference(help_text="Of its content, once it is whole.")
    bytes = models.PositiveBigIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_owner = reference()
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    created_at = CreatedAtField()
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = ExportQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(
                fields=("created_at", "id"), condition=Q(status__in=["queued", "in_progress"]), name="export_active"
            ),
            models.Index(fields=("user", "created_at", "id"), name="export_of_person"),
            models.Index(fields=("ended_at",), condition=Q(ended_at__isnull=False), name="export_ended"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["queued", "in_progress", "completed", "failed", "cancelled"]),
                name="export_status",
            )
        ]

    def __str__(self) -> str:
        kind = "JSON" if self.kind == "json" else "Markdown"
        return f"{self.threads:,} conversation{'' if self.threads == 1 else 's'} as {kind}"
