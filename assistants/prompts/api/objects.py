"""What the routes of prompts answer, for the documentation."""

from __future__ import annotations

from rest_framework import serializers

from assistants.kinds import AssistantType
from assistants.prompts.api.fields import VariablesField
from assistants.prompts.rendering import LABEL, PROMPT, VERSION
from sovereign.core.api.schema import UnixTime, deleted, list_of


class PromptObject(serializers.Serializer):
    """A text that assistants share. What it says is in its versions."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=[PROMPT])
    created_at = UnixTime()
    updated_at = UnixTime(help_text="When it was changed, or given a version, for the last time.")
    name = serializers.CharField(help_text="Once in a project.")
    description = serializers.CharField(allow_blank=True, help_text="For people who look for it.")
    type = serializers.ChoiceField(choices=AssistantType.values, help_text="The kind of assistants that it is for.")
    language = serializers.CharField(allow_null=True, help_text="Its language, where somebody said it.")
    tags = serializers.ListField(child=serializers.CharField(), help_text="Words to find it by.")
    newest_version = serializers.IntegerField(min_value=1, help_text="The number of its newest version.")
    labels = serializers.DictField(
        child=serializers.IntegerField(), help_text="Names, with the numbers of the versions that they point to."
    )


class PromptVersionObject(serializers.Serializer):
    """What a prompt said: never changed again."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=[VERSION])
    created_at = UnixTime()
    prompt_id = serializers.CharField(help_text="Its prompt.")
    number = serializers.IntegerField(min_value=1, help_text="1, 2, 3 … of its prompt.")
    parent = serializers.IntegerField(  # type: ignore[assignment]  # DRF's own name, too
        allow_null=True, help_text="The number of the version that it was made of."
    )
    labels = serializers.ListField(child=serializers.CharField(), help_text="The labels that point to it.")
    template = serializers.CharField(help_text="The text, with places to fill in.")
    variables = VariablesField(help_text="What it is filled in with; each has all of its fields.")
    notes = serializers.CharField(allow_blank=True, help_text="What was changed, and why.")


class PromptLabelObject(serializers.Serializer):
    """A name that points to a version and can be moved."""

    id = serializers.CharField(help_text="The label's name.")
    object = serializers.ChoiceField(choices=[LABEL])
    prompt_id = serializers.CharField(help_text="Its prompt.")
    version = serializers.IntegerField(min_value=1, help_text="The number of the version that it points to.")
    version_id = serializers.CharField(help_text="That version's id.")
    moved_at = UnixTime(help_text="When it was made to point there.")


class ChangedWords(serializers.Serializer):
    """A piece of the text."""

    kind = serializers.ChoiceField(choices=["same", "removed", "added"], help_text="What became of it.")
    text = serializers.CharField(help_text="The words.")


class ChangedVariable(serializers.Serializer):
    """A variable that is declared otherwise."""

    name = serializers.CharField(help_text="Its name.")
    kind = serializers.ChoiceField(choices=["added", "removed", "changed"], help_text="What became of it.")
    before = serializers.DictField(allow_null=True, help_text="How it was declared.")
    after = serializers.DictField(allow_null=True, help_text="How it is declared.")


class PromptDifferenceObject(serializers.Serializer):
    """What another version says differently."""

    object = serializers.ChoiceField(choices=["prompt.difference"])
    prompt_id = serializers.CharField(help_text="The prompt.")
    lines = serializers.ListField(
        child=serializers.CharField(), help_text="A unified difference of the templates; empty where they are the same."
    )
    words = ChangedWords(many=True, help_text="The whole text with what was removed and added.")
    variables = ChangedVariable(many=True, help_text="The variables that are declared otherwise.")

    def get_fields(self) -> dict[str, serializers.Field]:
        """``from`` is no name in Python."""
        ends = {
            "from": serializers.IntegerField(min_value=1, help_text="The number of the version before."),
            "to": serializers.IntegerField(min_value=1, help_text="The number of the version after."),
        }
        return {**ends, **super().get_fields()}


class PromptPreviewObject(serializers.Serializer):
    """What a prompt would say."""

    object = serializers.ChoiceField(choices=["prompt.preview"])
    prompt_id = serializers.CharField(help_text="The prompt.")
    version = serializers.IntegerField(
        allow_null=True, help_text="The version's number; null of a text that is not kept."
    )
    text = serializers.CharField(help_text="The text, filled in.")
    values = serializers.DictField(help_text="What each variable was taken to be that the template names.")
    unused = serializers.ListField(
        child=serializers.CharField(), help_text="Declared variables that the template does not name."
    )


class PromptUseObject(serializers.Serializer):
    """An assistant that has the prompt."""

    assistant_id = serializers.CharField(allow_null=True, help_text="Null of an assistant that the asker may not see.")
    assistant_name = serializers.CharField(help_text="What it is called.")
    link_id = serializers.CharField(allow_null=True, help_text="The link's id.")
    kind = serializers.CharField(help_text="`primary`, `secondary` or `fallback`.")
    label = serializers.CharField(  # type: ignore[assignment]  # as above
        allow_null=True, help_text="The label whose version it uses."
    )
    version = serializers.IntegerField(allow_null=True, help_text="The number of the version that it always uses.")
    is_enabled = serializers.BooleanField(help_text="Whether runs get it.")


class PromptUsageObject(serializers.Serializer):
    """Who uses a prompt."""

    object = serializers.ChoiceField(choices=["prompt.usage"])
    prompt_id = serializers.CharField(help_text="The prompt.")
    assistants = PromptUseObject(many=True, help_text="The assistants that have it, one entry for each link.")


PromptList = list_of(PromptObject)
PromptVersionList = list_of(PromptVersionObject)
PromptLabelList = list_of(PromptLabelObject)
DeletedPrompt = deleted(PROMPT)
DeletedLabel = type("DeletedPromptLabel", (deleted(LABEL),), {"__doc__": "The label is gone."})
