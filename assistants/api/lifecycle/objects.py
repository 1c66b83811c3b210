"""What ``/api/v1/assistants`` answers, for the documentation."""

from __future__ import annotations

from rest_framework import serializers

from assistants.api.objects import AssistantObject
from assistants.kinds import AssistantType, Capability
from assistants.models import LifeStatus, Retrieval, Visibility
from sovereign.core.api.schema import UnixTime, list_of

PARENT = "The assistant that it was made from; null where it was made from nothing."
PARENT_VERSION = "The version of that one, where it was a version."


class WholeAssistantObject(AssistantObject):
    """An assistant with all that belongs to its life."""

    type = serializers.ChoiceField(choices=AssistantType.choices, help_text="What it is for.")
    status = serializers.ChoiceField(choices=LifeStatus.choices, help_text="Where it is in its life.")
    visibility = serializers.ChoiceField(choices=Visibility.choices, help_text="Who sees it.")
    tags = serializers.ListField(child=serializers.CharField(), help_text="Words to find it by.")
    suggestions = serializers.ListField(
        child=serializers.CharField(), help_text="First questions that the chat offers."
    )
    personality = serializers.CharField(help_text="How it speaks; empty where nothing is said.")
    context_memory_size = serializers.IntegerField(
        allow_null=True, help_text="The newest messages of a thread that the model sees; null: all that fit."
    )
    capabilities = serializers.ListField(
        child=serializers.ChoiceField(choices=Capability.choices), help_text="What it may do."
    )
    default_max_tokens = serializers.IntegerField(
        allow_null=True, help_text="Tokens that a run may generate, where it does not say itself."
    )
    retrieval = serializers.ChoiceField(choices=Retrieval.choices, help_text="How its files come to be searched.")
    server_tools = serializers.ListField(
        child=serializers.DictField(), help_text="Tools of this server beside the contract's."
    )
    functions = serializers.ListField(
        child=serializers.CharField(), help_text="Ids of functions of the project's library."
    )
    offered_over_mcp = serializers.BooleanField(help_text="Whether MCP clients find it among the tools of `/mcp`.")
    parent_id = serializers.CharField(allow_null=True, help_text=PARENT)
    parent_version_id = serializers.CharField(allow_null=True, help_text=PARENT_VERSION)
    based_on = serializers.CharField(
        allow_null=True, help_text="The version that the draft came from: the last published or restored one."
    )
    created_by_user = serializers.IntegerField(allow_null=True, help_text="The person who made it.")
    created_by_key = serializers.CharField(allow_null=True, help_text="The API key that made it.")
    updated_at = UnixTime(help_text="When it was last changed.")


class RelativeObject(serializers.Serializer):
    """An assistant of a lineage."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["assistant.relative"])
    name = serializers.CharField(allow_null=True, help_text="What people call it.")
    status = serializers.ChoiceField(choices=LifeStatus.choices, help_text="Where it is in its life.")
    parent_id = serializers.CharField(allow_null=True, help_text=PARENT)
    parent_version_id = serializers.CharField(allow_null=True, help_text=PARENT_VERSION)
    created_at = UnixTime()


class LineageObject(serializers.Serializer):
    """From whom an assistant descends, and who descends from it."""

    object = serializers.ChoiceField(choices=["assistant.lineage"])
    assistant = RelativeObject(help_text="The assistant itself.")
    ancestors = RelativeObject(many=True, help_text="From whom it descends, the nearest first.")
    descendants = RelativeObject(many=True, help_text="Who descends from it, generation by generation.")
    has_more = serializers.BooleanField(help_text="Whether there are more than are told.")


class TemplateObject(serializers.Serializer):
    """What assistants may be started from."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["assistant.template"])
    name = serializers.CharField(help_text="What people call it.")
    about = serializers.CharField(help_text="One sentence for who chooses.")
    assistant = serializers.DictField(help_text="The fields that an assistant made from it begins with.")


class TypeObject(serializers.Serializer):
    """What assistants may be for."""

    id = serializers.ChoiceField(choices=AssistantType.choices)
    object = serializers.ChoiceField(choices=["assistant.type"])
    name = serializers.CharField(help_text="The type in words.")
    assistants = serializers.IntegerField(help_text="How many assistants of this type you see.")


class StatusObject(serializers.Serializer):
    """Where assistants may be in their life."""

    id = serializers.ChoiceField(choices=LifeStatus.choices)
    object = serializers.ChoiceField(choices=["assistant.status"])
    name = serializers.CharField(help_text="The status in words.")
    following = serializers.ListField(
        child=serializers.ChoiceField(choices=LifeStatus.choices), help_text="What an assistant may become from here."
    )
    assistants = serializers.IntegerField(help_text="How many assistants of this status you see.")


WholeAssistantList = list_of(WholeAssistantObject)
TemplateList = list_of(TemplateObject)
TypeList = list_of(TypeObject)
StatusList = list_of(StatusObject)
