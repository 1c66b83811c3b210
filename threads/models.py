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
    visitor_id = reference(help_text="Who began it on another site, without an account; see assistants.embeds.")
    title = models.CharField(max_length=TITLE_LENGTH, blank=True, default="")
    metadata = OrderedJSONField(default=dict, blank=True)
    tool_resources = OrderedJSONField(default=dict, blank=True)
    active_run_id = reference()
    last_position = models.PositiveIntegerField(default=0)
    pinned_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    trashed_at = models.DateTimeField(
        null=True, blank=True, help_text="Since then it is nobody's; see threads.keeping."
    )
    branched_from = reference(help_text="The thread whose beginning it goes on from; see threads.branches.")
    branched_at = reference(help_text="The message in whose place it goes on, of the first thread that has it.")
    branched_after = models.PositiveIntegerField(
        null=True, blank=True, help_text="The position of the last message that it has from there."
    )
    left_out = models.PositiveIntegerField(
        db_default=0,
        default=0,
        help_text="How many messages of the thread that it repeats it does not have; see threads.copying.",
    )
    family = reference(help_text="The thread with which its family of branches began.")
    compared_with = reference(help_text="The thread in which another assistant was asked the same.")
    last_activity_at = models.DateTimeField(auto_now_add=True)
    created_at = CreatedAtField()

    objects = ThreadQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("project", "created_at", "id"), name="thread_list"),
            models.Index(fields=("project", "owner", "last_activity_at", "id"), name="thread_activity"),
            models.Index(fields=("project", "owner"), condition=Q(pinned_at__isnull=False), name="thread_pinned"),
            models.Index(fields=("trashed_at",), condition=Q(trashed_at__isnull=False), name="thread_trashed"),
            models.Index(fields=("visitor_id",), condition=Q(visitor_id__isnull=False), name="thread_visitor"),
            models.Index(fields=("family",), condition=Q(family__isnull=False), name="thread_family"),
        ]

    def __str__(self) -> str:
        return self.title or self.id

    @property
    def is_left(self) -> bool:
        """Of two that are compared the one that was made first; one that is compared with nothing is it, too."""
        return self.compared_with is None or self.id < self.compared_with


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
    redacted_at = models.DateTimeField(
        null=True, blank=True, help_text="When what it said was taken out; see threads.redaction."
    )

    copied_from = reference(help_text="The message that it repeats on a thread of its own; see threads.copying.")
    goes_on_with = reference(
        help_text="The message before it (of a copy its original), with which it is one answer; see threads.answers."
    )

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ("thread", "position")
        indexes = [
            # the place of a cursor whose message was deleted: clients list and delete in one loop
            models.Index(fields=("thread", "created_at", "id"), name="message_creation"),
            models.Index(
                fields=("thread", "run_id", "position"), name="message_run", condition=Q(run_id__isnull=False)
            ),
            models.Index(fields=("copied_from",), condition=Q(copied_from__isnull=False), name="message_copies"),
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


class ThreadSummary(models.Model):
    """What a thread says up to one of its messages, in the words of a model. The messages themselves stay.

    A model is shown the newest one in the place of the messages that it sums up. It is deleted with any of those.
    """

    thread = models.ForeignKey(Thread, on_delete=models.CASCADE, related_name="summaries", db_index=False)
    up_to = models.PositiveIntegerField(help_text="The position of the last message in it.")
    text = models.TextField()
    model = models.CharField(max_length=256, help_text="That wrote it, by the name that was asked for.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("thread", "up_to")
        constraints = [models.UniqueConstraint(fields=("thread", "up_to"), name="summary_position")]

    def __str__(self) -> str:
        return f"{self.thread_id} up to {self.up_to}"
