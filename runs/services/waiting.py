"""Which of the runs that wait may be taken now, and why not the others."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import BooleanField, ExpressionWrapper, Q

from inference import gateway
from inference.chat import Attribution
from runs.models import Run
from runs.services import shares
from runs.services.shares import SCALE, Room, Share
from runs.states import Status
from sovereign.accounts.services.quotas import Subject

PAIRS = 64  # of a project and a model, that one look asks about: where more wait, chance says which
COMMON = ("project_id", "created_by_key", "model", "status", "waiting_reason", "priority")
IS_BEGUN = ExpressionWrapper(Q(started_at__isnull=False), output_field=BooleanField())
CROWDED = "As many model calls of this {} run as may at once."
NOT_SERVED = "Nothing serves the model now."


Owner = Subject | Share  # whose places a run takes


class Waiting(NamedTuple):
    """Runs that have this in common, and what they are told of why they wait.

    ``is_begun``: they were at work before. ``scale`` is that of their assistant in their environment, if there is one.
    """

    project_id: str
    key: str | None
    model: str
    status: str
    told: str
    priority: int
    is_begun: bool
    scale: int | None

    @property
    def pair(self) -> tuple[str, str]:
        return self.project_id, self.model


@dataclass(frozen=True, slots=True)
class Openings:
    """What may be claimed: waiting runs of these models (by project), as many as there are places left.

    :ivar left: model calls that may still begin, of the projects and keys that are limited, and slots of the shares.
    :ivar spent: shares whose tokens of the day are used up: of theirs only what has begun.
    :ivar scales: those that were looked at: runs of others have come since.
    :ivar ranked: the projects of whose runs some are to go before others.
    """

    models: Mapping[str, Collection[str]]
    left: Mapping[Owner, int]
    spent: Collection[Share]
    scales: Collection[int]
    ranked: Collection[str]


def subjects_of(project_id: str, key: str | None) -> list[Subject]:
    """Whose places a run's model calls take."""
    return [Subject("project", project_id), *([Subject("key", key)] if key is not None else [])]


def owners_of(run: Run) -> list[Owner]:
    """Whose places it takes as long as it is held."""
    subjects: list[Owner] = [*subjects_of(run.project_id, run.created_by_key)]
    return [*subjects, Share(run.assistant_id, run.environment)] if run.assistant_id and run.environment else subjects


def look(executing: Collection[str]) -> Openings | None:
    """What may be taken now, ``None`` if nothing; the waiting runs that may not are told the reason."""
    found = Run.objects.claimable().exclude(pk__in=executing).order_by().distinct()
    rows = [Waiting(*row) for row in found.values_list(*COMMON, IS_BEGUN, SCALE)]
    asked = _asked({row.pair for row in rows if row.status == Status.QUEUED})
    rows = [row for row in rows if row.status != Status.QUEUED or row.pair in asked]
    left = _places_left(rows)
    full = {subject for subject, places in left.items() if places < 1}
    scales = {row.scale for row in rows if row.scale is not None}
    rooms = shares.rooms(scales)
    unserved = _unserved({pair for pair in asked if Subject("project", pair[0]) not in full})
    reasons = {
        row: _crowded(row, full, rooms) or (unserved[row.pair] if row.status == Status.QUEUED else "") for row in rows
    }
    for row, reason in reasons.items():
        _tell(row, reason)
    models = defaultdict(set)
    for row in rows:
        if row.status == Status.QUEUED and not reasons[row]:
            models[row.project_id].add(row.model)
    if all(reasons.values()):
        return None
    return Openings(
        models,
        left | {room.share: room.slots for room in rooms.values() if room.slots is not None},
        spent=[room.share for room in rooms.values() if room.budget is not None],
        scales=scales,
        ranked=_ranked(rows),
    )


def _asked(pairs: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    return set(pairs if len(pairs) <= PAIRS else random.sample(sorted(pairs), PAIRS))


def _places_left(rows: Sequence[Waiting]) -> dict[Owner, int]:
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


def _ranked(rows: Iterable[Waiting]) -> set[str]:
    """The projects whose runs differ in their priorities."""
    priorities = {(row.project_id, row.priority) for row in rows}
    return {project_id for project_id, count in Counter(first for first, _ in priorities).items() if count > 1}


def _crowded(row: Waiting, full: Collection[Owner], rooms: Mapping[int, Room]) -> str:
    if Subject("project", row.project_id) in full:
        return CROWDED.format("project")
    if row.key is not None and Subject("key", row.key) in full:
        return CROWDED.format("API key")
    room = None if row.scale is None else rooms.get(row.scale)
    return "" if room is None else room.reason(is_begun=row.is_begun)


def _tell(row: Waiting, reason: str) -> None:
    """Written only where it is news: an update takes the writer's lock on SQLite even if it changes nothing."""
    reason = reason[:500]
    if row.status == Status.QUEUED and reason and reason != row.told:
        alike = Run.objects.filter(project_id=row.project_id, created_by_key=row.key, model=row.model)
        alike = alike.annotate(scale=SCALE).filter(scale=row.scale, started_at__isnull=not row.is_begun)
        alike.filter(status=Status.QUEUED, waiting_reason=row.told).update(waiting_reason=reason)
