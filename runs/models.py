"""Runs, their steps, and the event log that is the truth about them."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Q

from runs.outcomes import Outcome
from runs.querysets import (
    DayTokensQuerySet,
    EventQuerySet,
    FeedbackQuerySet,
    RunQuerySet,
    StepQuerySet,
    ToolUseQuerySet,
)
from runs.states import ACTIVE, Status
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field, reference

COMMENT_LENGTH = 2_000  # characters of what somebody says about an answer


class RunConfiguration(models.Model):
    """What a run was resolved to: frozen, addressed by project and content, shared by the runs that have it."""

    id = id_field("cfg_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the JSON as it is ordered, in hexadecimal.")
    data = OrderedJSONField(help_text="See runs.configuration.FrozenConfiguration.")
    created_at = CreatedAtField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("project", "digest"), name="configuration_content")]

    def __str__(self) -> str:
        return self.id


class Run(models.Model):
    """One answer in the making. Changed only by ``runs.services``, its status only by conditional updates."""

    id = id_field("run_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    thread = models.ForeignKey("threads.Thread", on_delete=models.CASCADE, related_name="runs")
    configuration = models.ForeignKey(RunConfiguration, on_delete=models.RESTRICT, related_name="runs")
    assistant_id = reference()
    version_id = reference()
    deployment_id = reference()
    environment = reference()
    replay_of = reference(help_text="The run whose question it answers again.")
    continues = reference(help_text="The run before it, whose answer broke off and which it goes on with.")
    retries = reference(help_text="The run before it, whose answer went wrong and which it makes anew.")
    priority = models.SmallIntegerField(default=0, help_text="Among its project's runs the highest is taken first.")
    created_by_user = models.BigIntegerField(null=True, blank=True)
    created_by_key = reference()
    model = models.CharField(max_length=256, help_text="The name that was asked for; an alias leads to another model.")
    metadata = OrderedJSONField(default=dict, blank=True)

    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    required_action = OrderedJSONField(null=True, blank=True)
    last_error = models.JSONField(null=True, blank=True)
    incomplete_details = models.JSONField(null=True, blank=True)
    waiting_reason = models.CharField(max_length=500, blank=True, default="", help_text="Why it is still queued.")
    created_at = CreatedAtField()
    expires_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)
    reasoning_tokens = models.PositiveIntegerField(default=0)

    last_seq = models.PositiveIntegerField(default=0, help_text="The newest event's number.")
    last_step_position = models.PositiveIntegerField(default=0)

    lease_owner = reference()
    lease_epoch = models.PositiveIntegerField(default=0, help_text="Raised by every claim: a fence for late writers.")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    lease_flushes = models.PositiveIntegerField(default=0, help_text="Batches its holder has written: none twice.")
    crash_count = models.PositiveSmallIntegerField(default=0, help_text="Workers that died holding it.")
    is_counted = models.BooleanField(default=False, help_text="Whether the roll-ups of runs.analytics hold it.")

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("thread", "created_at", "id"), name="run_list"),
            models.Index(fields=("project", "created_at", "id"), name="run_of_project"),
            models.Index(fields=("assistant_id", "created_at", "id"), name="run_of_assistant"),
            models.Index(fields=("created_at", "id"), condition=Q(status__in=sorted(ACTIVE)), name="run_active"),
            models.Index(
                fields=("project", "-priority", "created_at", "id"),
                condition=Q(status=Status.QUEUED.value),
                name="run_by_priority",
            ),
            models.Index(
                fields=("thread",), condition=Q(version_id__isnull=False, deployment_id=None), name="run_tried"
            ),
            models.Index(fields=("lease_owner",), condition=Q(lease_owner__isnull=False), name="run_held"),
            models.Index(
                fields=("assistant_id", "environment", "created_at"),
                condition=Q(environment__isnull=False),
                name="run_in_environment",
            ),
            models.Index(
                fields=("deployment_id", "created_at", "id"),
                condition=Q(deployment_id__isnull=False),
                name="run_of_deployment",
            ),
            models.Index(fields=("id",), condition=Q(is_counted=False), name="run_uncounted"),
            models.Index(
                fields=("replay_of", "created_at", "id"), condition=Q(replay_of__isnull=False), name="run_replays"
            ),
            models.Index(fields=("thread",), condition=Q(replay_of__isnull=False), name="run_thread_of_replay"),
            models.Index(
                fields=("thread",),
                condition=Q(continues__isnull=False) | Q(retries__isnull=False),
                name="run_thread_of_tries",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=("thread",), condition=Q(status__in=sorted(ACTIVE)), name="run_one_active_per_thread"
            ),
            models.CheckConstraint(condition=Q(status__in=sorted(Status.values)), name="run_status"),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def is_over(self) -> bool:
        return self.status not in ACTIVE


class RunStep(models.Model):
    """One message or one turn of tool calls. ``step_details`` holds the contract's shape."""

    class Type(models.TextChoices):
        MESSAGE_CREATION = "message_creation"
        TOOL_CALLS = "tool_calls"

    class StepStatus(models.TextChoices):
        IN_PROGRESS = "in_progress"
        CANCELLED = "cancelled"
        FAILED = "failed"
        COMPLETED = "completed"
        EXPIRED = "expired"

    id = id_field("step_")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField()
    type = models.CharField(max_length=16, choices=Type.choices)
    status = models.CharField(max_length=16, choices=StepStatus.choices, default=StepStatus.IN_PROGRESS)
    step_details = OrderedJSONField()
    asked = OrderedJSONField(
        default=dict,
        blank=True,
        help_text="What the tools that are carried out here were asked, by the id of the call; see runs.asked.",
    )
    usage = OrderedJSONField(null=True, blank=True)
    last_error = models.JSONField(null=True, blank=True)
    metadata = OrderedJSONField(default=dict, blank=True)
    created_at = CreatedAtField()
    expires_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    expired_at = models.DateTimeField(null=True, blank=True)

    objects = StepQuerySet.as_manager()

    class Meta:
        ordering = ("run", "position")
        constraints = [
            models.UniqueConstraint(fields=("run", "position"), name="step_position"),
            models.CheckConstraint(condition=Q(type__in=["message_creation", "tool_calls"]), name="step_type"),
            models.CheckConstraint(
                condition=Q(status__in=["in_progress", "cancelled", "failed", "completed", "expired"]),
                name="step_status",
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def message_id(self) -> str:
        return str(self.step_details["message_creation"]["message_id"])

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        return list(self.step_details.get("tool_calls", []))


class RunEvent(models.Model):
    """One entry of a run's log. ``(run, seq)`` is what clients resume from, and is never used twice."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    type = models.CharField(max_length=40)
    data = OrderedJSONField(help_text="What runs.rendering needs to make the payload.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ("run", "seq")
        constraints = [models.UniqueConstraint(fields=("run", "seq"), name="event_seq")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.seq} {self.type}"


class ToolUse(models.Model):
    """A call of a tool that was carried out here, or should have been: written with what came of it, never changed.

    It outlives all that it names.
    """

    id = id_field("tool_")
    call_id = models.CharField(max_length=64, unique=True)
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    key_id = reference()
    user_id = models.BigIntegerField(null=True, blank=True)
    assistant_id = reference()
    thread_id = reference()
    run_id = reference(db_index=True)
    step_id = reference()
    kind = models.CharField(max_length=32)
    tool = models.CharField(max_length=64, help_text="The name that the model called.")
    outcome = models.CharField(max_length=16, choices=Outcome.choices)
    milliseconds = models.PositiveIntegerField()
    created_at = CreatedAtField()
    is_counted = models.BooleanField(default=False, help_text="Whether the roll-ups of runs.analytics hold it.")

    objects = ToolUseQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("project", "created_at", "id"), name="tool_use_of_project"),
            models.Index(fields=("project", "kind", "created_at"), name="tool_use_of_kind"),
            models.Index(fields=("id",), condition=Q(is_counted=False), name="tool_use_uncounted"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=sorted(Outcome.values)), name="tool_use_outcome"),
        ]

    def __str__(self) -> str:
        return f"{self.tool} {self.outcome}"


class Feedback(models.Model):
    """What a person, or an application for its own people, thinks of an answer: one opinion of each, the latest.

    One that was withdrawn has no rating, and stays until the roll-ups have forgotten it.
    """

    class Rating(models.TextChoices):
        UP = "up", "Good"
        DOWN = "down", "Bad"

    id = id_field("fb_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="feedback")
    user_id = models.BigIntegerField(null=True, blank=True)
    key_id = reference()
    rating = models.CharField(max_length=8, choices=Rating.choices, blank=True)
    comment = models.CharField(max_length=COMMENT_LENGTH, blank=True, default="")
    counted = models.CharField(
        max_length=8, blank=True, default="", help_text="The rating that the roll-ups of runs.analytics hold."
    )
    created_at = CreatedAtField()
    updated_at = models.DateTimeField(auto_now=True)

    objects = FeedbackQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=("run", "user_id"), condition=Q(user_id__isnull=False), name="feedback_once_per_person"
            ),
            models.UniqueConstraint(
                fields=("run", "key_id"), condition=Q(key_id__isnull=False), name="feedback_once_per_key"
            ),
            models.CheckConstraint(
                condition=Q(user_id=None, key_id__isnull=False) | Q(user_id__isnull=False, key_id=None),
                name="feedback_of_one",
            ),
            models.CheckConstraint(condition=Q(rating__in=["", "up", "down"]), name="feedback_rating"),
        ]
        indexes = [models.Index(fields=("id",), condition=~Q(rating=F("counted")), name="feedback_uncounted")]

    def __str__(self) -> str:
        return f"{self.rating} for {self.run_id}"


class DayTokens(models.Model):
    """What an assistant's runs in an environment have used on a day (of UTC): the last one on which they used any.

    It stays when runs are deleted: what was used was used.
    """

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    assistant_id = models.CharField(max_length=64)
    environment = models.CharField(max_length=16)
    day = models.DateField()
    tokens = models.PositiveBigIntegerField(default=0, help_text="Of prompts and of completions.")

    objects = DayTokensQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("assistant_id", "environment"), name="day_tokens_once")]

    def __str__(self) -> str:
        return f"{self.tokens} on {self.day}"


class InterpreterReport(models.Model):
    """What a worker says of itself: whether it can run code. It is believed for as long as it is said again."""

    worker = models.CharField(primary_key=True, max_length=64)
    usable = models.BooleanField()
    reason = models.CharField(max_length=500, blank=True, default="", help_text="Why it cannot, in a sentence.")
    heartbeat_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.worker
