"""What an assistant was when it was published: never changed again."""

from __future__ import annotations

from typing import Any

from django.db import models

from assistants.models.assistants import Assistant
from assistants.querysets import OfProject
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field, reference

NOTES_LENGTH = 2_000


class AssistantVersion(models.Model):
    """A snapshot of all that shapes an answer. ``parent`` is the version that the draft had come from."""

    id = id_field("asstv_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    assistant = models.ForeignKey(Assistant, on_delete=models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField(help_text="1, 2, 3 … of its assistant.")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, related_name="children", null=True, blank=True)
    content = OrderedJSONField(help_text="See assistants.snapshots.")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the content, in hexadecimal.")
    notes = models.CharField(max_length=NOTES_LENGTH, blank=True, default="")
    published_by_user = models.BigIntegerField(null=True, blank=True)
    published_by_key = reference()
    created_at = CreatedAtField()

    objects = OfProject.as_manager()

    class Meta:
        ordering = ("assistant", "-number")
        constraints = [models.UniqueConstraint(fields=("assistant", "number"), name="assistant_version_number")]

    def __str__(self) -> str:
        return f"version {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """:raises TypeError: it was saved before."""
        if not self._state.adding:
            raise TypeError("a version of an assistant is never changed")
        super().save(*args, **kwargs)
