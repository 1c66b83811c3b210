"""``similarity``: the answer means what a text means, as the house's embedder sees it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from assistants.knowledge import embedding
from runs.evaluations.checks.base import CheckError, Kind, Subject, Verdict
from runs.evaluations.checks.texts import VALUE_LENGTH
from sovereign.core.api.validation import StrictChoice, StrictNumber, StrictSerializer, StrictString

AT_LEAST = 0.8


class SimilarityShape(StrictSerializer):
    """The answer means about the same as a text."""

    type = StrictChoice(choices=["similarity"])
    value = StrictString(
        max_length=VALUE_LENGTH, min_length=1, required=False, help_text="The text; the case's reference by default."
    )
    at_least = StrictNumber(
        minimum=0, maximum=1, default=AT_LEAST, help_text="The cosine of the two texts' vectors that is enough."
    )


class Similarity(Kind):
    name = "similarity"
    title = "Similar"
    description = "The answer means about the same as the text, or as the case's reference: by the house's embedder."
    shape = SimilarityShape

    async def verdict(self, asked: dict[str, Any], subject: Subject) -> Verdict:
        wanted, at_least = asked.get("value") or subject.reference, asked.get("at_least", AT_LEAST)
        if not subject.answer.strip():
            return Verdict(False, "There is no text to compare.", 0.0)
        space = await embedding.current_space(subject.attribution.project)
        if space is None:
            raise CheckError(embedding.why_not())
        whose = replace(subject.attribution, purpose=embedding.PURPOSE)
        answer, reference = await embedding.embed([subject.answer, wanted], space, whose)
        score = max(0.0, min(1.0, float(answer @ reference)))
        return Verdict(score >= at_least, f"{score:.2f}, where {at_least:g} is enough.", round(score, 4))

    def needs_reference(self, asked: dict[str, Any]) -> bool:
        return not asked.get("value")
