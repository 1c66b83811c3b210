"""Which of the runs that wait may be taken now, and why not the others."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import BooleanField, Case, Exists, ExpressionWrapper, F, Q, When

from assistants.models import Scale
from inference import gateway
from inference.chat import Attribution
from runs.models import Run
from runs.services import shares
from runs.services.shares import Room, Share, are_of
from runs.states import Status
from sovereign.accounts.services.quotas import Subject

PAIRS = 64  # of a project and a model, that one look asks about: where more wait, chance says which
COMMON = ("project_id", "created_by_key", "model", "status", "waiting_reason", "priority")
IS_BEGUN = ExpressionWrapper(Q(started_at__isnull=False), output_field=BooleanField())
#: Runs outside of environments are alike, whosever they are.
ASSISTANT = Case(When(environment__isnull=False, then=F("assistant_id")))
CROWDED = "As many model calls of this {} run as may at once."
NOT_SERVED = "Nothing serves the model now."


Owner = Subject | Share  # whose places a run takes


class Waiting(NamedTuple):
    """Runs that have this in common, and what they are told of why they wait.

    ``is_begun``: they were at work before. ``share``: that of their assistant in their environment, if it has a scale.
    """

    project_id: str
    key: str | None
    model: str
    status: str
    told: str
    priority: int
    is_begun: bool
    share: Share | None

    @property
    def pair(self) -> tuple[str, str]:
        return self.project_id, self.model


@dataclass(frozen=True, slots=True)
class Openings:
    """What may be claimed: waiting runs of these models (by project), as many as there are places left.

    :ivar left: model calls that may still begin, of the projects and keys that are limited, and slots of the shares.
    :ivar spent: shares whose tokens of the day are used up: of theirs only what has begun.
    :ivar scaled: the shares whose scales were looked at, ``None`` where there was no scale at all.
    :ivar ranked: the projects of whose runs some are to go before others.
    """

    models: Mapping[str, Collection[str]]
    left: Mapping[Owner, int]
    spent: Collection[Share]
    scaled: Collection[Share] | None
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
    rows, scales = _waiting(executing)
    asked = _asked({row.pair for row in rows if row.status == Status.QUEUED})
    rows = [row for row in rows if row.status != Status.QUEUED or row.pair in asked]
    left = _places_left(rows)
    full = {subject for subject, places in left.items() if places < 1}
    rooms = shares.rooms({row.share: scales[row.share] for row in rows if scales and row.share is not None})
    unserved = _unserved({pair for pair in asked if Subject("project", pair[0]) not in full})
    reasons = {
        row: _crowded(row, full, rooms) or (unserved[row.pair] if row.status == Status.QUEUED else "") for row in rows
    }
    _tell(reasons)
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
        scaled=None if scales is None else set(rooms),
        ranked=_ranked(rows),
    )


def _waiting(executing: Collection[str]) -> tuple[list[Waiting], dict[Share, Scale] | None]:
    """What waits, and the scales of it, which are asked for only where there are any (else ``None``)."""
    found = Run.objects.claimable().exclude(pk__in=executing).order_by().distinct()
    any_scale = Exists(Scale.objects.order_by())
    table = list(found.values_list(*COMMON, IS_BEGUN, ASSISTANT, "environment", any_scale))
    shared = [(row[:-3], None if row[-3] is None else Share(*row[-3:-1])) for row in table]
    scales = shares.scales_of({share for _, share in shared if share}) if table and table[0][-1] else None
    rows = {Waiting._make((*common, share if scales and share in scales else None)) for common, share in shared}
    return list(rows), scales


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


def _crowded(row: Waiting, full: Collection[Owner], rooms: Mapping[Share, Room]) -> str:
    if Subject("project", row.project_id) in full:
        return CROWDED.format("project")
    if row.key is not None and Subject("key", row.key) in full:
        return CROWDED.format("API key")
    room = None if row.share is None else rooms.get(row.share)
    return "" if room is None else room.reason(is_begun=row.is_begun)


def _tell(reasons: Mapping[Waiting, str]) -> None:
    """Written only where it is news: an update takes the writer's lock on SQLite even if it changes nothing."""
    news = defaultdict(set)
    for row, reason in reasons.items():
        if row.status == Status.QUEUED and reason and reason[:500] != row.told:
            alike = row._replace(priority=0, share=None)
            news[alike, row.share is None, reason[:500]].update([row.share] if row.share is not None else [])
    scaled = {row.share for row in reasons if row.share is not None}
    for (row, is_unscaled, reason), concerned in news.items():
        runs = Run.objects.filter(project_id=row.project_id, created_by_key=row.key, model=row.model)
        runs = runs.filter(status=Status.QUEUED, waiting_reason=row.told, started_at__isnull=not row.is_begun)
        told = runs.exclude(are_of(scaled)) if is_unscaled else runs.filter(are_of(concerned))
        told.update(waiting_reason=reason)
