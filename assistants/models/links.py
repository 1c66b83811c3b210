"""Which prompts of the library an assistant uses, and when."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from assistants.models.assistants import Assistant
from assistants.querysets import OfProject
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field

LABEL_LENGTH = 64


class PromptLink(models.Model):
    """A prompt at an assistant: a fixed version of it, the one that has a label, or (without either) the newest.

    Among links of one kind the conditions decide, then the priority, then chance by weight (the same for a thread).
    """

    class Kind(models.TextChoices):
        PRIMARY = "primary", "In place of the instructions"
        SECONDARY = "secondary", "After the instructions"
        FALLBACK = "fallback", "In place of the instructions where no primary one fits"

    id = id_field("link_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    assistant = models.ForeignKey(Assistant, on_delete=models.CASCADE, related_name="prompt_links", db_index=False)
    prompt = models.ForeignKey("prompts.Prompt", on_delete=models.RESTRICT, related_name="links")
    version = models.ForeignKey(
        "prompts.PromptVersion", on_delete=models.RESTRICT, related_name="+", null=True, blank=True
    )
    label = models.CharField(max_length=LABEL_LENGTH, blank=True, default="")
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.PRIMARY)
    priority = models.SmallIntegerField(default=0, help_text="The highest goes first.")
    weight = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Its share, in per cent, among those of one kind and priority."
    )
    conditions = OrderedJSONField(default=dict, blank=True, help_text="See assistants.prompting.conditions.")
    is_enabled = models.BooleanField(default=True)
    created_at = CreatedAtField()

    objects = OfProject.as_manager()

    class Meta:
        ordering = ("assistant", "kind", "-priority", "created_at", "id")
        indexes = [models.Index(fields=("assistant", "created_at", "id"), name="prompt_link_list")]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["primary", "secondary", "fallback"]), name="prompt_link_kind"),
            models.CheckConstraint(condition=Q(weight=None) | Q(weight__lte=100), name="prompt_link_weight"),
            models.CheckConstraint(condition=Q(version=None) | Q(label=""), name="prompt_link_version_or_label"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.prompt_id}"
