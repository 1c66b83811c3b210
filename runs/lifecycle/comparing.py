"""The runs of a canary beside those of the version in service, as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assistants.deployments.measures import Measure
from assistants.models import Deployment
from runs.lifecycle.judging import percentile
from runs.lifecycle.signals import signals_of


def compared(canary: Deployment, beside: Deployment) -> list[Measure]:
    """What the watch over canaries goes by: of both since the canary came, and how long answers usually take."""
    here, there = signals_of(canary.pk), signals_of(beside.pk, since=canary.activated_at)
    usual = signals_of(beside.pk).seconds
    limits = canary.thresholds
    longest = limits.get("latency_ratio")
    return [
        Measure(
            title="Runs that ended",
            canary=str(here.ended),
            beside=str(there.ended),
            limit=f"it is judged from {limits.get('minimum_runs') or 1} on",
        ),
        Measure(
            title="Failed",
            canary=_part(here.failed, here.ended),
            beside=_part(there.failed, there.ended),
            limit=_most(limits.get("error_rate")) + _once_comparable(there.ended, limits),
        ),
        Measure(
            title="95 % of the answers took up to",
            canary=_slowest(here.seconds),
            beside=_slowest(usual),
            limit="not looked at" if longest is None else f"at most {longest:g} times as long",
        ),
        Measure(
            title="Thumbs down",
            canary=_part(here.disliked, here.rated),
            beside=_part(there.disliked, there.rated),
            limit=_most(limits.get("thumbs_down_rate")),
        ),
    ]


def _once_comparable(ended: int, limits: dict[str, Any]) -> str:
    """What a failure of the engine would look like cannot be told apart without the other one's runs."""
    is_known = limits.get("error_rate") is None or ended >= (limits.get("minimum_runs") or 1)
    return "" if is_known else "; until the other one has had as many runs, only what no engine would answer counts"


def _part(some: int, every: int) -> str:
    return f"{some} of {every} ({some / every * 100:.0f} %)" if every else "–"


def _slowest(seconds: Sequence[float]) -> str:
    return f"{percentile(seconds):.1f} s" if seconds else "–"


def _most(share: float | None) -> str:
    return "not looked at" if share is None else f"at most {share * 100:g} %, or what the other one has"
