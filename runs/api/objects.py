"""What the run routes answer, for the documentation. What only streams carry stands in ``runs.api.stream_objects``."""

from __future__ import annotations

from rest_framework import serializers

from assistants.api.fields import RANKERS, RESPONSE_FORMAT
from assistants.api.objects import TOOL_OBJECT, ToolResourcesObject
from assistants.models import ReasoningEffort
from runs.api.serializers import TOOL_CHOICE, TRUNCATIONS
from runs.models import RunStep
from runs.states import Status
from sovereign.core.api.schema import UnixTime, list_of
from sovereign.core.api.unions import OneOf, Union
from sovereign.core.api.validation import Metadata

ERROR_CODES = ["server_error", "rate_limit_exceeded", "invalid_prompt"]
RUN_INCOMPLETE_REASONS = ["max_completion_tokens", "max_prompt_tokens"]


class AskedFunction(serializers.Serializer):
    name = serializers.CharField()
    arguments = serializers.CharField()


class AskedCall(serializers.Serializer):
    """A call whose output the run waits for."""

    id = serializers.CharField()
    type = serializers.ChoiceField(choices=["function"])
    function = AskedFunction()


class AskedCalls(serializers.Serializer):
    tool_calls = AskedCall(many=True)


class RequiredAction(serializers.Serializer):
    """What the application has to do before the run goes on."""

    type = serializers.ChoiceField(choices=["submit_tool_outputs"])
    submit_tool_outputs = AskedCalls()


class LastError(serializers.Serializer):
    """Why a run or a step failed."""

    code = serializers.ChoiceField(choices=ERROR_CODES)
    message = serializers.CharField()


class RunIncompleteDetails(serializers.Serializer):
    """Which budget was used up."""

    reason = serializers.ChoiceField(choices=RUN_INCOMPLETE_REASONS)


class PromptDetails(serializers.Serializer):
    cached_tokens = serializers.IntegerField()


class CompletionDetails(serializers.Serializer):
    reasoning_tokens = serializers.IntegerField()


class Usage(serializers.Serializer):
    """Tokens of the model calls, added up."""

    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()
    prompt_token_details = PromptDetails()
    completion_tokens_details = CompletionDetails()


class TruncationObject(serializers.Serializer):
    """Which messages the model gets to see."""

    type = serializers.ChoiceField(choices=TRUNCATIONS)
    last_messages = serializers.IntegerField(allow_null=True, min_value=1)


