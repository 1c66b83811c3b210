"""Prompts of the library that an assistant does not have and may want, each with the reasons.

Three things speak for a prompt: what it says is near to what the assistant is about, it is meant for assistants of its
type, and others have it. Nearness is told by the words that both have, rare ones counting more, and for the nearest by
the meaning, where a model for that is in this process. Nobody else's private assistants count. What counts for a prompt
always stands among its reasons.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Substr

from assistants.kinds import AssistantType
from assistants.knowledge.retrieval.terms import FUNCTION_WORDS, raw_words, terms_of
from assistants.models import Assistant, PromptLink
from assistants.prompts.models import Prompt, PromptVersion
from assistants.services import get_assistant
from inference.embedder import EmbedderError, TextTooLong, local_embedder
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_READ, PROMPTS_READ

USUAL, MOST = 5, 20  # suggestions that are asked for
CONSIDERED = 1_000  # prompts of a project: those that were changed last
READ = 2_000  # characters of a prompt, and of instructions
REREAD = 40  # prompts, the nearest by their words, of which the meaning is compared too
LEAST = 0.15  # what scores less is not suggested
NEAR, SOMEWHAT_NEAR = 0.5, 0.2  # cosines that are told, where no words are
SHARED_SHOWN = 4  # words that a reason names
SHORTEST_SHOWN = 4  # characters of such a word

#: how much each speaks for a prompt; together 1
NEARNESS, TYPE, USE = 0.5, 0.3, 0.2
ENOUGH_USE = 10  # assistants that have a prompt: more of them say no more
FOR_ANYBODY = 0.4  # of what the own type counts: prompts of the type "general"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """
    :ivar score: from 0 to 1.
    :ivar reasons: sentences, what counts most first.
    """

    prompt: Prompt
    score: float
    reasons: list[str]


@dataclass(slots=True)
class _Candidate:
    prompt: Any
    words: dict[str, str]  # by term, as somebody wrote it
    nearness: float = 0.0
    shared: list[str] = field(default_factory=list)
    used: int = 0
    used_by_type: int = 0


def suggest(*, principal: Principal, assistant_id: str) -> list[Suggestion]:
    """At most ``MOST`` prompts, the best first, and one more where there are more.

    :raises ApiError: 404, 403.
    """
    principal.require(ASSISTANTS_READ)
    principal.require(PROMPTS_READ)
    assistant = get_assistant(principal=principal, assistant_id=assistant_id)
    candidates = _candidates(principal, assistant)
    _read_words(assistant, candidates)
    _read_meaning(assistant, candidates)
    _count_uses(principal, assistant, candidates)
    scored = [_scored(assistant, candidate) for candidate in candidates]
    good = [suggestion for suggestion in scored if suggestion.score >= LEAST]
    return sorted(good, key=lambda one: (-one.score, one.prompt.name))[: MOST + 1]


def _candidates(principal: Principal, assistant: Assistant) -> list[_Candidate]:
    newest = PromptVersion.objects.filter(prompt=OuterRef("pk")).order_by("-number")
    had = PromptLink.objects.of(assistant.id).values("prompt_id")
    prompts = Prompt.objects.visible_to(principal).exclude(pk__in=had).order_by("-updated_at", "-id")
    read = prompts.annotate(beginning=Subquery(newest.values(text=Substr("template", 1, READ))[:1]))[:CONSIDERED]
    return [_Candidate(prompt, _words([prompt.name, *_said_of(prompt), *prompt.tags])) for prompt in read]


def _said_of(prompt: Any) -> tuple[str, str]:
    return prompt.description, prompt.beginning or ""


def _about(assistant: Assistant) -> list[str]:
    told = [assistant.name, assistant.description, (assistant.instructions or "")[:READ]]
    return [text for text in told if text]


def _words(texts: Iterable[str]) -> dict[str, str]:
    """The terms of the texts, without those that every text has, each as it is written first."""
    raws = [raw for text in texts for raw in raw_words(text) if raw.casefold() not in FUNCTION_WORDS]
    found: dict[str, str] = {}
    for raw in raws:
        for term in terms_of(raw):
            found.setdefault(term, raw.casefold())
    return found


def _read_words(assistant: Assistant, candidates: Sequence[_Candidate]) -> None:
    """Cosine of the sets of words, each weighted by how few prompts have it."""
    own = _words([*_about(assistant), *assistant.tags])
    having = Counter(term for candidate in candidates for term in candidate.words)
    weight = {term: math.log(1 + len(candidates) / (1 + having[term])) for term in [*having, *own]}
    length = _length(own, weight)
    for candidate in candidates:
        shared = sorted(own.keys() & candidate.words.keys(), key=lambda term: (-weight[term], term))
        lengths = length * _length(candidate.words, weight)
        candidate.nearness = sum(weight[term] ** 2 for term in shared) / lengths if lengths else 0.0
        told = [candidate.words[term] for term in shared if len(term) >= SHORTEST_SHOWN]
        candidate.shared = list(dict.fromkeys(told))[:SHARED_SHOWN]


def _length(terms: Collection[str], weight: Mapping[str, float]) -> float:
    return math.sqrt(sum(weight[term] ** 2 for term in terms))


def _read_meaning(assistant: Assistant, candidates: Sequence[_Candidate]) -> None:
    """For the nearest: whichever of words and meaning is nearer. Only by a model in this process, which is quick once
    it is read: the first question of a process takes most of a second more.
    """
    embedder = local_embedder()
    if embedder is None or not (own := " ".join(_about(assistant))):
        return
    nearest = sorted(candidates, key=lambda one: (-one.nearness, one.prompt.id))[:REREAD]
    texts = [own, *(" ".join([one.prompt.name, *_said_of(one.prompt)]) for one in nearest)]
    try:
        asked, *vectors = embedder.embed(texts)
    except (TextTooLong, EmbedderError):
        return
    for candidate, vector in zip(nearest, vectors, strict=True):
        candidate.nearness = max(candidate.nearness, _cosine(asked, vector))


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    lengths = math.hypot(*a) * math.hypot(*b)
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def _count_uses(principal: Principal, assistant: Assistant, candidates: Sequence[_Candidate]) -> None:
    seen = Assistant.objects.visible_to(principal).exclude(pk=assistant.pk).values("pk")
    used = (
        PromptLink.objects.visible_to(principal)
        .filter(assistant__in=seen, is_enabled=True)
        .order_by()
        .values("prompt_id")
        .annotate(
            number=Count("assistant", distinct=True),
            of_type=Count("assistant", distinct=True, filter=Q(assistant__type=assistant.type)),
        )
    )
    counts = {row["prompt_id"]: row for row in used}
    for candidate in candidates:
        if row := counts.get(candidate.prompt.id):
            candidate.used, candidate.used_by_type = row["number"], row["of_type"]


def _scored(assistant: Assistant, candidate: _Candidate) -> Suggestion:
    parts = [
        _by_nearness(candidate),
        _by_type(assistant, candidate.prompt),
        _by_use(assistant, candidate),
    ]
    told = sorted((part for part in parts if part[1]), reverse=True)
    score = round(min(1.0, sum(points for points, _ in parts)), 3)
    return Suggestion(prompt=candidate.prompt, score=score, reasons=[reason for _, reason in told])


def _by_nearness(candidate: _Candidate) -> tuple[float, str]:
    points = NEARNESS * min(1.0, max(0.0, candidate.nearness))
    if points and candidate.shared:
        return points, f"Both speak of {_listed(candidate.shared)}."
    if candidate.nearness < SOMEWHAT_NEAR:  # it may be chance: what is not worth a word does not count
        return 0.0, ""
    near = "near" if candidate.nearness >= NEAR else "somewhat near"
    return points, f"What it says is {near} to what the assistant is about."


def _by_type(assistant: Assistant, prompt: Prompt) -> tuple[float, str]:
    if prompt.type == assistant.type:
        kind = AssistantType(prompt.type).label.lower()
        return TYPE, f"It is for assistants of the type {kind}, as this one is."
    if prompt.type == AssistantType.GENERAL:
        return TYPE * FOR_ANYBODY, "It is for assistants of every type."
    return 0.0, ""


def _by_use(assistant: Assistant, candidate: _Candidate) -> tuple[float, str]:
    if not candidate.used:
        return 0.0, ""
    weighed = (candidate.used + candidate.used_by_type) / 2
    points = USE * min(1.0, math.log1p(weighed) / math.log1p(ENOUGH_USE))
    have = "another assistant has it" if candidate.used == 1 else f"{candidate.used} other assistants have it"
    kind = AssistantType(assistant.type).label.lower()
    theirs = f", {candidate.used_by_type} of the type {kind}" if candidate.used_by_type else ""
    return points, f"{have[0].upper()}{have[1:]}{theirs}."


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
