"""The accounts of some subjects, locked until the end of the transaction."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from django.db.models import QuerySet

from sovereign.accounts.models import Consumption
from sovereign.accounts.services.quotas.accounts import Account, headers_of, longest
from sovereign.accounts.services.quotas.demands import Demand, Limits, Refusal, Reservation
from sovereign.core.database import Prepared, now, transact_hurriedly

T = TypeVar("T")

ATTEMPTS = 3  # rows that were just made are there, unless they are removed in the same moment


class Missing(Exception):
    """Somebody's first time: there is no row yet for some of ``names``."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = names


def in_book(work: Callable[[], T]) -> T:
    """``work``, which opens a book, in a transaction. Rows that are missing are made before it, while it locks none."""
    for _ in range(ATTEMPTS):
        try:
            return transact_hurriedly(work)
        except Missing as missing:
            rows = [Consumption(subject=name) for name in missing.names]
        transact_hurriedly(partial(Consumption.objects.bulk_create, rows, ignore_conflicts=True))
    return transact_hurriedly(work)


class Book:
    """Opened within ``in_book``. Rows are locked by their names' order, so that no two books wait for each other."""

    def __init__(self, names: Iterable[str]) -> None:
        wanted = sorted(set(names))
        rows = _locked(wanted)
        if len(rows) < len(wanted):
            raise Missing(wanted)
        self._moment = now().timestamp()  # once the rows are ours
        self._accounts = {row.subject: Account(row, self._moment) for row in rows}
        self._changed: set[str] = set()

    def answer(self, demand: Demand, limits: Mapping[str, Limits]) -> Reservation | Refusal:
        """:param limits: of every subject that is limited; the book has those that the demand concerns."""
        taken_from = concerned(demand, limits)
        mine = [(self._accounts[name], given) for name, given in taken_from]
        demand = _stretched(demand, mine)
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


def _stretched(demand: Demand, accounts: Sequence[tuple[Account, Limits]]) -> Demand:
    """The demand with as many tokens as it gets."""
    if not demand.up_to:
        return demand
    spares = [account.spare(demand.tokens, given) for account, given in accounts]
    most = min((spare for spare in spares if spare is not None), default=0)
    return replace(demand, tokens=demand.tokens + min(demand.up_to, most), up_to=0)


def _locked(names: Sequence[str]) -> list[Consumption]:
    if len(names) > 2:
        return list(_rows(names))
    return list(Consumption.objects.raw(*_ROWS.with_values(names[0], names[-1])))


def _rows(names: Sequence[str]) -> QuerySet[Consumption]:
    return Consumption.objects.filter(pk__in=names).select_for_update(no_key=True).order_by("pk")


#: of a key and its project, or of one of them twice: what nearly everybody asks for
_ROWS = Prepared(lambda one, other: _rows([one, other]))
