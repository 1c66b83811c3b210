"""The frames of a run's stream, for the documentation: what stands in ``event:``, ``data:`` and ``id:`` of each."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from runs.api.objects import FileSearchWork, RunObject, StepObject
from runs.models import RunStep
from runs.states import Status
from sovereign.core.api.schema import ErrorResponse
from sovereign.core.api.unions import OneOf, Union
from threads.api.objects import MessageObject, ThreadObject
from threads.models import Message
from threads.shapes import DETAILS


class FileReferenceDelta(serializers.Serializer):
    file_id = serializers.CharField(required=False)


class CitedFileDelta(FileReferenceDelta):
    quote = serializers.CharField(required=False, allow_blank=True)


class ImageFileObjectDelta(FileReferenceDelta):
    detail = serializers.ChoiceField(choices=DETAILS, required=False)


class ImageUrlObjectDelta(serializers.Serializer):
    url = serializers.CharField(required=False)
    detail = serializers.ChoiceField(choices=DETAILS, required=False)


class MessageReferenceDelta(serializers.Serializer):
    message_id = serializers.CharField(required=False)


class CalledFunctionDelta(serializers.Serializer):
    name = serializers.CharField(required=False)
    arguments = serializers.CharField(required=False, allow_blank=True)
    output = serializers.CharField(required=False, allow_null=True)


class FileCitationDelta(serializers.Serializer):
    """An annotation comes whole, with its place in the list."""

    index = serializers.IntegerField()
    type = serializers.ChoiceField(choices=["file_citation"])
    text = serializers.CharField(required=False)
    start_index = serializers.IntegerField(required=False, min_value=0)
    end_index = serializers.IntegerField(required=False, min_value=0)
    file_citation = CitedFileDelta(required=False)


class FilePathDelta(serializers.Serializer):
    """An annotation comes whole, with its place in the list."""

    index = serializers.IntegerField()
    type = serializers.ChoiceField(choices=["file_path"])
    text = serializers.CharField(required=False)
    start_index = serializers.IntegerField(required=False, min_value=0)
    end_index = serializers.IntegerField(required=False, min_value=0)
    file_path = FileReferenceDelta(required=False)


class TextValueDelta(serializers.Serializer):
    value = serializers.CharField(required=False, allow_blank=True)
    annotations = serializers.ListField(
        child=OneOf(Union("AnnotationDelta", (FileCitationDelta, FilePathDelta))), required=False
    )


class TextDelta(serializers.Serializer):
    """More text for the part at `index`."""

    index = serializers.IntegerField()
    type = serializers.ChoiceField(choices=["text"])
    text = TextValueDelta(required=False)


class ImageFileDelta(serializers.Serializer):
    """A new part."""

    index = serializers.IntegerField()
    type = serializers.ChoiceField(choices=["image_file"])
    image_file = ImageFileObjectDelta(required=False)


class ImageUrlDelta(serializers.Serializer):
    """A new part."""

    index = serializers.IntegerField()
    type = serializers.ChoiceField(choices=["image_url"])
    image_url = ImageUrlObjectDelta(required=False)


class RefusalDelta(serializers.Serializer):
    """More of a refusal."""

    index = serializers.IntegerField()
    type = serializers.ChoiceField(choices=["refusal"])
    refusal = serializers.CharField(required=False)


CONTENT_DELTA = Union("MessageContentDelta", (TextDelta, ImageFileDelta, ImageUrlDelta, RefusalDelta))


class MessageDeltaContent(serializers.Serializer):
    role = serializers.ChoiceField(choices=Message.Role.choices, required=False)
    content = serializers.ListField(child=OneOf(CONTENT_DELTA), required=False)


class MessageDelta(serializers.Serializer):
    """What is to be added to a message."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["thread.message.delta"])
    delta = MessageDeltaContent()


class FunctionCallDelta(serializers.Serializer):
    """The first delta of a call has its id and name, the later ones pieces of its arguments."""

    index = serializers.IntegerField()
    id = serializers.CharField(required=False)
    type = serializers.ChoiceField(choices=["function"])
    function = CalledFunctionDelta(required=False)


