"""Prompts, their immutable versions, and the labels that move from one version to another."""

from __future__ import annotations

from typing import Any

from django.db import models

from assistants.kinds import AssistantType
from assistants.prompts.querysets import PromptQuerySet, PromptVersionQuerySet
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field, reference

NAME_LENGTH = 128
DESCRIPTION_LENGTH = 512
TEMPLATE_LENGTH = 256_000
LABEL_LENGTH = 64
NOTES_LENGTH = 2_000
LANGUAGE_LENGTH = 16


class Prompt(models.Model):
    """A text that assistants share. What it says is in its versions."""

    id = id_field("prompt_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=NAME_LENGTH)
    description = models.CharField(max_length=DESCRIPTION_LENGTH, blank=True, default="")
    type = models.CharField(
        max_length=16,
        choices=AssistantType.choices,
        default=AssistantType.GENERAL,
        help_text="The kind of assistants that it is for.",
    )
    language = models.CharField(max_length=LANGUAGE_LENGTH, blank=True, default="", help_text="Such as en or pt-BR.")
    tags = models.JSONField(default=list, blank=True)
    created_by_user = models.BigIntegerField(null=True, blank=True)
    created_by_key = reference()
    created_at = CreatedAtField()
    updated_at = models.DateTimeField(auto_now=True)

    objects = PromptQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [models.Index(fields=("project", "created_at", "id"), name="prompt_list")]
        constraints = [models.UniqueConstraint(fields=("project", "name"), name="prompt_name")]

    def __str__(self) -> str:
        return self.name


class PromptVersion(models.Model):
    """What a prompt said: never changed again."""

    id = id_field("promptv_")
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField(help_text="1, 2, 3 … of its prompt.")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, related_name="children", null=True, blank=True)
    template = models.TextField(max_length=TEMPLATE_LENGTH)
    variables = OrderedJSONField(default=list, blank=True, help_text="See assistants.prompts.variables.")
    notes = models.CharField(max_length=NOTES_LENGTH, blank=True, default="")
    created_by_user = models.BigIntegerField(null=True, blank=True)
    created_by_key = reference()
    created_at = CreatedAtField()

    objects = PromptVersionQuerySet.as_manager()

    class Meta:
        ordering = ("prompt", "-number")
        constraints = [models.UniqueConstraint(fields=("prompt", "number"), name="prompt_version_number")]

    def __str__(self) -> str:
        return f"version {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """:raises TypeError: it was saved before."""
        if not self._state.adding:
            raise TypeError("a version of a prompt is never changed")
        super().save(*args, **kwargs)


class PromptLabel(models.Model):
    """A name such as ``production`` that points to one version of a prompt, and can be moved."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="labels", db_index=False)
    name = models.CharField(max_length=LABEL_LENGTH)
    version = models.ForeignKey(PromptVersion, on_delete=models.CASCADE, related_name="labels")
    moved_by_user = models.BigIntegerField(null=True, blank=True)
    moved_by_key = reference()
    moved_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("prompt", "name")
        constraints = [models.UniqueConstraint(fields=("prompt", "name"), name="prompt_label_name")]

    def __str__(self) -> str:
        return self.name