class RunObject(serializers.Serializer):
    """A run."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["thread.run"])
    created_at = UnixTime()
    assistant_id = serializers.CharField()
    thread_id = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.choices)
    started_at = UnixTime(allow_null=True)
    expires_at = UnixTime(allow_null=True)
    cancelled_at = UnixTime(allow_null=True)
    failed_at = UnixTime(allow_null=True)
    completed_at = UnixTime(allow_null=True)
    required_action = RequiredAction(allow_null=True)
    last_error = LastError(allow_null=True)
    model = serializers.CharField()
    instructions = serializers.CharField(allow_blank=True)
    tools = serializers.ListField(child=OneOf(TOOL_OBJECT))
    tool_resources = ToolResourcesObject()
    metadata = Metadata(required=True, allow_null=False)
    temperature = serializers.FloatField()
    top_p = serializers.FloatField()
    reasoning_effort = serializers.ChoiceField(choices=ReasoningEffort.choices, allow_null=True)
    max_completion_tokens = serializers.IntegerField(allow_null=True)
    max_prompt_tokens = serializers.IntegerField(allow_null=True)
    truncation_strategy = TruncationObject()
    incomplete_details = RunIncompleteDetails(allow_null=True)
    usage = Usage(allow_null=True)
    response_format = OneOf(RESPONSE_FORMAT)
    tool_choice = OneOf(TOOL_CHOICE)
    parallel_tool_calls = serializers.BooleanField()
    status_details = serializers.CharField(allow_null=True)


# ------------------------------------------------------------------------------------------------ steps


class MessageReference(serializers.Serializer):
    message_id = serializers.CharField()


class MessageCreation(serializers.Serializer):
    """The step wrote a message."""

    type = serializers.ChoiceField(choices=["message_creation"])
    message_creation = MessageReference()


class CalledFunction(serializers.Serializer):
    name = serializers.CharField()
    arguments = serializers.CharField()
    output = serializers.CharField(allow_null=True)


class FunctionCall(serializers.Serializer):
    """A function of the application."""

    id = serializers.CharField()
    type = serializers.ChoiceField(choices=["function"])
    function = CalledFunction()


class Logs(serializers.Serializer):
    """What the code printed."""

    type = serializers.ChoiceField(choices=["logs"])
    logs = serializers.CharField()


class OutputFile(serializers.Serializer):
    file_id = serializers.CharField()


class Image(serializers.Serializer):
    """An image that the code made."""

    type = serializers.ChoiceField(choices=["image"])
    image = OutputFile()


class CodeInterpreterWork(serializers.Serializer):
    input = serializers.CharField()
    outputs = serializers.ListField(child=OneOf(Union("CodeOutput", (Logs, Image))))


class CodeInterpreterCall(serializers.Serializer):
    """Code that was run here."""

    id = serializers.CharField()
    type = serializers.ChoiceField(choices=["code_interpreter"])
    code_interpreter = CodeInterpreterWork()


class FoundText(serializers.Serializer):
    type = serializers.ChoiceField(choices=["text"])
    text = serializers.CharField()


class FoundFile(serializers.Serializer):
    """A passage that was found. `content` comes where `include[]` asks for it."""

    file_id = serializers.CharField()
    file_name = serializers.CharField()
    score = serializers.FloatField(min_value=0, max_value=1)
    attributes = serializers.DictField(required=False)
    content = FoundText(many=True, required=False)


class SearchRanking(serializers.Serializer):
    ranker = serializers.ChoiceField(choices=RANKERS)
    score_threshold = serializers.FloatField(min_value=0, max_value=1)
    hybrid_search = serializers.DictField(allow_null=True, required=False)


class FileSearchWork(serializers.Serializer):
    ranking_options = SearchRanking(required=False)
    results = FoundFile(many=True, required=False)
    note = serializers.CharField(required=False)


class FileSearchCall(serializers.Serializer):
    """A search that was done here."""

    id = serializers.CharField()
    type = serializers.ChoiceField(choices=["file_search"])
    file_search = FileSearchWork()


TOOL_CALL = Union("ToolCall", (FunctionCall, CodeInterpreterCall, FileSearchCall))


class ToolCalls(serializers.Serializer):
    """The step called tools: all calls of one turn of the model."""

    type = serializers.ChoiceField(choices=["tool_calls"])
    tool_calls = serializers.ListField(child=OneOf(TOOL_CALL))


STEP_DETAILS = Union("StepDetails", (MessageCreation, ToolCalls))


class StepObject(serializers.Serializer):
    """A step of a run."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["thread.run.step"])
    created_at = UnixTime()
    run_id = serializers.CharField()
    assistant_id = serializers.CharField()
    thread_id = serializers.CharField()
    type = serializers.ChoiceField(choices=RunStep.Type.choices)
    status = serializers.ChoiceField(choices=RunStep.StepStatus.choices)
    cancelled_at = UnixTime(allow_null=True)
    completed_at = UnixTime(allow_null=True)
    expires_at = UnixTime(allow_null=True)
    expired_at = UnixTime(allow_null=True)
    failed_at = UnixTime(allow_null=True)
    last_error = LastError(allow_null=True)
    step_details = OneOf(STEP_DETAILS)
    usage = Usage(allow_null=True)
    metadata = Metadata(required=True, allow_null=False)


RunList = list_of(RunObject)
StepList = list_of(StepObject)
