"""What ``/v1/assistants`` answers, for the documentation; threads and runs answer with the same parts."""

from __future__ import annotations

from rest_framework import serializers

from assistants.api.fields import RANKERS, RESPONSE_FORMAT
from assistants.models import ReasoningEffort
from sovereign.core.api.schema import UnixTime, deleted, list_of
from sovereign.core.api.unions import OneOf, Union
from sovereign.core.api.validation import Metadata


class CodeInterpreterToolObject(serializers.Serializer):
    """Runs Python in a sandbox."""

    type = serializers.ChoiceField(choices=["code_interpreter"])


class RankingObject(serializers.Serializer):
    """Which passages of files are good enough."""

    ranker = serializers.ChoiceField(choices=RANKERS)
    score_threshold = serializers.FloatField(min_value=0, max_value=1)
    hybrid_search = serializers.DictField(allow_null=True, required=False)


class FileSearchObject(serializers.Serializer):
    """How files are searched."""

    max_num_results = serializers.IntegerField(min_value=1, max_value=50, required=False)
    ranking_options = RankingObject()


class FileSearchToolObject(serializers.Serializer):
    """Looks passages up in vector stores."""

    type = serializers.ChoiceField(choices=["file_search"])
    file_search = FileSearchObject()


class FunctionObject(serializers.Serializer):
    """A function that the application offers to the model."""

    name = serializers.CharField()
    description = serializers.CharField(allow_null=True)
    parameters = serializers.DictField()
    strict = serializers.BooleanField(allow_null=True)


class FunctionToolObject(serializers.Serializer):
    """Called by the model, executed by the application."""

    type = serializers.ChoiceField(choices=["function"])
    function = FunctionObject()


TOOL_OBJECT = Union("ToolObject", (CodeInterpreterToolObject, FileSearchToolObject, FunctionToolObject))


class CodeInterpreterResourcesObject(serializers.Serializer):
    file_ids = serializers.ListField(child=serializers.CharField(), max_length=20)


class FileSearchResourcesObject(serializers.Serializer):
    vector_store_ids = serializers.ListField(child=serializers.CharField(), max_length=1)


class ToolResourcesObject(serializers.Serializer):
    """What the tools work on; empty where no tool needs anything."""

    code_interpreter = CodeInterpreterResourcesObject(required=False)
    file_search = FileSearchResourcesObject(required=False)


class AssistantObject(serializers.Serializer):
    """An assistant."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["assistant"])
    created_at = UnixTime()
    name = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)
    model = serializers.CharField()
    instructions = serializers.CharField(allow_null=True)
    tools = serializers.ListField(child=OneOf(TOOL_OBJECT))
    top_p = serializers.FloatField()
    temperature = serializers.FloatField()
    reasoning_effort = serializers.ChoiceField(choices=ReasoningEffort.choices, allow_null=True)
    tool_resources = ToolResourcesObject()
    metadata = Metadata(required=True, allow_null=False)
    response_format = OneOf(RESPONSE_FORMAT)


AssistantList = list_of(AssistantObject)
DeletedAssistant = deleted("assistant")
