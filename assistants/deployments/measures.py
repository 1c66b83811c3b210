"""How a canary does beside what is in service, in words. Runs are not known here: who knows of them reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistants.models import Deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One line of a comparison.

    :ivar canary: what was measured of the canary.
    :ivar beside: the same of the deployment beside it.
    :ivar limit: how much worse it may be.
    """

    title: str
    canary: str
    beside: str
    limit: str = ""


Reader = Callable[[Deployment, Deployment], Sequence[Measure]]  # the canary, and what is beside it

#: Filled by the rooms above when they start.
READERS: dict[str, Reader] = {}


def measures(canary: Deployment, beside: Deployment) -> list[Measure]:
    return [measure for read in READERS.values() for measure in read(canary, beside)]
