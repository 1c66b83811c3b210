"""The prompts of an assistant as objects of the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers

from assistants.kinds import AssistantType
from assistants.models import Assistant, LifeStatus, PromptLink
from assistants.prompts.models import PromptVersion
from assistants.suggestions import Suggestion
from sovereign.core.api.schema import UnixTime, list_of


class MeantVersionObject(serializers.Serializer):
    """A version of a prompt."""

    id = serializers.CharField()
    number = serializers.IntegerField()


class AssistantPromptObject(serializers.Serializer):
    """A prompt as an assistant has it.

    `version` is set where it is a fixed one, `label` where it is the one with that label, neither where it is the
    newest; `current` is the version that this means now, `null` where no version has the label any more.
    """

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["assistant.prompt"])
    created_at = UnixTime()
    assistant_id = serializers.CharField()
    prompt_id = serializers.CharField()
    prompt_name = serializers.CharField()
    kind = serializers.ChoiceField(choices=PromptLink.Kind.values)
    priority = serializers.IntegerField()
    weight = serializers.IntegerField(allow_null=True)
    conditions = serializers.DictField()
    version = serializers.IntegerField(allow_null=True)
    label = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # DRF's own name, too
    current = MeantVersionObject(allow_null=True)
    enabled = serializers.BooleanField()


class DeletedAssistantPrompt(serializers.Serializer):
    """The assistant does not have the prompt any more."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["assistant.prompt.deleted"])
    deleted = serializers.BooleanField()


class AssistantOfPromptObject(serializers.Serializer):
    """An assistant that has a prompt, and how."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["prompt.assistant"])
    created_at = UnixTime()
    name = serializers.CharField(allow_null=True)
    type = serializers.ChoiceField(choices=AssistantType.choices)
    status = serializers.ChoiceField(choices=LifeStatus.choices)
    prompts = AssistantPromptObject(many=True)


class PromptSuggestionObject(serializers.Serializer):
    """A prompt of the library that an assistant does not have and may want; `id` is the prompt's."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["assistant.prompt_suggestion"])
    name = serializers.CharField()
    description = serializers.CharField()
    type = serializers.ChoiceField(choices=AssistantType.choices)
    language = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    score = serializers.FloatField(min_value=0, max_value=1)
    reasons = serializers.ListField(child=serializers.CharField())


AssistantPromptList = list_of(AssistantPromptObject)
AssistantOfPromptList = list_of(AssistantOfPromptObject)
PromptSuggestionList = list_of(PromptSuggestionObject)


def render_links(links: Sequence[Any]) -> list[dict[str, Any]]:
    """Links as ``services.links`` gives them. One query, for the numbers of the versions that they mean."""
    meant = PromptVersion.objects.filter(pk__in={link.meant for link in links if link.meant})
    numbers = dict(meant.values_list("pk", "number")) if links else {}
    return [_link(link, numbers) for link in links]


def render_link(link: Any) -> dict[str, Any]:
    return render_links([link])[0]


def _link(link: Any, numbers: dict[str, int]) -> dict[str, Any]:
    is_known = link.meant in numbers
    return {
        "id": link.id,
        "object": "assistant.prompt",
        "created_at": int(link.created_at.timestamp()),
        "assistant_id": link.assistant_id,
        "prompt_id": link.prompt_id,
        "prompt_name": link.prompt.name,
        "kind": link.kind,
        "priority": link.priority,
        "weight": link.weight,
        "conditions": link.conditions,
        "version": link.version.number if link.version is not None else None,
        "label": link.label or None,
        "current": {"id": link.meant, "number": numbers[link.meant]} if is_known else None,
        "enabled": link.is_enabled,
    }


def render_assistants_with(assistants: Sequence[Any]) -> list[dict[str, Any]]:
    """Assistants as ``services.links.assistants_with`` gives them."""
    rendered = iter(render_links([link for assistant in assistants for link in assistant.links_with_prompt]))
    return [_assistant(one, [next(rendered) for _ in one.links_with_prompt]) for one in assistants]


def _assistant(assistant: Assistant, prompts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": assistant.id,
        "object": "prompt.assistant",
        "created_at": int(assistant.created_at.timestamp()),
        "name": assistant.name,
        "type": assistant.type,
        "status": assistant.status,
        "prompts": prompts,
    }


def render_suggestion(suggestion: Suggestion) -> dict[str, Any]:
    prompt = suggestion.prompt
    return {
        "id": prompt.id,
        "object": "assistant.prompt_suggestion",
        "name": prompt.name,
        "description": prompt.description,
        "type": prompt.type,
        "language": prompt.language,
        "tags": prompt.tags,
        "score": suggestion.score,
        "reasons": suggestion.reasons,
    }
