"""Roll-ups, how far they are, grades with their history, and what a project wants of its assistants."""

from __future__ import annotations

from django.db import models

from runs.analytics.querysets import RollupQuerySet
from runs.analytics.windows import Period
from sovereign.core.fields import OrderedJSONField

NOBODY = ""  # in a column of a roll-up: of no assistant, no version, no key


class Rollup(models.Model):
    """What happened in a period, of one combination of everything that it may be asked by. See ``Measures``.

    The rows outlive all that they name. They are written by ``runs.analytics.counting`` alone.
    """

    TRIAL = "trial"  # the environment of what nobody had deployed: evaluations, first conversations

    period = models.CharField(max_length=8, choices=Period.choices)
    start = models.DateTimeField()
    project_id = models.CharField(max_length=64)
    assistant_id = models.CharField(max_length=64, default=NOBODY)
    version_id = models.CharField(max_length=64, default=NOBODY)
    environment = models.CharField(max_length=64, default=NOBODY)
    model = models.CharField(max_length=256, default=NOBODY, help_text="The name that was asked for.")
    key_id = models.CharField(max_length=64, default=NOBODY)

    runs = models.PositiveBigIntegerField(default=0)
    completed = models.PositiveBigIntegerField(default=0)
    incomplete = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    cancelled = models.PositiveBigIntegerField(default=0)
    expired = models.PositiveBigIntegerField(default=0)
    calls = models.PositiveBigIntegerField(default=0)
    failed_calls = models.PositiveBigIntegerField(default=0)
    prompt_tokens = models.PositiveBigIntegerField(default=0)
    cached_tokens = models.PositiveBigIntegerField(default=0)
    completion_tokens = models.PositiveBigIntegerField(default=0)
    reasoning_tokens = models.PositiveBigIntegerField(default=0)
    cost = models.PositiveBigIntegerField(default=0, help_text="Nano-units, and no more than fit in here.")
    tool_calls = models.PositiveBigIntegerField(default=0)
    tool_failures = models.PositiveBigIntegerField(default=0)
    thumbs_up = models.BigIntegerField(default=0, help_text="Taken back in the period in which they were given.")
    thumbs_down = models.BigIntegerField(default=0)
    rated = models.BigIntegerField(default=0)
    rating_sum = models.BigIntegerField(default=0)
    response = models.BinaryField(default=bytes)
    first_token = models.BinaryField(default=bytes)
    answer_tokens = models.BinaryField(default=bytes)
    users = models.BinaryField(default=bytes)
    conversations = models.BinaryField(default=bytes)
    errors = models.JSONField(default=dict)
    tools = models.JSONField(default=dict)
    tool_errors = models.JSONField(default=dict)

    objects = RollupQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=(
                    "project_id",
                    "period",
                    "start",
                    "assistant_id",
                    "version_id",
                    "environment",
                    "model",
                    "key_id",
                ),
                name="rollup_cell",
            )
        ]
        indexes = [
            models.Index(fields=("assistant_id", "period", "start"), name="rollup_of_assistant"),
            models.Index(fields=("period", "start"), name="rollup_age"),
        ]

    def __str__(self) -> str:
        return f"{self.period} {self.start:%Y-%m-%d %H:%M}"


class Counted(models.Model):
    """Until when everything is in the roll-ups that was there: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"


class Grade(models.Model):
    """How an assistant did, on a day (of UTC): the last one that was made on it."""

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    assistant_id = models.CharField(max_length=64)
    day = models.DateField()
    score = models.PositiveSmallIntegerField(help_text="0 to 100.")
    letter = models.CharField(max_length=1)
    parts = OrderedJSONField(help_text="What it is made of; see runs.analytics.health.")
    made_at = models.DateTimeField()

    class Meta:
        ordering = ("-day",)
        constraints = [models.UniqueConstraint(fields=("assistant_id", "day"), name="grade_of_day")]

    def __str__(self) -> str:
        return f"{self.letter} ({self.score})"


class Expectations(models.Model):
    """What a project wants of its assistants: how much each part of a grade weighs, and what is good enough."""

    project = models.OneToOneField("accounts.Project", on_delete=models.CASCADE, related_name="expectations")
    weights = models.JSONField(default=dict, blank=True, help_text="By the part's name; see runs.analytics.health.")
    targets = models.JSONField(default=dict, blank=True, help_text="Likewise.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "expectations"
        verbose_name_plural = "expectations"

    def __str__(self) -> str:
        return f"What {self.project} expects"
