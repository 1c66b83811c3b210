"""Where versions of assistants are in service, and how much of the house each may have there."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from assistants.kinds import Environment
from assistants.models.assistants import Assistant
from assistants.models.versions import NOTES_LENGTH, AssistantVersion
from assistants.querysets import DeploymentQuerySet
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field, reference


class Deployment(models.Model):
    """A version in an environment: from the wish to the end. Rows are the history: they go with their assistant only.

    At most one of an assistant is ``active`` in an environment, and at most one a ``canary`` beside it.
    """

    class Status(models.TextChoices):
        SCHEDULED = "scheduled", "Waits for its time"
        AWAITING_APPROVAL = "awaiting_approval", "Waits for somebody else's approval"
        VALIDATING = "validating", "Is being tried"
        ACTIVE = "active", "In service"
        CANARY = "canary", "In service for a part of the threads"
        SUPERSEDED = "superseded", "Another one took its place"
        ROLLED_BACK = "rolled_back", "Taken back"
        FAILED = "failed", "Was not ready"
        CANCELLED = "cancelled", "Called off"
        RETIRED = "retired", "Taken out of service"

    id = id_field("dep_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    assistant = models.ForeignKey(Assistant, on_delete=models.CASCADE, related_name="deployments", db_index=False)
    version = models.ForeignKey(AssistantVersion, on_delete=models.CASCADE, related_name="deployments")
    environment = models.CharField(max_length=16, choices=Environment.choices)
    status = models.CharField(max_length=20, choices=Status.choices)
    percent = models.DecimalField(
        max_digits=5, decimal_places=2, null=True, blank=True, help_text="Of the threads, where it is a canary."
    )
    thresholds = OrderedJSONField(default=dict, blank=True, help_text="See assistants.deployments.canaries.")
    checks = OrderedJSONField(default=list, blank=True, help_text="What was checked, and what was found.")
    smoke_run_id = reference()
    notes = models.CharField(max_length=NOTES_LENGTH, blank=True, default="")
    replaces = reference(help_text="The deployment that was active when this one became it.")
    promoted_from = reference(help_text="The deployment of the environment before, whose version this is.")
    asked_by_user = models.BigIntegerField(null=True, blank=True)
    asked_by_key = reference()
    approved_by_user = models.BigIntegerField(null=True, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    scheduled_at = models.DateTimeField(null=True, blank=True)
    activated_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by_user = models.BigIntegerField(null=True, blank=True)
    ended_by_key = reference()
    reason = models.CharField(max_length=500, blank=True, default="", help_text="Why it ended, or waits.")
    created_at = CreatedAtField()

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("assistant", "created_at", "id"), name="deployment_list"),
            models.Index(
                fields=("status", "created_at"),
                name="deployment_pending",
                condition=Q(status__in=["scheduled", "validating", "canary"]),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=("assistant", "environment"), condition=Q(status="active"), name="deployment_one_active"
            ),
            models.UniqueConstraint(
                fields=("assistant", "environment"), condition=Q(status="canary"), name="deployment_one_canary"
            ),
            models.CheckConstraint(condition=Q(environment__in=Environment.values), name="deployment_environment"),
            models.CheckConstraint(
                condition=Q(percent=None) | Q(percent__gt=0, percent__lt=100), name="deployment_percent"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} in {self.environment}"


class Scale(models.Model):
    """How much of the house an assistant's runs may have in an environment. ``None`` limits nothing."""

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    assistant = models.ForeignKey(Assistant, on_delete=models.CASCADE, related_name="scales", db_index=False)
    environment = models.CharField(max_length=16, choices=Environment.choices)
    worker_slots = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Runs at once.")
    priority = models.SmallIntegerField(default=0, help_text="Runs of a higher one are taken first.")
    tokens_per_day = models.PositiveBigIntegerField(null=True, blank=True, help_text="After which its runs wait.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=("assistant", "environment"), name="scale_once")]

    def __str__(self) -> str:
        return f"{self.assistant_id} in {self.environment}"


class EnvironmentPolicy(models.Model):
    """What a project asks of deployments to an environment; without a row there is no four-eyes approval."""

    audited_as = "environment"  # which, and not which row, is what the audit log knows it by

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    environment = models.CharField(max_length=16, choices=Environment.choices)
    four_eyes = models.BooleanField(default=False, help_text="Somebody else than who asked for it has to approve.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=("project", "environment"), name="environment_policy_once")]

    def __str__(self) -> str:
        return f"{self.environment} of {self.project_id}"

    @property
    def audited_id(self) -> str:
        return str(self.environment)
