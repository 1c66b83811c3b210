"""Use of an assistant that did not go through this server, as applications tell it."""

from __future__ import annotations

from django.db import models

from assistants.models.assistants import Assistant
from sovereign.core.fields import CreatedAtField, id_field, reference

SOURCE_LENGTH = 64


class ExternalUse(models.Model):
    """Counts for popularity alone: never for costs or quotas."""

    id = id_field("use_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    assistant = models.ForeignKey(Assistant, on_delete=models.CASCADE, related_name="external_uses", db_index=False)
    count = models.PositiveIntegerField(default=1)
    source = models.CharField(max_length=SOURCE_LENGTH, blank=True, default="")
    told_by_user = models.BigIntegerField(null=True, blank=True)
    told_by_key = reference()
    created_at = CreatedAtField()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [models.Index(fields=("project", "created_at", "assistant"), name="external_use_lately")]

    def __str__(self) -> str:
        return f"{self.count} of {self.assistant_id}"
