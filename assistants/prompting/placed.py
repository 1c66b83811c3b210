"""A prompt as an assistant has it: a link of its own, and the version that the link means at the moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Case, CharField, F, OuterRef, QuerySet, Subquery, When

from assistants.models import PromptLink
from assistants.prompts.models import PromptLabel, PromptVersion
from sovereign.core.database import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPrompt:
    """Plain values, so that a version of an assistant can keep it as it was. See ``assistants.models.PromptLink``."""

    link_id: str
    prompt_id: str
    prompt_name: str
    version_id: str
    number: int
    label: str
    kind: str
    priority: int
    weight: int | None
    conditions: dict[str, Any]
    template: str
    variables: list[dict[str, Any]] = field(default_factory=list)


def placed_prompts(assistant_id: str) -> list[PlacedPrompt]:
    """Those of the links that are enabled, in the order in which they are looked at. One query where there are none.

    A link whose label was taken away from its prompt means nothing, and is not among them.
    """
    links: list[Any] = list(PromptLink.objects.raw(*_ENABLED.with_values(assistant_id)))
    if not links:
        return []
    found = PromptVersion.objects.in_bulk({link.meant for link in links if link.meant})
    return [_placed(link, found[link.meant]) for link in links if link.meant in found]


def with_meant_version(links: QuerySet[Any]) -> QuerySet[Any]:
    """Links, each with its prompt, and as ``meant`` with the id of the version that it means; ``None``: of none."""
    labelled = PromptLabel.objects.filter(prompt=OuterRef("prompt"), name=OuterRef("label")).values("version_id")[:1]
    newest = PromptVersion.objects.filter(prompt=OuterRef("prompt")).order_by("-number").values("pk")[:1]
    meant = Case(
        When(version__isnull=False, then=F("version_id")),
        When(label="", then=Subquery(newest)),
        default=Subquery(labelled),
        output_field=CharField(),
    )
    return links.select_related("prompt").annotate(meant=meant)


def _enabled(assistant_id: str) -> QuerySet[Any]:
    """Without the prompts' own columns, which would take the place of those of the links that have their names."""
    links = PromptLink.objects.of(assistant_id).filter(is_enabled=True).order_by("kind", "-priority", "id")
    return with_meant_version(links).select_related(None).annotate(prompt_name=F("prompt__name"))


_ENABLED = Prepared(_enabled)  # every run asks it


def _placed(link: Any, version: PromptVersion) -> PlacedPrompt:
    return PlacedPrompt(
        link_id=link.id,
        prompt_id=link.prompt_id,
        prompt_name=link.prompt_name,
        version_id=version.id,
        number=version.number,
        label=link.label,
        kind=link.kind,
        priority=link.priority,
        weight=link.weight,
        conditions=link.conditions,
        template=version.template,
        variables=version.variables,
    )
