"""The queue of a thread: outside of it, so that nobody who reads the thread sees what was not said yet."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from runs.outbox.querysets import QueuedMessageQuerySet
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field, reference

PREVIEW_LENGTH = 200  # characters
PROBLEM_LENGTH = 500


class Hold(models.TextChoices):
    """What keeps a message from being sent by itself."""

    FAILED = "failed", "The answer before it failed"
    EXPIRED = "expired", "The answer before it did not come in time"
    REFUSED = "refused", "It could not be sent"


class QueuedMessage(models.Model):
    """A message that its person wants to be sent as soon as the thread is free; then it becomes one of the thread's."""

    OF_ANSWER = (Hold.FAILED, Hold.EXPIRED)
    OF_LIMIT = Hold.REFUSED

    id = id_field("qmsg_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    thread = models.ForeignKey("threads.Thread", on_delete=models.CASCADE, related_name="queue", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    position = models.PositiveIntegerField(help_text="Its place in the thread's queue; not always without gaps.")
    content = OrderedJSONField(help_text="As the contract takes it.")
    attachments = OrderedJSONField(default=list, blank=True)
    preview = models.CharField(max_length=PREVIEW_LENGTH, blank=True, help_text="How its text begins.")
    assistant_id = models.CharField(max_length=64)
    environment = reference(help_text="Where the assistant is looked up; of those that people may choose.")
    hold = models.CharField(max_length=16, choices=Hold.choices, blank=True, default="")
    held_at = models.DateTimeField(null=True, blank=True, help_text="The thread's last activity, when it was held.")
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="Where a limit refused it: when it is tried again by itself."
    )
    problem = models.CharField(max_length=PROBLEM_LENGTH, blank=True, default="", help_text="Why it was refused.")
    created_at = CreatedAtField()
    updated_at = models.DateTimeField(auto_now=True)

    objects = QueuedMessageQuerySet.as_manager()

    class Meta:
        ordering = ("thread", "position", "id")
        indexes = [models.Index(fields=("thread", "position"), name="queued_in_order")]
        constraints = [
            models.CheckConstraint(condition=Q(hold__in=["", *sorted(Hold.values)]), name="queued_hold"),
        ]

    def __str__(self) -> str:
        return self.preview or self.id

    @property
    def goes_by_itself(self) -> bool:
        """Whether it is sent without another word of its person, be it once a limit allows it."""
        if self.hold in self.OF_ANSWER and self.held_at is not None:
            return self.thread.last_activity_at > self.held_at
        return not self.hold or self.not_before is not None

    @property
    def draft(self) -> dict[str, object]:
        """As a request would bring it."""
        return {"role": "user", "content": self.content, "attachments": self.attachments}
