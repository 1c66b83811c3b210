"""What the run routes take."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict

from assistants.api.fields import ResponseFormatField, ToolField, ToolResourcesSerializer
from assistants.models import INSTRUCTIONS_LENGTH, MODEL_LENGTH, ReasoningEffort
from inference.api.fields import FunctionName
from runs.asked import MOST_CALLS
from sovereign.core.api.unions import Union
from sovereign.core.api.validation import (
    SHOWN,
    Metadata,
    StrictBoolean,
    StrictChoice,
    StrictField,
    StrictList,
    StrictNumber,
    StrictSerializer,
    StrictString,
    refuse_at,
)
from sovereign.core.errors import ApiError
from threads.api.serializers import MAXIMUM_MESSAGES_AT_ONCE, MessageRequest, ThreadRequest

OVERRIDE_TOOLS = 20
MINIMUM_BUDGET = 256  # tokens
FOUND_CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
TOOL_OUTPUT_LENGTH = 512_000  # characters
CHOICES = ["none", "auto", "required"]
TRUNCATIONS = ["auto", "last_messages"]


class TruncationSerializer(StrictSerializer):
    type = StrictChoice(choices=TRUNCATIONS)
    last_messages = StrictNumber(minimum=1, integer=True, required=False, allow_null=True)

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        if attributes["type"] == "last_messages" and attributes.get("last_messages") is None:
            raise refuse_at("last_messages", "Missing required parameter: '{param}'.", "missing_required_parameter")
        return attributes


class NamedFunction(StrictSerializer):
    name = FunctionName()


class NamedToolChoice(StrictSerializer):
    type = StrictChoice(choices=["function", "file_search", "code_interpreter"])
    function = NamedFunction(required=False)

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        is_function, is_named = attributes["type"] == "function", "function" in attributes
        if is_function and not is_named:
            raise refuse_at("function", "Missing required parameter: '{param}'.", "missing_required_parameter")
        if is_named and not is_function:
            raise refuse_at("function", "Invalid '{param}': only the type 'function' names one.", "invalid_value")
        return attributes


TOOL_CHOICE = Union("ToolChoice", ({"type": "string", "enum": CHOICES}, NamedToolChoice))


class ToolChoiceField(StrictField):
    """``none``, ``auto``, ``required`` or one named tool."""

    def schema(self) -> Union:
        return TOOL_CHOICE

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str):
            return StrictChoice(choices=CHOICES).to_internal_value(data)
        return NamedToolChoice.checked(data)


class Overrides(StrictSerializer):
    """What both ways of making a run take; ``null`` overrides nothing."""

    assistant_id = StrictString()
    model = StrictString(max_length=MODEL_LENGTH, required=False, allow_null=True)
    instructions = StrictString(max_length=INSTRUCTIONS_LENGTH, required=False, allow_null=True)
    reasoning_effort = StrictChoice(choices=ReasoningEffort.values, required=False, allow_null=True)
    tools = StrictList(child=ToolField(), maximum=OVERRIDE_TOOLS, required=False, allow_null=True)
    metadata = Metadata()
    temperature = StrictNumber(minimum=0, maximum=2, required=False, allow_null=True)
    top_p = StrictNumber(minimum=0, maximum=1, required=False, allow_null=True)
    stream = StrictBoolean(required=False, allow_null=True)
    max_prompt_tokens = StrictNumber(minimum=MINIMUM_BUDGET, integer=True, required=False, allow_null=True)
    max_completion_tokens = StrictNumber(minimum=MINIMUM_BUDGET, integer=True, required=False, allow_null=True)
    truncation_strategy = TruncationSerializer(required=False, allow_null=True)
    tool_choice = ToolChoiceField(required=False, allow_null=True)
    parallel_tool_calls = StrictBoolean(required=False, allow_null=True)
    response_format = ResponseFormatField(required=False, allow_null=True)


class RunRequest(Overrides):
    additional_instructions = StrictString(max_length=INSTRUCTIONS_LENGTH, required=False, allow_null=True)
    additional_messages = StrictList(
        child=MessageRequest(), maximum=MAXIMUM_MESSAGES_AT_ONCE, required=False, allow_null=True
    )


class ThreadAndRunRequest(Overrides):
    thread = ThreadRequest(required=False, allow_null=True)
    tool_resources = ToolResourcesSerializer(required=False, allow_null=True)


class ModifyRunRequest(StrictSerializer):
    metadata = Metadata()


class ToolOutput(StrictSerializer):
    tool_call_id = StrictString(required=False)
    output = StrictString(max_length=TOOL_OUTPUT_LENGTH, required=False, allow_null=True)

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        return {**attributes, "output": attributes.get("output") or ""}


class ToolOutputsRequest(StrictSerializer):
    tool_outputs = StrictList(child=ToolOutput(), maximum=MOST_CALLS)
    stream = StrictBoolean(required=False, allow_null=True)


def wants_contents(query: QueryDict) -> bool:
    """Whether an answer is to hold the texts that a file search found: ``include``, with brackets or without.

    :raises ApiError: an unknown value.
    """
    included = query.getlist("include[]") + query.getlist("include")
    for value in included:
        if value != FOUND_CONTENT:
            raise ApiError(
                f"Invalid value: '{value[:SHOWN]}'. Supported values are: '{FOUND_CONTENT}'.",
                param="include",
                code="invalid_value",
            )
    return bool(included)


def wants_stream(query: QueryDict) -> bool:
    """Whether a reading is to be a stream.

    :raises ApiError: neither ``true`` nor ``false``.
    """
    value = query.get("stream", "false")
    if value not in ("true", "false"):
        raise ApiError(
            f"Invalid value: '{value[:SHOWN]}'. Supported values are: 'true' and 'false'.",
            param="stream",
            code="invalid_value",
        )
    return value == "true"


def cursor_of(text: str | None) -> int:
    """A stream's cursor from a query or a ``Last-Event-ID``; nothing means the beginning."""
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise refuse_at("starting_after", "Invalid '{param}': expected the number of an event.", "invalid_value")
    return int(text)
