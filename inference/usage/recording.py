"""Ended model calls become rows, in the same transaction in which what was reserved for them is settled."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from itertools import groupby

from django.db import InterfaceError, OperationalError

from inference.models import UncountedCall, UsageRecord
from inference.usage.prices import PriceList, cost
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import Reservation
from sovereign.core.database import now, transact

BATCH = 500  # rows of one INSERT


@dataclass(frozen=True, slots=True)
class Ended:
    """A model call that is over.

    :ivar row: complete but for its cost, and for its moment where ``at`` tells it; ``None`` where nothing was asked of
        an engine.
    :ivar provider_id: whose price it is.
    :ivar reserved: what was reserved for it.
    :ivar tokens: how many it was.
    :ivar at: when it ended, by this process's monotonic clock.
    """

    row: UsageRecord | None
    provider_id: str | None = None
    reserved: tuple[Reservation, ...] = ()
    tokens: int = 0
    at: float | None = None


class Unsure(OperationalError):
    """The database went away while it committed: whether that was done is not known."""


def record(calls: Sequence[Ended], *, again: bool = False) -> None:
    """Write the rows and settle what was reserved, all or nothing, in a transaction.

    :param again: whether some may have been written before: those are left as they are, and so are those without a
        row, of which nobody can tell. (What was reserved for them ends by itself.)
    :raises Unsure: see there; other errors mean that nothing was done.
    """
    is_committing = False

    def work() -> None:
        nonlocal is_committing
        is_committing = False
        _record(calls, again)
        is_committing = True

    try:
        transact(work)
    except (OperationalError, InterfaceError) as error:
        if is_committing:
            raise Unsure from error
        raise


def _record(calls: Sequence[Ended], again: bool) -> None:
    known = _known(calls) if again else set()
    fresh = [call for call in calls if not ((again and call.row is None) or (call.row and call.row.pk in known))]
    _date(fresh)
    rows = list(_priced(fresh))
    if rows:
        UsageRecord.objects.bulk_create(rows, batch_size=BATCH)
        uncounted = [UncountedCall(call_id=row.pk, thread_id=row.thread_id) for row in rows]
        UncountedCall.objects.bulk_create(uncounted, batch_size=BATCH)
    quotas.settle([(reservation, call.tokens) for call in fresh for reservation in call.reserved])


def _known(calls: Sequence[Ended]) -> set[str]:
    ids = [call.row.pk for call in calls if call.row is not None]
    return set(UsageRecord.objects.filter(pk__in=ids).values_list("pk", flat=True))


def _date(calls: Iterable[Ended]) -> None:
    """All processes' calls have their moment, and day, from the database's clock."""
    ended = [(call.row, call.at) for call in calls if call.row is not None and call.at is not None]
    if not ended:
        return
    instant, here = now().astimezone(UTC), time.monotonic()
    for row, at in ended:
        row.created_at = instant - timedelta(seconds=here - at)
        row.day = row.created_at.date()


def _priced(calls: Iterable[Ended]) -> Iterable[UsageRecord]:
    """The rows with what they cost on their day."""
    written = sorted((call for call in calls if call.row is not None), key=_day_of)
    for day, of_day in groupby(written, key=_day_of):
        group = [(call.row, call.provider_id) for call in of_day if call.row is not None]
        prices = PriceList({row.model for row, _ in group}, day)
        for row, provider_id in group:
            price = prices.of(row.model, provider_id)
            row.cost = cost(price, prompt=row.prompt_tokens, cached=row.cached_tokens, completion=row.completion_tokens)
            yield row


def _day_of(call: Ended) -> date:
    assert call.row is not None
    return call.row.day
