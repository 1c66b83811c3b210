"""What the pages keep of a person."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class Dismissal(models.Model):
    """Something that a person does not want to be shown any more."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    what = models.CharField(max_length=32)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("user", "what"), name="web_dismissal_once")]

    def __str__(self) -> str:
        return self.what
