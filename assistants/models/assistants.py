"""The assistants of a project: what ``/v1/assistants`` and the admin read and write (the live draft)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from assistants.kinds import AssistantType, every_capability
from assistants.querysets import AssistantQuerySet
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field, reference

NAME_LENGTH = 256
DESCRIPTION_LENGTH = 512
INSTRUCTIONS_LENGTH = 256_000
MODEL_LENGTH = 256
MAXIMUM_TOOLS = 128
PERSONALITY_LENGTH = 4_000
TAG_LENGTH = 64
MAXIMUM_TAGS = 32
SUGGESTION_LENGTH = 200
MAXIMUM_SUGGESTIONS = 6


def auto() -> str:
    """The default response format and tool choice."""
    return "auto"


class ReasoningEffort(models.TextChoices):
    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class Retrieval(models.TextChoices):
    """How an assistant with the tool ``file_search`` comes to search its files."""

    AUTO = "auto", "The model searches when it wants to; one that has no tools is given what is found"
    TOOL = "tool", "The model searches when it wants to"
    BEFORE = "before", "The last message is searched for before every answer"


class LifeStatus(models.TextChoices):
    """Where an assistant is in its life. Only what runs in an environment, and the chat, ask for it."""

    DRAFT = "draft", "Draft"
    ACTIVE = "active", "Active"
    INACTIVE = "inactive", "Inactive: answers nobody"
    ARCHIVED = "archived", "Archived: kept, and neither offered nor changed"


class Visibility(models.TextChoices):
    PROJECT = "project", "Every member and key of the project"
    PRIVATE = "private", "Who made it, and administrators"


class Assistant(models.Model):
    """A model with instructions and tools. JSON columns hold the contract's shapes, already normalised."""

    id = id_field("asst_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="assistants")
    name = models.CharField(max_length=NAME_LENGTH, null=True, blank=True)  # noqa: DJ001  (null is the contract's)
    description = models.CharField(max_length=DESCRIPTION_LENGTH, null=True, blank=True)  # noqa: DJ001
    model = models.CharField(max_length=MODEL_LENGTH)
    instructions = models.TextField(max_length=INSTRUCTIONS_LENGTH, null=True, blank=True)  # noqa: DJ001
    tools = OrderedJSONField(default=list, blank=True)
    tool_resources = OrderedJSONField(default=dict, blank=True)
    metadata = OrderedJSONField(default=dict, blank=True)
    temperature = models.FloatField(default=1.0)
    top_p = models.FloatField(default=1.0)
    reasoning_effort = models.CharField(  # noqa: DJ001
        max_length=16, choices=ReasoningEffort.choices, null=True, blank=True
    )
    response_format = OrderedJSONField(default=auto, blank=True)
    retrieval = models.CharField(max_length=8, choices=Retrieval.choices, default=Retrieval.AUTO)
    server_tools = OrderedJSONField(
        default=list,
        blank=True,
        help_text="Tools of this server beside the contract's; see assistants.catalog.entries.",
    )
    functions = models.JSONField(default=list, blank=True, help_text="Ids of functions of the project's library.")
    offered_over_mcp = models.BooleanField(
        default=False, help_text="MCP clients with a key of the project find it among the tools of /mcp."
    )
    type = models.CharField(max_length=16, choices=AssistantType.choices, default=AssistantType.GENERAL)
    status = models.CharField(max_length=16, choices=LifeStatus.choices, default=LifeStatus.DRAFT)
    visibility = models.CharField(max_length=16, choices=Visibility.choices, default=Visibility.PROJECT)
    tags = models.JSONField(default=list, blank=True)
    suggestions = models.JSONField(  # null in rows that were there before it: tables of SQLite are not made anew for it
        null=True, blank=True, help_text="First questions that the chat offers; a list of texts."
    )
    personality = models.TextField(
        max_length=PERSONALITY_LENGTH, blank=True, default="", help_text="How it speaks: follows its instructions."
    )
    context_memory_size = models.PositiveIntegerField(
        null=True, blank=True, help_text="The newest messages of a thread that the model sees; empty: all that fit."
    )
    capabilities = models.JSONField(default=every_capability, blank=True)
    default_max_tokens = models.PositiveIntegerField(
        null=True, blank=True, help_text="Tokens that a run may generate, where it does not say itself."
    )
    parent_id = reference(help_text="The assistant that it was cloned from.")
    parent_version_id = reference(help_text="The version of that one, where it was a version.")
    based_on = reference(help_text="The version that the draft came from: the last published or restored one.")
    created_by_user = models.BigIntegerField(null=True, blank=True)
    created_by_key = reference()
    created_at = CreatedAtField()
    updated_at = models.DateTimeField(auto_now=True)

    objects = AssistantQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("project", "created_at", "id"), name="assistant_list"),
            models.Index(
                fields=("project", "parent_id"), condition=Q(parent_id__isnull=False), name="assistant_children"
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(temperature__gte=0, temperature__lte=2), name="assistant_temperature"),
            models.CheckConstraint(condition=Q(top_p__gte=0, top_p__lte=1), name="assistant_top_p"),
            models.CheckConstraint(condition=Q(retrieval__in=["auto", "tool", "before"]), name="assistant_retrieval"),
            models.CheckConstraint(condition=Q(status__in=LifeStatus.values), name="assistant_status"),
            models.CheckConstraint(condition=Q(visibility__in=Visibility.values), name="assistant_visibility"),
        ]

    def __str__(self) -> str:
        return self.name or self.id
