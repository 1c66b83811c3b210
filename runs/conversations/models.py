"""Conversations: what is known of a thread beside its messages and runs while an assistant is talked to on it."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from runs.conversations.querysets import ConversationQuerySet
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field, reference

COMMENT_LENGTH = 2_000
REASON_LENGTH = 500
#: of which the roll-ups of runs.analytics hold another satisfaction, or none
UNCOUNTED = (
    ~Q(thumb=F("counted_thumb"))
    | Q(score__lt=F("counted_score"))
    | Q(score__gt=F("counted_score"))
    | Q(score=None, counted_score__isnull=False)
    | Q(score__isnull=False, counted_score=None)
)


class Compression(models.TextChoices):
    """What becomes of messages that a model has no room for."""

    SUMMARY = "summary", "Summed up by the model"
    PRUNING = "pruning", "Left out"


class Conversation(models.Model):
    """An assistant that is talked to on a thread of its own, with variables that its prompts are filled with."""

    class Thumb(models.TextChoices):
        UP = "up", "Good"
        DOWN = "down", "Bad"

    id = id_field("conv_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    thread = models.OneToOneField("threads.Thread", on_delete=models.CASCADE, related_name="conversation")
    assistant_id = models.CharField(max_length=64)
    environment = reference(help_text="Where the assistant is looked up; of those of people.")
    created_by_user = models.BigIntegerField(null=True, blank=True)
    created_by_key = reference()
    variables = OrderedJSONField(default=dict, blank=True, help_text="What prompts are filled with, by name.")
    compression = models.CharField(max_length=16, choices=Compression.choices, default=Compression.SUMMARY)
    window_tokens = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Most of a prompt that the conversation may take; empty: as the model has room.",
    )
    summary_due_at = models.DateTimeField(
        null=True, blank=True, help_text="From when on messages may be summed up; empty: nothing is to be."
    )
    summary_lease_owner = reference()
    summary_lease_expires_at = models.DateTimeField(null=True, blank=True)
    summary_attempts = models.PositiveSmallIntegerField(default=0, help_text="Since the last that came to its end.")
    summary_error = models.CharField(
        max_length=REASON_LENGTH, blank=True, default="", help_text="Why the last summary was not made."
    )
    last_activity_at = models.DateTimeField(help_text="When somebody last said or changed something.")
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=REASON_LENGTH, blank=True, default="")

    thumb = models.CharField(max_length=8, choices=Thumb.choices, blank=True, default="")
    score = models.PositiveSmallIntegerField(null=True, blank=True, help_text="1 (bad) to 5 (good).")
    comment = models.CharField(max_length=COMMENT_LENGTH, blank=True, default="")
    rated_at = models.DateTimeField(null=True, blank=True)
    rated_run_id = reference(help_text="The newest run when that was said; empty: there was none.")
    counted_thumb = models.CharField(max_length=8, blank=True, default="", help_text="What the roll-ups hold of it.")
    counted_score = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Likewise.")
    counted_run_id = reference(help_text="Likewise.")
    created_at = CreatedAtField()

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(
                fields=("project", "last_activity_at", "id"), condition=Q(ended_at=None), name="conversation_active"
            ),
            models.Index(fields=("project", "assistant_id", "created_at"), name="conversation_of_assistant"),
            models.Index(
                fields=("summary_due_at",), condition=Q(summary_due_at__isnull=False), name="conversation_to_sum_up"
            ),
            models.Index(fields=("id",), condition=UNCOUNTED, name="conversation_uncounted"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(score=None) | Q(score__range=(1, 5)), name="conversation_score"),
            models.CheckConstraint(condition=Q(thumb__in=["", "up", "down"]), name="conversation_thumb"),
            models.CheckConstraint(
                condition=Q(compression__in=["summary", "pruning"]), name="conversation_compression"
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def is_over(self) -> bool:
        return self.ended_at is not None
