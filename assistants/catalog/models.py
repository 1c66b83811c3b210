"""The catalog of a project: what its assistants may be given to work with."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from assistants.catalog.mcp import Endpoint, ToolListing
from assistants.catalog.querysets import CatalogQuerySet
from inference.secrets import unseal
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field

NAME_LENGTH = 64
DESCRIPTION_LENGTH = 1_024
LABEL_LENGTH = 32
ADDRESS_LENGTH = 500
HEADER_LENGTH = 64
AUTHORIZATION = "Authorization"
DEFAULT_SECONDS = 30
LONGEST_SECONDS = 300
#: the function in which an application is asked for a person's approval; no function of a project is called so
APPROVAL_FUNCTION = "mcp_approval_request"
RESERVED = f"'{APPROVAL_FUNCTION}' is the name of requests for approval, and no function's."


def no_parameters() -> dict[str, Any]:
    """The schema of a function without arguments."""
    return {"type": "object", "properties": {}}


class Function(models.Model):
    """A function that the project's applications carry out, described once for all assistants that have it."""

    id = id_field("func_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="functions")
    name = models.CharField(max_length=NAME_LENGTH)
    description = models.CharField(max_length=DESCRIPTION_LENGTH, blank=True)
    parameters = OrderedJSONField(default=no_parameters, blank=True)
    strict = models.BooleanField(default=False)
    examples = OrderedJSONField(default=list, blank=True, help_text='[{"arguments": {…}, "output": …}]')
    created_at = CreatedAtField()
    updated_at = models.DateTimeField(auto_now=True)

    objects = CatalogQuerySet.as_manager()

    class Meta:
        ordering = ("name", "id")
        constraints = [models.UniqueConstraint(fields=("project", "name"), name="function_name")]

    def __str__(self) -> str:
        return self.name

    def as_tool(self) -> dict[str, Any]:
        """In the contract's normal form, as an assistant's own functions are kept."""
        function = {
            "name": self.name,
            "description": self.description or None,
            "parameters": self.parameters,
            "strict": self.strict,
        }
        return {"type": "function", "function": function}


class McpServer(models.Model):
    """Somebody's MCP server, as an administrator describes it, with the tools that it lists."""

    class Approval(models.TextChoices):
        ALWAYS = "always", "Before every call"
        LISTED = "listed", "For ticked tools"
        NEVER = "never", "Never"

    id = id_field("mcp_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="mcp_servers")
    label = models.CharField(max_length=LABEL_LENGTH)
    url = models.CharField("address", max_length=ADDRESS_LENGTH)
    enabled = models.BooleanField(default=True, help_text="Only then is it asked for anything.")
    inner_network = models.BooleanField(
        default=False, help_text="Its address may be one of an inner network, such as 10.0.0.5 or localhost."
    )
    header = models.CharField(max_length=HEADER_LENGTH, default=AUTHORIZATION)
    sealed_key = models.TextField(blank=True, editable=False)
    key_variable = models.CharField(max_length=64, blank=True)
    timeout = models.PositiveSmallIntegerField(default=DEFAULT_SECONDS)
    approval = models.CharField(max_length=8, choices=Approval.choices, default=Approval.ALWAYS)
    #: names of allowed tools that ``LISTED`` asks nobody about: what nobody has thought of is asked about
    unasked_tools = models.JSONField(default=list, blank=True, editable=False)
    allowed = models.JSONField(default=dict, blank=True, editable=False)  # tool → digest of what was allowed
    listing = OrderedJSONField(default=list, blank=True, editable=False)  # of ``ToolListing``
    listed_at = models.DateTimeField(null=True, blank=True, editable=False)
    listing_error = models.CharField(max_length=500, blank=True, editable=False)
    created_at = CreatedAtField()
    updated_at = models.DateTimeField(auto_now=True)

    objects = CatalogQuerySet.as_manager()

    class Meta:
        verbose_name = "MCP server"
        ordering = ("label", "id")
        constraints = [
            models.UniqueConstraint(fields=("project", "label"), name="mcp_server_label"),
            models.CheckConstraint(
                condition=Q(approval__in=["always", "listed", "never"]), name="mcp_server_approval_is_known"
            ),
            models.CheckConstraint(
                condition=Q(timeout__gte=1, timeout__lte=LONGEST_SECONDS), name="mcp_server_timeout"
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @cached_property
    def tools(self) -> list[ToolListing]:
        """All that it listed last."""
        return [ToolListing(**stored) for stored in self.listing]

    def is_allowed(self, tool: ToolListing) -> bool:
        """Whether an administrator allowed this very definition, and it can be used."""
        return not tool.problem and self.allowed.get(tool.name) == tool.digest

    def has_changed(self, tool: ToolListing) -> bool:
        """Whether it was allowed as something else: it is withheld until somebody looks at it again."""
        return tool.name in self.allowed and self.allowed[tool.name] != tool.digest

    def offered(self, names: Collection[str] | None) -> list[ToolListing]:
        """The tools that may be given to an assistant now, of those that its entry names.

        :param names: ``None`` for all of them.
        """
        if not self.enabled:
            return []
        return [tool for tool in self.tools if self.is_allowed(tool) and (names is None or tool.name in names)]

    def needs_approval(self, name: str) -> bool:
        """Whether a person has to agree to every call of this tool."""
        if self.approval == self.Approval.LISTED:
            return name not in self.unasked_tools
        return self.approval != self.Approval.NEVER

    def key(self) -> str:
        """Its secret: of its environment variable where it names one, else the one kept here. Never shown."""
        if self.key_variable:
            return str(settings.SOVEREIGN.provider_key(self.key_variable, self.url))
        return unseal(self.sealed_key)

    def endpoint(self) -> Endpoint:
        """What its client needs."""
        key = self.key()
        value = f"Bearer {key}" if self.header == AUTHORIZATION else key
        return Endpoint(
            url=self.url,
            headers={self.header: value} if key else {},
            timeout=float(self.timeout),
            inner_network=self.inner_network,
        )
