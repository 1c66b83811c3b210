"""The assistants of a project: what ``/v1/assistants`` and the admin read and write (the live draft)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from assistants.querysets import AssistantQuerySet
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field

NAME_LENGTH = 256
DESCRIPTION_LENGTH = 512
INSTRUCTIONS_LENGTH = 256_000
MODEL_LENGTH = 256
MAXIMUM_TOOLS = 128


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
    created_at = CreatedAtField()
    updated_at = models.DateTimeField(auto_now=True)

    objects = AssistantQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [models.Index(fields=("project", "created_at", "id"), name="assistant_list")]
        constraints = [
            models.CheckConstraint(condition=Q(temperature__gte=0, temperature__lte=2), name="assistant_temperature"),
            models.CheckConstraint(condition=Q(top_p__gte=0, top_p__lte=1), name="assistant_top_p"),
            models.CheckConstraint(condition=Q(retrieval__in=["auto", "tool", "before"]), name="assistant_retrieval"),
        ]

    def __str__(self) -> str:
        return self.name or self.id
