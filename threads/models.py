"""Threads and their messages."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field, reference
from threads.querysets import MessageQuerySet, ThreadQuerySet

TITLE_LENGTH = 120
MAXIMUM_MESSAGES = 100_000  # in one thread


class Thread(models.Model):
    """A conversation. At most one run is active on it; ``active_run_id`` is that lock."""

    id = id_field("thread_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="threads")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="threads",
        null=True,
        blank=True,
        help_text="Who began it in the chat; empty for threads of API clients.",
    )
    title = models.CharField(max_length=TITLE_LENGTH, blank=True, default="")
    metadata = OrderedJSONField(default=dict, blank=True)
    tool_resources = OrderedJSONField(default=dict, blank=True)
    active_run_id = reference()
    last_position = models.PositiveIntegerField(default=0)
    last_activity_at = models.DateTimeField(auto_now_add=True)
    created_at = CreatedAtField()

    objects = ThreadQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("project", "created_at", "id"), name="thread_list"),
            models.Index(fields=("project", "owner", "last_activity_at", "id"), name="thread_activity"),
        ]

    def __str__(self) -> str:
        return self.title or self.id


class Message(models.Model):
    """A message. ``content`` and ``attachments`` hold the contract's shapes; ``position`` orders the thread."""

    class Role(models.TextChoices):
        USER = "user"
        ASSISTANT = "assistant"

    class Status(models.TextChoices):
        IN_PROGRESS = "in_progress"
        INCOMPLETE = "incomplete"
        COMPLETED = "completed"

    id = id_field("msg_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    thread = models.ForeignKey(Thread, on_delete=models.CASCADE, related_name="messages", db_index=False)  # see below
    position = models.PositiveIntegerField()
    role = models.CharField(max_length=16, choices=Role.choices)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.COMPLETED)
    content = OrderedJSONField(default=list)
    attachments = OrderedJSONField(default=list, blank=True)
    metadata = OrderedJSONField(default=dict, blank=True)
    assistant_id = reference()
    run_id = reference()
    incomplete_details = models.JSONField(null=True, blank=True)
    created_at = CreatedAtField()
    completed_at = models.DateTimeField(null=True, blank=True)
    incomplete_at = models.DateTimeField(null=True, blank=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ("thread", "position")
        indexes = [
            # the place of a cursor whose message was deleted: clients list and delete in one loop
            models.Index(fields=("thread", "created_at", "id"), name="message_creation"),
            models.Index(
                fields=("thread", "run_id", "position"), name="message_run", condition=Q(run_id__isnull=False)
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=("thread", "position"), name="message_position"),
            models.CheckConstraint(condition=Q(role__in=["user", "assistant"]), name="message_role"),
            models.CheckConstraint(
                condition=Q(status__in=["in_progress", "incomplete", "completed"]), name="message_status"
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def text(self) -> str:
        """The text parts, joined by blank lines."""
        return "\n\n".join(part["text"]["value"] for part in self.content if part["type"] == "text")
