"""Prompts as the API shows them; a page of them takes three queries, however many it has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Max

from assistants.prompts.models import Prompt, PromptLabel, PromptVersion

PROMPT, VERSION, LABEL = "prompt", "prompt.version", "prompt.label"


def render_prompt(prompt: Prompt) -> dict[str, Any]:
    return render_prompts([prompt])[0]


def render_prompts(prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
    of_these = {"prompt__in": [prompt.pk for prompt in prompts]}
    labels: dict[str, dict[str, int]] = defaultdict(dict)
    named = PromptLabel.objects.filter(**of_these).order_by("name").values_list("prompt_id", "name", "version__number")
    for prompt_id, name, number in named:
        labels[prompt_id][name] = number
    numbers = PromptVersion.objects.filter(**of_these).order_by().values_list("prompt_id").annotate(Max("number"))
    newest = dict(numbers)
    return [_rendered(prompt, newest[prompt.pk], labels[prompt.pk]) for prompt in prompts]


def render_version(version: PromptVersion) -> dict[str, Any]:
    return render_versions([version])[0]


def render_versions(versions: Sequence[PromptVersion]) -> list[dict[str, Any]]:
    ids = [version.pk for version in versions]
    parents = [version.parent_id for version in versions if version.parent_id is not None]
    numbers = dict(PromptVersion.objects.filter(pk__in=parents).order_by().values_list("pk", "number"))
    labels: dict[str, list[str]] = defaultdict(list)
    for version_id, name in PromptLabel.objects.filter(version__in=ids).order_by("name").values_list("version", "name"):
        labels[version_id].append(name)
    return [
        {
            "id": version.pk,
            "object": VERSION,
            "created_at": unix(version.created_at),
            "prompt_id": version.prompt_id,
            "number": version.number,
            "parent": numbers.get(version.parent_id),
            "labels": labels[version.pk],
            "template": version.template,
            "variables": version.variables,
            "notes": version.notes,
        }
        for version in versions
    ]


def render_label(label: PromptLabel) -> dict[str, Any]:
    """A label's id is its name: it has no other."""
    return {
        "id": label.name,
        "object": LABEL,
        "prompt_id": label.prompt_id,
        "version": label.version.number,
        "version_id": label.version_id,
        "moved_at": unix(label.moved_at),
    }


def render_deleted(identifier: str, kind: str) -> dict[str, Any]:
    return {"id": identifier, "object": f"{kind}.deleted", "deleted": True}


def unix(instant: datetime) -> int:
    return int(instant.timestamp())


def _rendered(prompt: Prompt, newest: int, labels: dict[str, int]) -> dict[str, Any]:
    return {
        "id": prompt.pk,
        "object": PROMPT,
        "created_at": unix(prompt.created_at),
        "updated_at": unix(prompt.updated_at),
        "name": prompt.name,
        "description": prompt.description,
        "type": prompt.type,
        "language": prompt.language or None,
        "tags": prompt.tags,
        "newest_version": newest,
        "labels": labels,
    }
