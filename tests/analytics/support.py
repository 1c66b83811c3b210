"""Roll-ups as counting leaves them, made directly."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from runs.analytics.cells import COLUMNS, pack, unpack
from runs.analytics.measures import Measures
from runs.analytics.models import Rollup
from runs.analytics.windows import Period, floor

CELL = ("assistant_id", "version_id", "environment", "model", "key_id")


def measures(
    *,
    seconds: tuple[float, ...] = (),
    first_token: tuple[float, ...] = (),
    users: tuple[str, ...] = (),
    threads: tuple[str, ...] = (),
    **fields: Any,
) -> Measures:
    """``measures(runs=2, failed=1, seconds=(0.5,))``: what is not said is nothing."""
    one = Measures(**fields)
    for spread, values in ((one.response, seconds), (one.first_token, first_token)):
        for value in values:
            spread.add(value * 1000)
    for distinct, members in ((one.users, users), (one.conversations, threads)):
        for member in members:
            distinct.add(member)
    return one


def happened(project_id: str, at: datetime, what: Measures, **cell: str) -> None:
    """Add to the roll-ups of every period that ``at`` is in."""
    for period in Period:
        names: dict[str, Any] = {"project_id": project_id, "period": period, "start": floor(at, period)}
        row, _ = Rollup.objects.get_or_create(**(names | dict.fromkeys(CELL, "") | cell))
        total = unpack({name: getattr(row, name) for name in COLUMNS})
        total.add(what)
        for name, value in pack(total).items():
            setattr(row, name, value)
        row.save()
