"""What the addresses of versions take and answer."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from assistants.differences import ADDED, CHANGED, REMOVED, Change
from assistants.models import AssistantVersion
from assistants.models.versions import NOTES_LENGTH
from assistants.services import versions
from sovereign.core.api.schema import UnixTime
from sovereign.core.api.validation import StrictBoolean, StrictNumber, StrictSerializer, StrictString

OBJECT = "assistant.version"
LARGEST_NUMBER = 10**versions.DIGITS - 1


class PublishAssistantRequest(StrictSerializer):
    notes = StrictString(max_length=NOTES_LENGTH, required=False, help_text="What is new in it, for people.")
    expected_version = StrictNumber(
        integer=True,
        minimum=0,
        maximum=LARGEST_NUMBER,
        required=False,
        allow_null=True,
        help_text="The newest version's number as you know it; 0 for none. Nothing is published where it is another.",
    )
    as_written = StrictBoolean(
        default=False,
        help_text="That `{{ name }}` stands in the instructions, where nothing fills it in, is meant. Else a version "
        "with it is refused.",
    )


class AssistantVersionObject(serializers.Serializer):
    """What an assistant was when it was published."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=[OBJECT])
    created_at = UnixTime()
    assistant_id = serializers.CharField(help_text="The assistant whose version it is.")
    number = serializers.IntegerField(min_value=1, help_text="1, 2, 3 … of its assistant.")
    parent_id = serializers.CharField(allow_null=True, help_text="The version that the draft had come from.")
    notes = serializers.CharField(help_text="What who published it said; may be empty.")
    digest = serializers.CharField(help_text="The same for contents that answer alike.")
    published_by_user = serializers.IntegerField(allow_null=True, help_text="The person who published it.")
    published_by_key = serializers.CharField(allow_null=True, help_text="The API key that published it.")


class WholeAssistantVersionObject(AssistantVersionObject):
    """A version with all that shapes its answers."""

    content = serializers.DictField(help_text="Model, instructions, parameters, tools, prompts and knowledge.")


class AssistantVersionChangeObject(serializers.Serializer):
    """What differs in one field, or in one part of it."""

    field = serializers.CharField(help_text="Such as `model`, `tools.look_up` or `prompts.prompt_…`.")
    title = serializers.CharField(help_text="The same for people.")
    kind = serializers.ChoiceField(choices=[ADDED, REMOVED, CHANGED], help_text="What happened to it.")
    before = serializers.JSONField(help_text="What it was; null where it was not there.")
    after = serializers.JSONField(help_text="What it is; null where it is no more.")
    lines = serializers.ListField(child=serializers.CharField(), help_text="A unified diff of texts and objects.")


class AssistantVersionDifferenceObject(serializers.Serializer):
    """What a version, or the draft, has in place of another one."""

    object = serializers.ChoiceField(choices=[f"{OBJECT}.diff"])
    assistant_id = serializers.CharField(help_text="The assistant whose version it is.")
    version = serializers.CharField(help_text="A number, or `draft`.")
    against = serializers.CharField(allow_null=True, help_text="The same; null for nothing at all.")
    changes = serializers.ListField(
        child=AssistantVersionChangeObject(), help_text="Field by field; none where both answer alike."
    )


class AssistantVersionLineageObject(serializers.Serializer):
    """Where a version came from, and what came of it."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=[f"{OBJECT}.lineage"])
    number = serializers.IntegerField(min_value=1, help_text="Its number.")
    ancestors = serializers.ListField(
        child=AssistantVersionObject(), help_text="Its parent, the parent of that one, and so on."
    )
    children = serializers.ListField(child=AssistantVersionObject(), help_text="Those whose parent it is.")


def render_version(version: AssistantVersion) -> dict[str, Any]:
    return {
        "id": version.id,
        "object": OBJECT,
        "created_at": int(version.created_at.timestamp()),
        "assistant_id": version.assistant_id,
        "number": version.number,
        "parent_id": version.parent_id,
        "notes": version.notes,
        "digest": version.digest,
        "published_by_user": version.published_by_user,
        "published_by_key": version.published_by_key,
    }


def render_whole_version(version: AssistantVersion) -> dict[str, Any]:
    return {**render_version(version), "content": version.content}


def render_difference(assistant_id: str, found: versions.Difference) -> dict[str, Any]:
    return {
        "object": f"{OBJECT}.diff",
        "assistant_id": assistant_id,
        "version": _name(found.after),
        "against": None if found.before is None else _name(found.before),
        "changes": [_change(change) for change in found.changes],
    }


def render_lineage(found: versions.Lineage) -> dict[str, Any]:
    return {
        "id": found.version.id,
        "object": f"{OBJECT}.lineage",
        "number": found.version.number,
        "ancestors": [render_version(ancestor) for ancestor in found.ancestors],
        "children": [render_version(child) for child in found.children],
    }


def _name(version: AssistantVersion | str) -> str:
    return version if isinstance(version, str) else str(version.number)


def _change(change: Change) -> dict[str, Any]:
    return {
        "field": change.field,
        "title": change.title,
        "kind": change.kind,
        "before": change.before,
        "after": change.after,
        "lines": change.lines,
    }
