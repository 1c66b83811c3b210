"""Weights of prompts: those of one kind and priority share the threads, and the whole of these is 100 per cent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, TypeVar

from assistants.models import PromptLink
from assistants.prompting.placed import PlacedPrompt

WHOLE = 100  # per cent


Each = TypeVar("Each", PromptLink, PlacedPrompt)  # a link, or what a version keeps of it


@dataclass(frozen=True, slots=True)
class Group(Generic[Each]):
    """Prompts that share the threads among them."""

    kind: str
    priority: int
    members: list[Each]

    @property
    def total(self) -> int:
        return sum(member.weight or 0 for member in self.members)

    @property
    def is_too_much(self) -> bool:
        return self.total > WHOLE

    @property
    def is_uneven(self) -> bool:
        """Not the whole, and none without a weight that would get the rest."""
        return self.is_too_much or (self.total != WHOLE and all(member.weight is not None for member in self.members))


def groups(prompts: Iterable[Each]) -> list[Group[Each]]:
    """Of secondary prompts each has its own share, so that theirs need not add up: they are in no group."""
    sharing = sorted((prompt for prompt in prompts if prompt.kind != PromptLink.Kind.SECONDARY), key=_place)
    return [Group(kind, priority, list(members)) for (kind, priority), members in groupby(sharing, key=_place)]


def _place(prompt: PromptLink | PlacedPrompt) -> tuple[str, int]:
    return prompt.kind, prompt.priority
