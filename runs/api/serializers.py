"""What the run routes take, and (for the documentation) what they answer."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from assistants.api.fields import FunctionName, ResponseFormatField, ToolField, ToolResourcesSerializer
from assistants.models import INSTRUCTIONS_LENGTH, MODEL_LENGTH, ReasoningEffort
from runs.models import RunStep
from runs.states import Status
from sovereign.core.api.schema import list_of
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
)
from threads.api.serializers import MessageRequest, ThreadRequest

OVERRIDE_TOOLS = 20
MINIMUM_BUDGET = 256  # tokens
TOOL_OUTPUT_LENGTH = 512_000  # characters
CHOICES = ["none", "auto", "required"]


class TruncationSerializer(StrictSerializer):
    type = StrictChoice(choices=["auto", "last_messages"])
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
        if attributes["type"] == "function" and "function" not in attributes:
            raise refuse_at("function", "Missing required parameter: '{param}'.", "missing_required_parameter")
        return attributes


class ToolChoiceField(StrictField):
    """``none``, ``auto``, ``required`` or one named tool."""

    def schema(self) -> dict[str, Any]:
        return {"oneOf": [{"type": "string", "enum": CHOICES}, {"type": "object"}]}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str):
            return StrictChoice(choices=CHOICES).to_internal_value(data)
        return dict(NamedToolChoice().run_validation(data))


class Overrides(StrictSerializer):
    """What both ways of making a run take; ``null`` overrides nothing."""

    assistant_id = StrictString(prefix="asst")
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
    additional_messages = StrictList(child=MessageRequest(), required=False, allow_null=True)


class ThreadAndRunRequest(Overrides):
    thread = ThreadRequest(required=False, allow_null=True)
    tool_resources = ToolResourcesSerializer(required=False, allow_null=True)


class ModifyRunRequest(StrictSerializer):
    metadata = Metadata()


class ToolOutput(StrictSerializer):
    tool_call_id = StrictString()
    output = StrictString(max_length=TOOL_OUTPUT_LENGTH, required=False, allow_null=True)

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        return {**attributes, "output": attributes.get("output") or ""}


class ToolOutputsRequest(StrictSerializer):
    tool_outputs = StrictList(child=ToolOutput())
    stream = StrictBoolean(required=False, allow_null=True)


def cursor_of(text: str | None) -> int:
    """A stream's cursor from a query or a ``Last-Event-ID``; nothing means the beginning."""
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise refuse_at("starting_after", "Invalid '{param}': expected the number of an event.", "invalid_value")
    return int(text)


class RunObject(serializers.Serializer):
    """The answer's shape; a test keeps it equal to what is rendered."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["thread.run"])
    created_at = serializers.IntegerField()
    assistant_id = serializers.CharField()
    thread_id = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.choices)
    started_at = serializers.IntegerField(allow_null=True)
    expires_at = serializers.IntegerField(allow_null=True)
    cancelled_at = serializers.IntegerField(allow_null=True)
    failed_at = serializers.IntegerField(allow_null=True)
    completed_at = serializers.IntegerField(allow_null=True)
    required_action = serializers.DictField(allow_null=True)
    last_error = serializers.DictField(allow_null=True)
    model = serializers.CharField()
    instructions = serializers.CharField(allow_blank=True)
    tools = serializers.ListField(child=serializers.DictField())
    tool_resources = serializers.DictField()
    metadata = serializers.DictField(child=serializers.CharField())
    temperature = serializers.FloatField()
    top_p = serializers.FloatField()
    reasoning_effort = serializers.ChoiceField(choices=ReasoningEffort.choices, allow_null=True)
    max_completion_tokens = serializers.IntegerField(allow_null=True)
    max_prompt_tokens = serializers.IntegerField(allow_null=True)
    truncation_strategy = serializers.DictField()
    incomplete_details = serializers.DictField(allow_null=True)
    usage = serializers.DictField(allow_null=True)
    response_format = serializers.JSONField()
    tool_choice = serializers.JSONField()
    parallel_tool_calls = serializers.BooleanField()
    status_details = serializers.CharField(allow_null=True, help_text="Why a queued run is not started yet.")


class StepObject(serializers.Serializer):
    """The answer's shape; a test keeps it equal to what is rendered."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["thread.run.step"])
    created_at = serializers.IntegerField()
    run_id = serializers.CharField()
    assistant_id = serializers.CharField()
    thread_id = serializers.CharField()
    type = serializers.ChoiceField(choices=RunStep.Type.choices)
    status = serializers.ChoiceField(choices=RunStep.StepStatus.choices)
    cancelled_at = serializers.IntegerField(allow_null=True)
    completed_at = serializers.IntegerField(allow_null=True)
    expires_at = serializers.IntegerField(allow_null=True)
    expired_at = serializers.IntegerField(allow_null=True)
    failed_at = serializers.IntegerField(allow_null=True)
    last_error = serializers.DictField(allow_null=True)
    step_details = serializers.DictField()
    usage = serializers.DictField(allow_null=True)
    metadata = serializers.DictField(child=serializers.CharField())


RunList = list_of(RunObject)

StepList = list_of(StepObject)
