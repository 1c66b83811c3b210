"""Sets of cases, their runs against versions of assistants, and what came of each case."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from assistants.models import Assistant, AssistantVersion
from runs.evaluations.querysets import (
    EvaluationCaseQuerySet,
    EvaluationResultQuerySet,
    EvaluationRunQuerySet,
    EvaluationSetQuerySet,
)
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field, reference

NAME_LENGTH = 128
DESCRIPTION_LENGTH = 512
REFERENCE_LENGTH = 64_000
MAXIMUM_CASES = 1_000


class EvaluationSet(models.Model):
    """Cases that belong together. ``revision`` tells runs of the same cases from others: each change raises it."""

    audited_as = "evaluation"

    id = id_field("eval_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    assistant = models.ForeignKey(
        Assistant,
        on_delete=models.CASCADE,
        related_name="evaluation_sets",
        null=True,
        blank=True,
        help_text="The assistant that it is for; empty: any of the project.",
    )
    name = models.CharField(max_length=NAME_LENGTH)
    description = models.CharField(max_length=DESCRIPTION_LENGTH, blank=True, default="")
    gates = models.JSONField(
        default=dict, blank=True, help_text="By environments, the share of cases that has to pass before: 0 to 1."
    )
    revision = models.PositiveIntegerField(default=0)
    last_position = models.PositiveIntegerField(default=0)
    created_by_user = models.BigIntegerField(null=True, blank=True)
    created_by_key = reference()
    created_at = CreatedAtField()
    updated_at = models.DateTimeField(auto_now=True)

    objects = EvaluationSetQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [models.Index(fields=("project", "created_at", "id"), name="evaluation_set_list")]

    def __str__(self) -> str:
        return self.name


class EvaluationCase(models.Model):
    """What is said to an assistant, and what its answer has to be like: all checks have to pass."""

    id = id_field("evcase_")
    set = models.ForeignKey(EvaluationSet, on_delete=models.CASCADE, related_name="cases", db_index=False)
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    messages = OrderedJSONField(help_text="Role and content of each, as threads take them.")
    source_run_id = reference(help_text="The run that it was made of.")
    reference = models.TextField(max_length=REFERENCE_LENGTH, blank=True, default="", help_text="A good answer.")
    checks = OrderedJSONField(default=list, help_text="See runs.evaluations.checks.")
    variables = OrderedJSONField(default=dict, blank=True, help_text="Metadata of the run: prompts are filled with it.")
    created_at = CreatedAtField()
    updated_at = models.DateTimeField(auto_now=True)

    objects = EvaluationCaseQuerySet.as_manager()

    class Meta:
        ordering = ("set", "position")
        constraints = [models.UniqueConstraint(fields=("set", "position"), name="evaluation_case_position")]

    def __str__(self) -> str:
        return self.name or f"case {self.position}"

    def snapshot(self) -> dict[str, object]:
        """What a result keeps of it."""
        return {
            "name": str(self),
            "messages": self.messages,
            "reference": self.reference,
            "checks": self.checks,
            "variables": self.variables,
        }


class EvaluationRun(models.Model):
    """A set against a version: made with a result for each case, and worked on by whichever worker has time."""

    audited_as = "evaluation_run"

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        IN_PROGRESS = "in_progress", "In progress"
        COMPLETED = "completed", "Completed"
        CANCELLED = "cancelled", "Cancelled"

    id = id_field("evrun_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    set = models.ForeignKey(EvaluationSet, on_delete=models.CASCADE, related_name="runs", db_index=False)
    assistant = models.ForeignKey(Assistant, on_delete=models.CASCADE, related_name="evaluation_runs")
    version = models.ForeignKey(AssistantVersion, on_delete=models.CASCADE, related_name="evaluation_runs")
    revision = models.PositiveIntegerField(help_text="Of the set, when the cases were taken.")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    total = models.PositiveIntegerField()
    passed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    errored = models.PositiveIntegerField(default=0)
    deployment_id = reference(help_text="The deployment before which it stands, where one began it.")
    created_by_user = models.BigIntegerField(null=True, blank=True)
    created_by_key = reference()
    created_at = CreatedAtField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = EvaluationRunQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("set", "created_at", "id"), name="evaluation_run_list"),
            models.Index(fields=("project", "created_at", "id"), name="evaluation_run_of_project"),
            models.Index(
                fields=("created_at", "id"),
                condition=Q(status__in=["queued", "in_progress"]),
                name="evaluation_run_active",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["queued", "in_progress", "completed", "cancelled"]),
                name="evaluation_run_status",
            )
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def is_over(self) -> bool:
        return self.status in (self.Status.COMPLETED, self.Status.CANCELLED)

    @property
    def pass_rate(self) -> float | None:
        """Of all of its cases; ``None`` before all are done."""
        return self.passed / self.total if self.status == self.Status.COMPLETED and self.total else None


class EvaluationResult(models.Model):
    """What came of one case: made with its run, so that the case may be changed meanwhile."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Being answered"
        CHECKING = "checking", "Being checked"
        PASSED = "passed", "Passed"
        FAILED = "failed", "Failed"
        ERROR = "error", "Error"
        CANCELLED = "cancelled", "Cancelled"

    id = id_field("evres_")
    evaluation_run = models.ForeignKey(EvaluationRun, on_delete=models.CASCADE, related_name="results", db_index=False)
    position = models.PositiveIntegerField()
    case_id = reference()
    case = OrderedJSONField(help_text="As it was.")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.WAITING)
    thread_id = reference()
    run_id = reference(help_text="The run that answered.")
    answer = models.TextField(blank=True, default="")
    verdicts = OrderedJSONField(default=list, blank=True, help_text="One for each check that was made.")
    error = models.CharField(max_length=500, blank=True, default="", help_text="Why there is no answer, or no verdict.")
    milliseconds = models.PositiveIntegerField(null=True, blank=True)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often it was begun to be checked.")
    lease_owner = reference()
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    created_at = CreatedAtField()
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = EvaluationResultQuerySet.as_manager()

    class Meta:
        ordering = ("evaluation_run", "position")
        indexes = [
            models.Index(fields=("created_at", "id"), condition=Q(status="checking"), name="evaluation_to_be_checked")
        ]
        constraints = [models.UniqueConstraint(fields=("evaluation_run", "position"), name="evaluation_result_once")]

    def __str__(self) -> str:
        return str(self.case.get("name", self.id))
