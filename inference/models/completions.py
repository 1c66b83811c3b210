"""Chat completions that their askers wanted kept (``store: true``)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from inference.querysets import StoredCompletionQuerySet
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field


class StoredCompletion(models.Model):
    """A request and its answer, as they were sent."""

    id = id_field("chatcmpl-")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+", db_index=False)
    model = models.CharField(max_length=256)
    metadata = models.JSONField(default=dict)
    request: Any = OrderedJSONField(default=dict)  # the body, without ``messages``
    messages: Any = OrderedJSONField(default=list)  # of the request
    answer: Any = OrderedJSONField(default=dict)  # the chat.completion
    created_at = CreatedAtField()

    objects: ClassVar = StoredCompletionQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [models.Index(fields=["project", "created_at", "id"], name="inference_completions_listed")]

    def __str__(self) -> str:
        return self.id
