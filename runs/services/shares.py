"""How much of the house an assistant's runs may have in an environment: slots at once, and tokens of a day.

A day is one of UTC. What has been used is what runs have counted in it so far (:class:`runs.models.DayTokens`): a model
call that is under way counts when it ends. A run that has begun goes on, however much has been used.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import reduce
from http import HTTPStatus
from operator import or_
from typing import NamedTuple

from django.db.models import Q

from assistants.models import Assistant, Scale
from runs.models import DayTokens, Run
from sovereign.core.database import now, only_row
from sovereign.core.errors import ApiError

DAY = timedelta(days=1)
CROWDED = "As many runs of this assistant are at work in {} as may at once."
SPENT = "The assistant has used its {:,} tokens of today in {}. It goes on at 00:00 UTC."
QUOTA = "insufficient_quota"


class Share(NamedTuple):
    """Whose runs a scale is about."""

    assistant_id: str
    environment: str


@dataclass(frozen=True, slots=True)
class Room:
    """What a share has left.

    :ivar slots: runs that may be taken now; ``None`` where they are not limited.
    :ivar budget: tokens of a day, where they are limited and used up.
    """

    share: Share
    slots: int | None
    budget: int | None

    def reason(self, *, is_begun: bool) -> str:
        """Why no run of it may be taken, in a sentence; empty where one may.

        :param is_begun: whether the run has been at work before.
        """
        if self.slots is not None and self.slots < 1:
            return CROWDED.format(self.share.environment)
        return "" if is_begun or self.budget is None else SPENT.format(self.budget, self.share.environment)


def scale_of(assistant: Assistant, environment: str | None) -> Scale | None:
    if environment is None:
        return None
    return only_row(Scale.objects.filter(assistant_id=assistant.id, environment=environment))


def refuse_spent(scale: Scale | None) -> None:
    """:raises ApiError: 429 ``insufficient_quota``, the day's tokens are used up."""
    if scale is None or scale.tokens_per_day is None:
        return
    instant = now()
    if _used_up(scale, _spent([share_of(scale)], instant)) is None:
        return
    seconds = int((_beginning(instant) + DAY - instant).total_seconds()) + 1
    raise ApiError(
        SPENT.format(scale.tokens_per_day, scale.environment),
        status=HTTPStatus.TOO_MANY_REQUESTS,
        type=QUOTA,
        code=QUOTA,
        headers={"Retry-After": str(seconds), "x-should-retry": "false"},
    )


def scales_of(shares: Collection[Share]) -> dict[Share, Scale]:
    """The scales of those that have one; where there are no shares, nothing is asked."""
    if not shares:
        return {}
    return {share_of(scale): scale for scale in Scale.objects.filter(are_of(shares))}


def rooms(scales: Mapping[Share, Scale]) -> dict[Share, Room]:
    """What is left of these now. Where there are none, nothing is asked."""
    slots = _slots_left(scales.values())
    limited = [share for share, scale in scales.items() if scale.tokens_per_day is not None]
    spent = _spent(limited, now()) if limited else {}
    return {share: Room(share, slots.get(share), _used_up(scale, spent)) for share, scale in scales.items()}


def settled_slots(shares: Collection[Share], *, known: Collection[Share]) -> dict[Share, int]:
    """The slots that are left of those that limit them, whose scales are locked: nobody else takes one meanwhile.

    :param known: whose scales were looked at. Others with a scale have none: it came since.
    """
    scales = scales_of(shares)
    news = {share: 0 for share in scales if share not in known}
    limited = [share for share, scale in scales.items() if share in known and scale.worker_slots is not None]
    if not limited:
        return news
    locked = Scale.objects.filter(are_of(limited)).order_by("pk").select_for_update(no_key=True)
    return news | _slots_left(list(locked))


def are_of(shares: Iterable[Share]) -> Q:
    """The rows of these; of none, no row. As deep as there are environments, however many assistants there are."""
    assistants = defaultdict(set)
    for share in shares:
        assistants[share.environment].add(share.assistant_id)
    each = (Q(environment=environment, assistant_id__in=sorted(ids)) for environment, ids in sorted(assistants.items()))
    return reduce(or_, each, Q(pk__in=[]))


def share_of(row: Scale | Run | DayTokens) -> Share:
    return Share(str(row.assistant_id), str(row.environment))


def _slots_left(scales: Iterable[Scale]) -> dict[Share, int]:
    """Of those that limit them. A run takes its slot for as long as a living worker holds it."""
    slots = {share_of(scale): scale.worker_slots for scale in scales if scale.worker_slots is not None}
    if not slots:
        return {}
    rows = Run.objects.held().filter(environment__isnull=False).order_by().values_list("assistant_id", "environment")
    held = Counter(Share(*names) for names in rows)
    return {share: most - held[share] for share, most in slots.items()}


def _used_up(scale: Scale, spent: Mapping[Share, int]) -> int | None:
    """The budget of which nothing is left."""
    budget: int | None = scale.tokens_per_day
    return budget if budget is not None and spent.get(share_of(scale), 0) >= budget else None


def _spent(shares: Collection[Share], instant: datetime) -> dict[Share, int]:
    """Tokens of the day so far."""
    counted = DayTokens.objects.filter(are_of(shares), day=instant.astimezone(UTC).date())
    return {share_of(row): row.tokens for row in counted}


def _beginning(instant: datetime) -> datetime:
    """Of the day."""
    return datetime.combine(instant.astimezone(UTC), time(), UTC)
