"""Usage added up: by project, key, assistant, model or day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, Q, Sum

from inference.querysets import UsageQuerySet

#: what may be added up by: a word for people → the column
BY = {"project": "project_id", "key": "key_id", "assistant": "assistant_id", "model": "model", "day": "day"}
SUMS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")
UNIT = 10**9  # nano-units. SQLite adds up in 64 bits, which a few large costs would fill: whole units and rests do not
COST = {"cost_units": Sum(F("cost") / UNIT, default=0), "cost_rests": Sum(F("cost") % UNIT, default=0)}
DEAREST_FIRST = ((F("cost_units") + F("cost_rests") / UNIT).desc(), (F("cost_rests") % UNIT).desc())
NOT_FAILED = ("stop", "length", "tool_calls", "content_filter", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The sums of one group; ``key`` has a value for each of what was asked for. ``cost`` is in nano-units."""

    key: tuple[Any, ...]
    calls: int
    failed: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cost: int


def totals(rows: UsageQuerySet, *by: str, limit: int | None = None) -> list[Total]:
    """One group for each combination of ``by`` (of ``BY``), the dearest first, then those with most tokens; days in
    their order. Nothing to add up by gives one total of everything.

    :raises KeyError: an unknown word in ``by``.
    """
    columns = [BY[word] for word in by]
    sums: dict[str, Any] = {f"total_{name}": Sum(name, default=0) for name in SUMS} | COST
    failed = Count("pk", filter=~Q(outcome__in=NOT_FAILED))
    if not columns:
        return [_total((), rows.order_by().aggregate(calls=Count("pk"), failed=failed, **sums))]
    grouped = rows.order_by().values(*columns).annotate(calls=Count("pk"), failed=failed, **sums)
    ordered = grouped.order_by(*_order(columns))[:limit]
    return [_total(tuple(group[column] for column in columns), group) for group in ordered]


def _order(columns: Sequence[str]) -> list[Any]:
    if columns[0] == "day":
        return ["day", *DEAREST_FIRST, *columns[1:]]
    return [*DEAREST_FIRST, "-total_completion_tokens", *columns]


def _total(key: tuple[Any, ...], group: dict[str, Any]) -> Total:
    sums = {name: int(group[f"total_{name}"]) for name in SUMS}
    cost = int(group["cost_units"]) * UNIT + int(group["cost_rests"])
    return Total(key=key, calls=group["calls"], failed=group["failed"], cost=cost, **sums)
