"""The accounts of some subjects, locked until the end of the transaction."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from django.db import connection
from django.utils import timezone

from sovereign.accounts.models import Consumption
from sovereign.accounts.services.quotas.accounts import Account, headers_of, longest
from sovereign.accounts.services.quotas.demands import Demand, Limits, Refusal, Reservation


class Book:
    """Opened inside a transaction. Rows are locked by their names' order, so that no two books wait for each other.

    :param hurried: see ``clock``; only where the transaction is the book's own.
    """

    def __init__(self, names: Iterable[str], *, hurried: bool) -> None:
        wanted = sorted(set(names))
        rows = _locked(wanted)
        if len(rows) < len(wanted):  # somebody's first time
            Consumption.objects.bulk_create([Consumption(subject=name) for name in wanted], ignore_conflicts=True)
            rows = _locked(wanted)
        self._moment = clock(hurried)  # read when the rows are ours
        self._accounts = {row.subject: Account(row, self._moment) for row in rows}
        self._changed: set[str] = set()

    def answer(self, demand: Demand, limits: Mapping[str, Limits]) -> Reservation | Refusal:
        """:param limits: of every subject that is limited; the book has those that the demand concerns."""
        taken_from = concerned(demand, limits)
        mine = [(self._accounts[name], given) for name, given in taken_from]
        refusal = longest(account.refusal_of(demand, given) for account, given in mine)
        if refusal is not None:
            return replace(refusal, headers=headers_of(mine, refusal))
        if not mine:
            return Reservation(requests=demand.requests, tokens=demand.tokens)
        reservation = Reservation(
            secrets.token_hex(8), taken_from, demand.requests, demand.tokens, self._moment, demand.holds
        )
        for account, given in mine:
            account.take(reservation, given)
        self._note(taken_from)
        return replace(reservation, headers=headers_of(mine))

    def correct(self, reservation: Reservation, *, requests: int, tokens: int) -> None:
        for name, limits in reservation.taken_from:
            self._accounts[name].correct(reservation, limits, requests=requests, tokens=tokens)
        self._note(reservation.taken_from)

    def renew(self, reservation: Reservation) -> None:
        for name, limits in reservation.taken_from:
            self._accounts[name].renew(reservation, limits)
        self._note(reservation.taken_from)

    def write(self) -> None:
        rows = [self._accounts[name].store() for name in sorted(self._changed)]
        Consumption.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["subject"], update_fields=["windows", "calls"]
        )

    def _note(self, taken_from: Sequence[tuple[str, Limits]]) -> None:
        self._changed.update(name for name, _ in taken_from)


def concerned(demand: Demand, limits: Mapping[str, Limits]) -> tuple[tuple[str, Limits], ...]:
    """The demand's subjects that limit what it is for."""
    names = sorted({subject.name for subject in demand.subjects} & limits.keys())
    return tuple((name, limits[name]) for name in names if limits[name].concern(demand))


def _locked(names: Sequence[str]) -> list[Consumption]:
    return list(Consumption.objects.filter(pk__in=names).select_for_update(no_key=True).order_by("pk"))


def clock(hurried: bool = False) -> float:
    """The database's clock, in unix seconds.

    :param hurried: on Postgres, do not wait for the disk when this transaction is committed. Should the database's
        machine die, the last moments of a count are missing: nothing to keep everybody else from the row for.
    """
    if connection.vendor != "postgresql":
        return timezone.now().timestamp()
    asked = "SELECT extract(epoch FROM clock_timestamp())::float8"
    with connection.cursor() as cursor:
        cursor.execute(f"{asked}, set_config('synchronous_commit', 'off', true)" if hurried else asked)
        moment: float = cursor.fetchone()[0]
    return moment
