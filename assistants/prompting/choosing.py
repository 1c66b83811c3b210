"""From an assistant's own words and its prompts to the instructions of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from assistants.prompting.occasion import Occasion
from assistants.prompting.placed import PlacedPrompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted:
    """
    :ivar used: for the run's frozen configuration, one entry a prompt: ``{"link", "prompt", "name", "version",
        "number", "kind", "reason"}``.
    """

    instructions: str
    used: list[dict[str, Any]] = field(default_factory=list)


def prompted(instructions: str, prompts: Sequence[PlacedPrompt], occasion: Occasion) -> Prompted:
    """The instructions of a run."""
    return Prompted(instructions=instructions)
