"""Whether a canary does so much worse than the version beside it that it is taken back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runs.lifecycle.signals import Signals

RATINGS = 5  # thumbs that are enough to go by; fewer where fewer runs are
NOTICEABLE = 0.5  # seconds more that an answer has to take before anybody minds
PERCENTILE = 0.95

#: See ``assistants.deployments.canaries``; ``None`` is looked at by nobody.
Thresholds = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    :ivar cause: ``errors``, ``latency`` or ``thumbs``.
    :ivar reason: a sentence with the numbers.
    """

    cause: str
    reason: str


def judge(canary: Signals, beside: Signals, usual: Sequence[float], thresholds: Thresholds) -> Judgement | None:
    """What speaks against a canary; ``None`` as long as nothing does, or too little is known.

    What happens to the version beside it too is nobody's fault: an engine that is away takes no canary back. So where
    the other one had too few runs to tell, only those failures count that no engine can be blamed for.

    :param beside: how the other version did in the same time.
    :param usual: seconds that the other's answers took, whenever that was; sorted.
    """
    least = int(thresholds.get("minimum_runs") or 1)
    return (
        _of_errors(canary, beside, thresholds.get("error_rate"), least)
        or _of_thumbs(canary, beside, thresholds.get("thumbs_down_rate"), least)
        or _of_latency(canary, usual, thresholds.get("latency_ratio"), least)
    )


def _of_errors(canary: Signals, beside: Signals, most: float | None, least: int) -> Judgement | None:
    """Of a version that had no traffic nobody knows whether the engine would have answered it."""
    if most is None or canary.ended < least:
        return None
    if beside.ended < least:
        return _of_refusals(canary, beside, most)
    if canary.failed_share <= max(most, beside.failed_share):
        return None
    return Judgement(
        "errors",
        f"{canary.failed} of {canary.ended} runs failed ({_percent(canary.failed_share)}), and "
        f"{_percent(beside.failed_share)} of the version beside it; at most {_percent(most)} may.",
    )


def _of_refusals(canary: Signals, beside: Signals, most: float) -> Judgement | None:
    share = canary.refused / canary.ended
    if share <= most:
        return None
    return Judgement(
        "errors",
        f"{canary.refused} of {canary.ended} runs failed because of what they asked of the model ({_percent(share)}); "
        f"at most {_percent(most)} may. The version beside it had {beside.ended or 'no'} runs to compare with.",
    )


def _of_thumbs(canary: Signals, beside: Signals, most: float | None, least: int) -> Judgement | None:
    """Where too few have rated the version beside it, the threshold alone decides: no engine gets thumbs."""
    needed = min(RATINGS, least)
    if most is None or canary.ended < least or canary.rated < needed:
        return None
    is_known = beside.rated >= needed
    if canary.disliked_share <= max(most, beside.disliked_share if is_known else 0.0):
        return None
    other = f", and {_percent(beside.disliked_share)} of the version beside it" if is_known else ""
    unknown = "" if is_known else f" The version beside it had {beside.rated or 'no'} ratings to compare with."
    return Judgement(
        "thumbs",
        f"{canary.disliked} of {canary.rated} ratings were thumbs down ({_percent(canary.disliked_share)}){other}; "
        f"at most {_percent(most)} may be.{unknown}",
    )


def _of_latency(canary: Signals, usual: Sequence[float], most: float | None, least: int) -> Judgement | None:
    """Answers in the making count as soon as they have taken too long, so that one that hangs needs not end."""
    if most is None or len(usual) < least:
        return None
    normal = percentile(usual)
    limit = max(most * normal, normal + NOTICEABLE)
    taken = sorted([*canary.seconds, *(seconds for seconds in canary.running if seconds > limit)])
    if len(taken) < least or percentile(taken) <= limit:
        return None
    return Judgement(
        "latency",
        f"95 % of its answers took up to {percentile(taken):.1f} s, and {normal:.1f} s of the version beside it; at "
        f"most {limit:.1f} s may be.",
    )


def percentile(ordered: Sequence[float], share: float = PERCENTILE) -> float:
    """The value that no more than the rest of ``ordered`` is above (nearest rank)."""
    return ordered[math.ceil(share * len(ordered)) - 1]


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
