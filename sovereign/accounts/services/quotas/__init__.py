"""Limits on requests, tokens and concurrent model calls, shared by all processes and exact: the counts are locked rows.

Everything here is synchronous. Each call is one transaction, or joins its caller's. Where nothing is limited,
``reserve`` is one small SELECT, and the others are nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import connection
from django.db.models import Q

from sovereign.accounts.models import Consumption, Limit
from sovereign.accounts.principals import Principal
from sovereign.accounts.services.quotas.accounts import LEASE, Account, headers_of
from sovereign.accounts.services.quotas.book import Book, concerned, in_book
from sovereign.accounts.services.quotas.demands import (
    EXCEEDED,
    LEAST,
    NONE,
    Demand,
    Limits,
    Refusal,
    Reservation,
    Subject,
    duration,
    subjects_of,
)
from sovereign.accounts.services.quotas.windows import METRICS
from sovereign.core.database import Prepared, now

__all__ = [
    "EXCEEDED",
    "FIELDS",
    "LEASE",
    "LEAST",
    "METRICS",
    "NONE",
    "Account",
    "Demand",
    "Limits",
    "Refusal",
    "Reservation",
    "Subject",
    "duration",
    "give_back",
    "limits_of",
    "look",
    "rate_headers",
    "renew",
    "reserve",
    "settle",
    "subjects_of",
    "take_request",
]

FIELDS = ("requests_per_minute", "tokens_per_minute", "tokens_per_day", "concurrent_calls")
#: of one project and one of its keys, which is what nearly everybody asks for
_LIMITS = Prepared(
    lambda project, key: (
        Limit.objects.filter(Q(project=project, key=None) | Q(key=key))
        .order_by()
        .values_list("project_id", "key_id", *FIELDS)
    )
)

Answers = list[Reservation | Refusal]


def reserve(demands: Sequence[Demand]) -> Answers:
    """An answer for each demand, in their order: what one was granted is missing for those after it.

    A refusal takes nothing from anybody. Reservations are to be settled, or given back.
    """
    limits = limits_of(subject for demand in demands for subject in demand.subjects)
    names = {name for demand in demands for name, _ in concerned(demand, limits)}
    if not names:
        return [Reservation(requests=demand.requests, tokens=demand.tokens) for demand in demands]
    return in_book(partial(_reserve, demands, limits, names))


def take_request(principal: Principal, *, needs_tokens: bool) -> Reservation:
    """One request less for a key and its project, whatever becomes of it.

    :param needs_tokens: it leads to a model call: refused where no token is left.
    :raises ApiError: 429.
    """
    demand = Demand(subjects_of(principal), holds=False, needs_tokens=needs_tokens)
    answer = reserve([demand])[0]
    if isinstance(answer, Refusal):
        raise answer.error()
    return answer


def settle(used: Sequence[tuple[Reservation, int]]) -> None:
    """How many tokens it was in truth: the rest is given back, or what is missing taken, and the model call is over.

    To settle twice takes twice. What lies longer back than a limit looks is not given back.
    """
    _correct([(reservation, reservation.requests, tokens) for reservation, tokens in used])


def give_back(reservations: Sequence[Reservation]) -> None:
    """As if they had never been made."""
    _correct([(reservation, 0, 0) for reservation in reservations])


def renew(reservations: Sequence[Reservation]) -> None:
    """Their model calls still run: they count for another ``LEASE`` seconds."""
    running = [reservation for reservation in reservations if reservation.holds_a_call]
    if running:
        in_book(partial(_renew, running))


def rate_headers(principal: Principal) -> dict[str, str]:
    """``x-ratelimit-{limit,remaining,reset}-{requests,tokens}`` as of now, for those that are limited."""
    limits = limits_of(subjects_of(principal))
    return headers_of((account, limits[name]) for name, account in look(limits).items())


def look(names: Iterable[str]) -> dict[str, Account]:
    """The accounts of the subjects with these names as they are now. Nothing is locked."""
    wanted = sorted(names)
    if not wanted:
        return {}
    rows = Consumption.objects.in_bulk(wanted)
    moment = now().timestamp()
    return {name: Account(rows.get(name) or Consumption(subject=name), moment) for name in wanted}


def limits_of(subjects: Iterable[Subject]) -> dict[str, Limits]:
    """By the subjects' names; who is not limited is not there."""
    limits: dict[str, Limits] = {}
    projects: dict[str, None] = {}
    keys: dict[str, None] = {}
    for subject in subjects:
        if subject.limits is not None:
            limits[subject.name] = subject.limits
        elif subject.kind in ("project", "key"):
            (projects if subject.kind == "project" else keys)[subject.id] = None
    for project, key, *values in _rows(list(projects), list(keys)):
        subject = Subject("key", key) if key else Subject("project", project)
        limits[subject.name] = Limits(**dict(zip(FIELDS, values, strict=True)))
    return limits


def _rows(projects: Sequence[str], keys: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    if not projects and not keys:
        return []
    if len(projects) > 1 or len(keys) > 1:
        return Limit.objects.of(projects, keys).values_list("project_id", "key_id", *FIELDS)
    with connection.cursor() as cursor:
        cursor.execute(*_LIMITS.with_values(projects[0] if projects else "", keys[0] if keys else ""))
        return cursor.fetchall()


def _reserve(demands: Sequence[Demand], limits: Mapping[str, Limits], names: set[str]) -> Answers:
    book = Book(names)
    answers = [book.answer(demand, limits) for demand in demands]
    book.write()
    return answers


def _correct(used: Sequence[tuple[Reservation, int, int]]) -> None:
    """:param used: reservations with how many requests and tokens they should have been for."""
    counted = [item for item in used if item[0].taken_from]
    if counted:
        in_book(partial(_correct_all, counted))


def _correct_all(used: Sequence[tuple[Reservation, int, int]]) -> None:
    book = Book(_names([reservation for reservation, _, _ in used]))
    for reservation, requests, tokens in used:
        book.correct(reservation, requests=requests, tokens=tokens)
    book.write()


def _renew(running: Sequence[Reservation]) -> None:
    book = Book(_names(running))
    for reservation in running:
        book.renew(reservation)
    book.write()


def _names(reservations: Iterable[Reservation]) -> set[str]:
    return {name for reservation in reservations for name, _ in reservation.taken_from}