class LogsDelta(serializers.Serializer):
    index = serializers.IntegerField()
    type = serializers.ChoiceField(choices=["logs"])
    logs = serializers.CharField(required=False)


class ImageDelta(serializers.Serializer):
    index = serializers.IntegerField()
    type = serializers.ChoiceField(choices=["image"])
    image = FileReferenceDelta(required=False)


class CodeInterpreterDelta(serializers.Serializer):
    input = serializers.CharField(required=False, allow_blank=True)
    outputs = serializers.ListField(child=OneOf(Union("CodeOutputDelta", (LogsDelta, ImageDelta))), required=False)


class CodeInterpreterCallDelta(serializers.Serializer):
    """Pieces of the code, then its outputs."""

    index = serializers.IntegerField()
    id = serializers.CharField(required=False)
    type = serializers.ChoiceField(choices=["code_interpreter"])
    code_interpreter = CodeInterpreterDelta(required=False)


class FileSearchCallDelta(serializers.Serializer):
    """A search comes whole."""

    index = serializers.IntegerField()
    id = serializers.CharField(required=False)
    type = serializers.ChoiceField(choices=["file_search"])
    file_search = FileSearchWork()


CALL_DELTA = Union("ToolCallDelta", (FunctionCallDelta, CodeInterpreterCallDelta, FileSearchCallDelta))


class MessageCreationDelta(serializers.Serializer):
    """Which message the step writes."""

    type = serializers.ChoiceField(choices=["message_creation"])
    message_creation = MessageReferenceDelta(required=False)


class ToolCallsDelta(serializers.Serializer):
    """What is to be added to the step's calls."""

    type = serializers.ChoiceField(choices=["tool_calls"])
    tool_calls = serializers.ListField(child=OneOf(CALL_DELTA), required=False)


class StepDeltaContent(serializers.Serializer):
    step_details = OneOf(Union("StepDetailsDelta", (MessageCreationDelta, ToolCallsDelta)), required=False)


class StepDelta(serializers.Serializer):
    """What is to be added to a step."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["thread.run.step.delta"])
    delta = StepDeltaContent()


def frame(title: str, doc: str, names: list[str], data: serializers.Field) -> dict[str, type[serializers.Serializer]]:
    """The documentation of a kind of frame, by the names its ``event:`` may have."""
    fields: dict[str, Any] = {
        "event": serializers.ChoiceField(choices=names),
        "data": data,
        "id": serializers.IntegerField(required=False, help_text="The event's number: what a stream is resumed after."),
        "__doc__": doc,
    }
    kind = type(title, (serializers.Serializer,), fields)
    return dict.fromkeys(names, kind)


STEP_STATES = [f"thread.run.step.{state}" for state in ("created", *RunStep.StepStatus.values)]
MESSAGE_STATES = [f"thread.message.{state}" for state in ("created", *Message.Status.values)]

FRAMES = {
    **frame("ThreadEvent", "The thread that was made for the run.", ["thread.created"], ThreadObject()),
    **frame(
        "RunEvent",
        "The run reached a state.",
        [f"thread.run.{state}" for state in ("created", *Status.values)],
        RunObject(),
    ),
    **frame("StepEvent", "A step reached a state.", STEP_STATES, StepObject()),
    **frame("StepDeltaEvent", "A tool call goes on.", ["thread.run.step.delta"], StepDelta()),
    **frame("MessageEvent", "A message reached a state.", MESSAGE_STATES, MessageObject()),
    **frame("MessageDeltaEvent", "A message goes on.", ["thread.message.delta"], MessageDelta()),
    **frame(
        "ErrorEvent", "The stream cannot go on. The run may: it can be read or resumed.", ["error"], ErrorResponse()
    ),
    **frame("DoneEvent", "The end of the stream.", ["done"], serializers.ChoiceField(choices=["[DONE]"])),
}

STREAM = PolymorphicProxySerializer(
    component_name="AssistantStreamEvent", serializers=FRAMES, resource_type_field_name="event"
)
