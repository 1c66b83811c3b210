"""What made an answer: the version, where it was deployed, the prompts, and what was said of it since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from assistants.kinds import Environment
from assistants.models import AssistantVersion, Deployment
from runs.models import Feedback, Run
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import RUNS_READ
from sovereign.core import errors
from sovereign.core.database import only_row

REPLAYS_TOLD = 100


@dataclass(frozen=True, slots=True)
class Origin:
    """
    :ivar number: of the run's version; ``None`` for a draft, and where the version was deleted since.
    :ivar deployment: ``None`` where it served no run of one, and where it was deleted since.
    :ivar feedback: of everybody, the newest first.
    :ivar replays: the ids of the newest runs that answer its question again, as far as the principal sees them.
    """

    run: Run
    number: int | None
    deployment: Deployment | None
    feedback: Sequence[Feedback]
    replays: Sequence[str]

    @property
    def prompts(self) -> list[dict[str, Any]]:
        """As they are frozen: see ``assistants.prompting.Prompted.used``."""
        return list(self.run.configuration.data.get("prompts") or [])


def origin_of(*, principal: Principal, run_id: str) -> Origin:
    """:raises ApiError: 404, there is no such run for the principal."""
    principal.require(RUNS_READ)
    runs = Run.objects.visible_to(principal).select_related("configuration", "thread")
    run: Run | None = only_row(runs.filter(pk=run_id))
    if run is None:
        raise errors.not_found("run", run_id)
    return Origin(
        run,
        numbers([run]).get(run.version_id or ""),
        only_row(Deployment.objects.filter(pk=run.deployment_id)) if run.deployment_id else None,
        list(Feedback.objects.standing().filter(run=run)),
        replays_of(principal, run),
    )


def replays_of(principal: Principal, run: Run) -> list[str]:
    """The newest first."""
    seen = Run.objects.visible_to(principal).replays_of(run.id)
    return list(seen.values_list("id", flat=True)[:REPLAYS_TOLD])


def numbers(runs: Iterable[Run]) -> dict[str, int]:
    """Of the versions of these runs, by their ids; deleted ones have none."""
    versions = {run.version_id for run in runs if run.version_id}
    return dict(AssistantVersion.objects.filter(pk__in=versions).values_list("pk", "number")) if versions else {}


def in_words(runs: Sequence[Run]) -> dict[str, str]:
    """By the runs' ids: ``Version 3, Production`` or ``Draft``, in the language of the page."""
    known = numbers(runs)
    return {run.id: _worded(run, known) for run in runs}


def _worded(run: Run, known: dict[str, int]) -> str:
    place = _(str(Environment(run.environment).label)) if run.environment else ""
    if run.version_id is None:
        return _("Draft: nothing was deployed in {place}").format(place=place) if place else _("Draft")
    number = known.get(run.version_id)
    version = _("A version that was deleted") if number is None else _("Version {number}").format(number=number)
    return f"{version}, {place}" if place else version
