"""What is known when a run is made: prompts are chosen and filled in by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """
    :ivar thread_id: chance by weight is decided by it, so that a thread stays with what it began with.
    :ivar variables: the thread's metadata and, over it, the run's.
    :ivar user_groups: the person's role in the project and their groups; for keys, what ``variables`` say.
    """

    thread_id: str | None
    instant: datetime
    variables: Mapping[str, str] = field(default_factory=dict)
    user_groups: Collection[str] = ()
