"""How the runs of a deployment go: read from rows only, and never from more than its newest ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from assistants.models import Deployment
from runs.models import Feedback, Run
from runs.states import Status
from sovereign.core.database import now

WINDOW = 500  # runs of a deployment that are looked at: what was long ago neither excuses nor accuses it
BUSY = "rate_limit_exceeded"  # the code of what a limit refused, which is no version's fault
REFUSED = "invalid_prompt"  # of what no engine would answer: an engine that is away fails with another code


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """How the newest runs of a deployment went.

    :ivar ended: those that were answered or failed. Not among them: what was cancelled or refused by a limit, and
        what expired, which is mostly an application that never gave a tool's output.
    :ivar failed: of these.
    :ivar refused: of the failed, those that no engine's fault explains: what was asked of the model is wrong.
    :ivar seconds: that answers took, from the last claim of a worker to the end, the quickest first.
    :ivar running: seconds that those in the making have taken so far.
    :ivar rated: thumbs, of either direction: of each person the latest one, of applications all, which speak for many.
    :ivar disliked: of these, those that are down.
    """

    ended: int = 0
    failed: int = 0
    refused: int = 0
    seconds: Sequence[float] = ()
    running: Sequence[float] = ()
    rated: int = 0
    disliked: int = 0

    @property
    def failed_share(self) -> float:
        return self.failed / self.ended if self.ended else 0.0

    @property
    def disliked_share(self) -> float:
        return self.disliked / self.rated if self.rated else 0.0


def signals_of(deployment_id: str, *, since: datetime | None = None) -> Signals:
    """Of the runs that the version's own model answers: what a request asks of another one is not the version's doing.

    :param since: only of runs that were made from then on.
    """
    runs = Run.objects.filter(deployment_id=deployment_id, model=_model_of(deployment_id))
    if since is not None:
        runs = runs.filter(created_at__gte=since)
    columns = ("pk", "status", "last_error", "started_at", "completed_at")
    rows = list(runs.order_by("-created_at", "-id").values(*columns)[:WINDOW])
    answered = [row for row in rows if row["status"] in (Status.COMPLETED, Status.INCOMPLETE)]
    failed = [row for row in rows if row["status"] == Status.FAILED and _code_of(row) != BUSY]
    begun = [row["started_at"] for row in rows if row["status"] == Status.IN_PROGRESS]
    rated, disliked = _thumbs([row["pk"] for row in rows])
    return Signals(
        ended=len(answered) + len(failed),
        failed=len(failed),
        refused=sum(_code_of(row) == REFUSED for row in failed),
        seconds=sorted(_between(row["started_at"], row["completed_at"]) for row in answered),
        running=_until_now(begun),
        rated=rated,
        disliked=disliked,
    )


def _model_of(deployment_id: str) -> str:
    contents = Deployment.objects.filter(pk=deployment_id).values_list("version__content", flat=True)
    return str((contents.first() or {}).get("model", ""))


def _code_of(row: dict[str, Any]) -> str:
    return str((row["last_error"] or {}).get("code", ""))


def _until_now(begun: Collection[datetime]) -> list[float]:
    """Where nothing was begun, the database is not asked for the time."""
    instant = now() if begun else None
    return [_between(start, instant) for start in begun if instant is not None]


def _between(start: datetime, end: datetime) -> float:
    """Seconds."""
    return max(0.0, (end - start).total_seconds())


def _thumbs(run_ids: Collection[str]) -> tuple[int, int]:
    """How many, and how many of them are down."""
    given = Feedback.objects.standing().filter(run_id__in=run_ids).order_by("updated_at", "pk")
    rows = given.values_list("pk", "user_id", "rating")
    opinions = {user_id if user_id is not None else pk: rating for pk, user_id, rating in rows}
    return len(opinions), sum(rating == Feedback.Rating.DOWN for rating in opinions.values())
