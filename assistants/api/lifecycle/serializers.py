"""What ``/api/v1/assistants`` takes: the contract's fields, and those of an assistant's life."""

from __future__ import annotations

from typing import Any

from assistants.api.fields import ToolResourcesSerializer
from assistants.api.serializers import AssistantRequest
from assistants.catalog.entries import MAXIMUM_ENTRIES
from assistants.kinds import AssistantType, Capability
from assistants.models import (
    DESCRIPTION_LENGTH,
    MAXIMUM_SUGGESTIONS,
    MAXIMUM_TAGS,
    MAXIMUM_TOOLS,
    MODEL_LENGTH,
    NAME_LENGTH,
    PERSONALITY_LENGTH,
    SUGGESTION_LENGTH,
    TAG_LENGTH,
    LifeStatus,
    Retrieval,
    Visibility,
)
from assistants.services.traits import FEWEST_TOKENS, MOST_MESSAGES, MOST_TOKENS
from sovereign.core.api.validation import (
    Metadata,
    StrictBoolean,
    StrictChoice,
    StrictField,
    StrictList,
    StrictNumber,
    StrictSerializer,
    StrictString,
    refuse_at,
    refuse_type,
)
from sovereign.core.api.versions import VersionField

ID_LENGTH = 64


class ServerTool(StrictField):
    """An entry of ``server_tools``; what it may hold is known to ``assistants.catalog.entries``."""

    expected = "an object"

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise refuse_type(self.expected, data)
        return data


def _tags() -> StrictList:
    return StrictList(
        child=StrictString(max_length=TAG_LENGTH, min_length=1),
        maximum=MAXIMUM_TAGS,
        required=False,
        allow_null=True,
        help_text="Words to find it by; blanks around them are dropped, and each is kept once.",
    )


def _suggestions() -> StrictList:
    return StrictList(
        child=StrictString(max_length=SUGGESTION_LENGTH, min_length=1),
        maximum=MAXIMUM_SUGGESTIONS,
        required=False,
        allow_null=True,
        help_text="First questions that the chat offers to who begins a conversation with it.",
    )


class WholeAssistantRequest(AssistantRequest):
    """An assistant with all that belongs to its life; ``null`` resets a field to its default."""

    type = StrictChoice(choices=AssistantType.values, required=False, help_text="What it is for.")
    status = StrictChoice(choices=LifeStatus.values, required=False, help_text="Where it is in its life.")
    visibility = StrictChoice(choices=Visibility.values, required=False, help_text="Who sees it.")
    tags = _tags()
    suggestions = _suggestions()
    personality = StrictString(
        max_length=PERSONALITY_LENGTH, required=False, allow_null=True, help_text="How it speaks."
    )
    context_memory_size = StrictNumber(
        minimum=1, maximum=MOST_MESSAGES, integer=True, required=False, allow_null=True,
        help_text="The newest messages of a thread that the model sees; null: all that fit.",
    )  # fmt: skip
    capabilities = StrictList(
        child=StrictChoice(choices=Capability.values), maximum=len(Capability.values), required=False, allow_null=True,
        help_text="What it may do; one that it lacks is left out of every request to a model.",
    )  # fmt: skip
    default_max_tokens = StrictNumber(
        minimum=FEWEST_TOKENS, maximum=MOST_TOKENS, integer=True, required=False, allow_null=True,
        help_text="Tokens that a run may generate, where it does not say itself.",
    )  # fmt: skip
    retrieval = StrictChoice(
        choices=Retrieval.values, required=False, allow_null=True, help_text="How its files come to be searched."
    )
    server_tools = StrictList(
        child=ServerTool(), maximum=MAXIMUM_ENTRIES, required=False, allow_null=True,
        help_text="Tools of this server beside the contract's.",
    )  # fmt: skip
    functions = StrictList(
        child=StrictString(max_length=ID_LENGTH), maximum=MAXIMUM_TOOLS, required=False, allow_null=True,
        help_text="Ids of functions of the project's library.",
    )  # fmt: skip
    offered_over_mcp = StrictBoolean(
        required=False, allow_null=True, help_text="Whether MCP clients find it among the tools of `/mcp`."
    )
    parent_id = StrictString(
        max_length=ID_LENGTH, required=False, allow_null=True, help_text="The assistant that it was made from."
    )


class NewAssistantRequest(WholeAssistantRequest):
    """An assistant to make: with a model, or from a template, whose fields the others replace."""

    model = StrictString(
        max_length=MODEL_LENGTH, min_length=1, required=False,
        help_text="The name of a model of this server, or an alias; may be left out with a template.",
    )  # fmt: skip
    template = StrictString(
        max_length=ID_LENGTH, required=False, help_text="A template to start from; see `/api/v1/assistants/templates`."
    )

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        if "model" not in attributes and "template" not in attributes:
            raise refuse_at("model", "Missing required parameter: '{param}'.", "missing_required_parameter")
        return attributes


class CloneRequest(StrictSerializer):
    """What a clone has otherwise; without anything it is the same but for its name."""

    version = VersionField(
        required=False, allow_null=True, help_text="Id or number of a version to clone; without it the draft is cloned."
    )
    name = StrictString(max_length=NAME_LENGTH, required=False, allow_null=True, help_text="What people call it.")
    description = StrictString(max_length=DESCRIPTION_LENGTH, required=False, allow_null=True)
    model = StrictString(
        max_length=MODEL_LENGTH, min_length=1, required=False, help_text="The name of another model, or an alias."
    )
    tool_resources = ToolResourcesSerializer(required=False, allow_null=True)
    type = StrictChoice(choices=AssistantType.values, required=False, help_text="What it is for.")
    visibility = StrictChoice(choices=Visibility.values, required=False, help_text="Who sees it.")
    tags = _tags()
    suggestions = _suggestions()
    metadata = Metadata()
