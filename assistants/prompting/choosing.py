"""From an assistant's own words and its prompts to the instructions of one run.

Of the primary prompts that fit, one of the highest priority takes the place of the instructions, among equals by
weight; where none fits, a fallback prompt is chosen in the same way; where none of these does either, the instructions
stay as they are. After that come all secondary prompts that fit. One fits where its conditions hold and it can be
filled in. The same occasion always gives the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from assistants.models import PromptLink
from assistants.prompting.chance import chance, drawn, shares
from assistants.prompting.conditions import LANGUAGE, groups_of, in_words, unmet, zone_of
from assistants.prompting.occasion import Occasion
from assistants.prompting.placed import PlacedPrompt
from assistants.prompts import template
from sovereign.core.errors import ApiError

NAMED = 3  # of the prompts that did not fit, in a reason
INSTRUCTIONS = "instructions"

Kind = PromptLink.Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted:
    """
    :ivar used: for the run's frozen configuration, one entry a prompt: ``{"link", "prompt", "name", "version",
        "number", "kind", "reason"}``. Reasons tell of the links alone, so that runs of one kind share a configuration.
    """

    instructions: str
    used: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Taken:
    prompt: PlacedPrompt
    text: str
    reason: str

    def as_used(self) -> dict[str, Any]:
        return {
            "link": self.prompt.link_id,
            "prompt": self.prompt.prompt_id,
            "name": self.prompt.prompt_name,
            "version": self.prompt.version_id,
            "number": self.prompt.number,
            "kind": self.prompt.kind,
            "reason": self.reason,
        }


def prompted(instructions: str, prompts: Sequence[PlacedPrompt], occasion: Occasion, *, name: str = "") -> Prompted:
    """The instructions of a run, and which prompts made them.

    :param prompts: those of the assistant that are enabled, in any order.
    :param name: of the assistant.
    """
    if not prompts:
        return Prompted(instructions=instructions)
    built_in = _built_in(occasion, name)
    choice = _Choice(occasion, {**built_in, INSTRUCTIONS: instructions})
    first = choice.one_of(_of(prompts, Kind.PRIMARY)) or choice.one_of(_of(prompts, Kind.FALLBACK))
    others = _Choice(occasion, built_in).all_of(_of(prompts, Kind.SECONDARY))
    taken = [first, *others] if first else others
    texts = [*([] if first else [instructions]), *(one.text for one in taken)]
    return Prompted(
        instructions="\n\n".join(text for text in texts if text.strip()), used=[one.as_used() for one in taken]
    )


class _Choice:
    """Prompts are tried one after another; what did not fit, and why, is told of the one that does."""

    def __init__(self, occasion: Occasion, built_in: Mapping[str, str]) -> None:
        self._occasion = occasion
        self._built_in = built_in
        self._refused: list[str] = []

    def one_of(self, prompts: Iterable[PlacedPrompt]) -> _Taken | None:
        """One of the highest priority that has any which fits."""
        for _, equals in groupby(prompts, key=lambda prompt: prompt.priority):
            fitting = {prompt.link_id: prompt for prompt in equals if self._holds(prompt)}
            while fitting:
                parts = shares({link_id: prompt.weight for link_id, prompt in fitting.items()})
                link_id = drawn(parts, self._occasion.thread_id)
                if link_id is None:  # all of them have the weight 0
                    break
                if taken := self._filled(fitting[link_id], _by_weight(parts, link_id)):
                    return taken
                del fitting[link_id]
        return None

    def all_of(self, prompts: Iterable[PlacedPrompt]) -> list[_Taken]:
        """All that fit; one with a weight, for that share of the threads."""
        taken = []
        for prompt in prompts:
            if not self._holds(prompt) or not self._is_in_share(prompt):
                continue
            share = "" if prompt.weight is None else f"it is for {prompt.weight} % of the threads"
            taken.append(self._filled(prompt, share))
            self._refused.clear()  # they are not in one another's way
        return [one for one in taken if one]

    def _holds(self, prompt: PlacedPrompt) -> bool:
        if (problem := unmet(prompt.conditions, self._occasion)) is None:
            return True
        self._refused.append(f"'{prompt.prompt_name}' ({problem})")
        return False

    def _is_in_share(self, prompt: PlacedPrompt) -> bool:
        return prompt.weight is None or chance(prompt.link_id, self._occasion.thread_id) <= prompt.weight / 100

    def _filled(self, prompt: PlacedPrompt, why: str) -> _Taken | None:
        """The prompt with its text; ``None`` where values for it are missing or wrong."""
        try:
            text = template.fill(prompt.template, prompt.variables, self._occasion.variables, self._built_in)
        except ApiError as error:
            self._refused.append(f"'{prompt.prompt_name}' ({_problem(error)})")
            return None
        asked = in_words(prompt.conditions)
        parts = [f"its conditions hold: {asked}" if asked else "it has no conditions", why, _not_fitting(self._refused)]
        return _Taken(prompt, text, "; ".join(part for part in parts if part))


def _of(prompts: Sequence[PlacedPrompt], kind: str) -> list[PlacedPrompt]:
    """Those of a kind, the highest priority first; equals stay as they are."""
    return sorted((prompt for prompt in prompts if prompt.kind == kind), key=lambda prompt: -prompt.priority)


def _built_in(occasion: Occasion, name: str) -> dict[str, str]:
    """What prompts may name without declaring it; see ``assistants.prompts.variables.BUILT_IN``."""
    return {
        "assistant_name": name,
        "date": occasion.instant.astimezone(zone_of(occasion)).date().isoformat(),
        LANGUAGE: occasion.variables.get(LANGUAGE, ""),
        "user_group": ", ".join(sorted(groups_of(occasion))),
    }


def _by_weight(parts: Mapping[str, float], link_id: str) -> str:
    if len(parts) < 2:
        return ""
    return f"of {len(parts)} with its priority it is this thread's, by its weight of {parts[link_id]:.4g} %"


def _not_fitting(refused: Sequence[str]) -> str:
    if not refused:
        return ""
    more = f" and {len(refused) - NAMED} more" if len(refused) > NAMED else ""
    return f"passed over: {', '.join(refused[:NAMED])}{more}"


def _problem(error: ApiError) -> str:
    """Why it cannot be filled in, as a part of a sentence."""
    return f"{error.message[:1].lower()}{error.message[1:].removesuffix('.')}"
