"""Which assistants are used most: runs of the last days, and use elsewhere that applications tell.

Runs are not known here: who knows of use adds a way of counting it, by the name under which it is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Sum

from assistants.models import Assistant, ExternalUse
from assistants.ranked import following
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_READ
from sovereign.core.database import now

EXTERNAL = "external"
USUAL_DAYS, MOST_DAYS = 30, 365

Count = Callable[[str, datetime], Mapping[str, int]]  # project, since when → uses by the assistant's id


def _external(project_id: str, since: datetime) -> Mapping[str, int]:
    rows = ExternalUse.objects.filter(project_id=project_id, created_at__gte=since).order_by()
    return dict(rows.values_list("assistant_id").annotate(Sum("count")))


COUNTS: dict[str, Count] = {EXTERNAL: _external}


@dataclass(frozen=True, slots=True)
class Popular:
    """:ivar uses: how often, by what was counted; ``external`` is what was told."""

    assistant: Assistant
    uses: Mapping[str, int]


def popular(
    *, principal: Principal, limit: int, days: int = USUAL_DAYS, kind: str | None = None, after: str | None = None
) -> list[Popular]:
    """The assistants that were used in the last days, most used first; of equals the newest.

    :param kind: of this type only.
    :param after: the id of the assistant that they follow.
    :raises ApiError: 400, nobody used that one; 403.
    """
    principal.require(ASSISTANTS_READ)
    since = now() - timedelta(days=days)
    counted = {name: count(principal.project_id, since) for name, count in COUNTS.items()}
    total: Counter[str] = Counter()
    for uses in counted.values():
        total.update(uses)
    visible = Assistant.objects.visible_to(principal).filter(pk__in=list(total)).order_by()
    if kind is not None:
        visible = visible.filter(type=kind)
    found = sorted(visible.values_list("pk", flat=True), key=lambda pk: (total[pk], pk), reverse=True)
    page = following(found, after)[:limit]
    rows = Assistant.objects.in_bulk(page)
    return [Popular(rows[pk], {name: uses.get(pk, 0) for name, uses in counted.items()}) for pk in page if pk in rows]
