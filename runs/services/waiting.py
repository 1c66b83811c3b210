"""Which of the runs that wait may be taken now, and why not the others."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from inference import gateway
from inference.chat import Attribution
from runs.models import Run
from runs.states import Status
from sovereign.accounts.services.quotas import Subject

PAIRS = 64  # of a project and a model, that one look asks about: where more wait, chance says which
CROWDED = "As many model calls of this {} run as may at once."
NOT_SERVED = "Nothing serves the model now."


class Waiting(NamedTuple):
    """Runs that have this in common, and what they are told of why they wait."""

    project_id: str
    key: str | None
    model: str
    status: str
    told: str

    @property
    def pair(self) -> tuple[str, str]:
        return self.project_id, self.model


@dataclass(frozen=True, slots=True)
class Openings:
    """What may be claimed: waiting runs of these models (by project), as many as there are places left.

    :ivar left: model calls that may still begin, of the projects and keys that are limited.
    """

    models: Mapping[str, Collection[str]]
    left: Mapping[Subject, int]


def subjects_of(project_id: str, key: str | None) -> list[Subject]:
    """Whose places a run's model calls take."""
    return [Subject("project", project_id), *([Subject("key", key)] if key is not None else [])]


def look(executing: Collection[str]) -> Openings | None:
    """What may be taken now, ``None`` if nothing; the waiting runs that may not are told the reason."""
    found = Run.objects.claimable().exclude(pk__in=executing).order_by().distinct()
    rows = [
        Waiting(*row) for row in found.values_list("project_id", "created_by_key", "model", "status", "waiting_reason")
    ]
    asked = _asked({row.pair for row in rows if row.status == Status.QUEUED})
    rows = [row for row in rows if row.status != Status.QUEUED or row.pair in asked]
    left = _places_left(rows)
    full = {subject for subject, places in left.items() if places < 1}
    unserved = _unserved({pair for pair in asked if Subject("project", pair[0]) not in full})
    reasons = {row: _crowded(row, full) or (unserved[row.pair] if row.status == Status.QUEUED else "") for row in rows}
    for row, reason in reasons.items():
        _tell(row, reason)
    models = defaultdict(set)
    for row in rows:
        if row.status == Status.QUEUED and not reasons[row]:
            models[row.project_id].add(row.model)
    return Openings(models, left) if not all(reasons.values()) else None


def _asked(pairs: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    return set(pairs if len(pairs) <= PAIRS else random.sample(sorted(pairs), PAIRS))


def _places_left(rows: Sequence[Waiting]) -> dict[Subject, int]:
    """Of each project and key whose calls are limited. A run that was claimed has its place before it calls."""
    limited = gateway.places([Attribution(project=row.project_id, key=row.key) for row in rows])
    if not limited:
        return {}
    held = Run.objects.held().order_by().values_list("project_id", "created_by_key")
    taken = Counter(subject for project_id, key in held for subject in subjects_of(project_id, key))
    return {subject: places.most - max(places.taken, taken[subject]) for subject, places in limited.items()}


def _unserved(pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Why nothing serves the model for the project; empty where something does."""
    wanted = defaultdict(list)
    for project_id, model in sorted(pairs):
        wanted[project_id].append(model)
    return {
        (project_id, model): "" if found.ready else found.reason or NOT_SERVED
        for project_id, models in wanted.items()
        for model, found in gateway.availabilities(models, project_id=project_id).items()
    }


def _crowded(row: Waiting, full: Collection[Subject]) -> str:
    if Subject("project", row.project_id) in full:
        return CROWDED.format("project")
    return CROWDED.format("API key") if row.key is not None and Subject("key", row.key) in full else ""


def _tell(row: Waiting, reason: str) -> None:
    """Written only where it is news: an update takes the writer's lock on SQLite even if it changes nothing."""
    reason = reason[:500]
    if row.status == Status.QUEUED and reason and reason != row.told:
        alike = Run.objects.filter(project_id=row.project_id, created_by_key=row.key, model=row.model)
        alike.filter(status=Status.QUEUED, waiting_reason=row.told).update(waiting_reason=reason)
