"""A subject's account: what it used lately, and whether there is something left of what it may."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sovereign.accounts.models import Consumption
from sovereign.accounts.services.quotas.demands import (
    LEAST,
    SHARE,
    WHOSE,
    Demand,
    Limits,
    Refusal,
    Reservation,
    duration,
    waiting_headers,
)
from sovereign.accounts.services.quotas.windows import DAILY_TOKENS, DAY, METRICS, REQUESTS, TOKENS, Metric, Window

LEASE = 60.0  # seconds that a model call counts as running without being renewed
CALLS = "calls"
LOOK_AGAIN = 1.0  # seconds; nobody knows when a model call ends


class Allowance(NamedTuple):
    """How much of a metric is left, for the headers of an answer."""

    remaining: int
    limit: int
    resets_in: float


class Account:
    """One subject at one moment.

    :param row: locked, where something is to be taken or given back.
    :param moment: now, in unix seconds.
    """

    def __init__(self, row: Consumption, moment: float) -> None:
        self.row = row
        self.moment = moment
        self.windows = {metric: Window(metric, row.windows.get(metric.name, []), moment) for metric in METRICS}
        self.calls = {call: ends for call, ends in row.calls.items() if ends > moment}

    def store(self) -> Consumption:
        """The row with what is now to be written into it."""
        self.row.windows = {metric.name: slots for metric, window in self.windows.items() if (slots := window.slots)}
        self.row.calls = self.calls
        return self.row

    def take(self, reservation: Reservation, limits: Limits) -> None:
        for metric, amount in _amounts(reservation):
            if amount and limits.of(metric) is not None:
                self.windows[metric].add(amount)
        self.renew(reservation, limits)

    def renew(self, reservation: Reservation, limits: Limits) -> None:
        """Also where the lease had ended: what runs, runs."""
        if reservation.holds and limits.concurrent_calls is not None:
            self.calls[reservation.id] = self.moment + LEASE

    def correct(self, reservation: Reservation, limits: Limits, *, requests: int, tokens: int) -> None:
        """It was so many in truth, and is over."""
        used = {REQUESTS: requests, TOKENS: tokens, DAILY_TOKENS: tokens}
        for metric, reserved in _amounts(reservation):
            if limits.of(metric) is not None:
                self.windows[metric].correct(reservation.at, reserved, used[metric])
        self.calls.pop(reservation.id, None)

    def allowance(self, metric: Metric, limits: Limits) -> Allowance | None:
        limit = limits.of(metric)
        if limit is None:
            return None
        window = self.windows[metric]
        return Allowance(max(0, limit - window.used), limit, window.resets_in)

    def spare(self, tokens: int, limits: Limits) -> int | None:
        """How many tokens may be taken beyond ``tokens`` at once; ``None`` where they are not limited.

        It is no less than makes sense, which may be more than is left.
        """
        spares = []
        for metric in (TOKENS, DAILY_TOKENS):
            if (limit := limits.of(metric)) is not None:
                share = max(1, limit // SHARE)
                spares.append(max(min(LEAST, share), min(share, limit - self.windows[metric].used - tokens)))
        return min(spares, default=None)

    def used(self, field: str) -> int:
        """:param field: the limit's, of ``Limits``."""
        counted = {window.metric.field: window.used for window in self.windows.values()}
        return counted.get(field, len(self.calls))

    # ------------------------------------------------------------------------------------- refusing

    def refusal_of(self, demand: Demand, limits: Limits) -> Refusal | None:
        """The refusal that lasts longest, or ``None``."""
        refusals = [self._refusal_by(metric, amount, limits) for metric, amount in _wanted(demand)]
        if worst := longest(refusals):
            return worst
        most = limits.concurrent_calls
        if not demand.holds or most is None or len(self.calls) < most:
            return None
        if most == 0:
            return Refusal(
                f"Model calls are switched off for {self._whose}.", CALLS, "requests", float(DAY), is_final=True
            )
        words = self._words("concurrent model calls", most, len(self.calls), 1, LOOK_AGAIN)
        return Refusal(words, CALLS, "requests", LOOK_AGAIN)

    def _refusal_by(self, metric: Metric, amount: int, limits: Limits) -> Refusal | None:
        limit = limits.of(metric)
        if limit is None or not amount:
            return None
        if amount > limit:
            words = (
                f"Request too large for {self._whose} on {metric.words}: Limit {limit}, Requested {amount}. The input "
                "or output tokens must be reduced in order to run successfully."
            )
            return Refusal(words, metric.name, metric.type, float(metric.span), is_final=True)
        window = self.windows[metric]
        if not (seconds := window.fits_in(amount, limit)):
            return None
        words = self._words(metric.words, limit, window.used, amount, seconds)
        return Refusal(words, metric.name, metric.type, seconds)

    @property
    def _whose(self) -> str:
        return WHOSE[self.row.subject.partition(":")[0]]

    def _words(self, what: str, limit: int, used: int, requested: int, seconds: float) -> str:
        return (
            f"Rate limit reached for {self._whose} on {what}: Limit {limit}, Used {used}, Requested {requested}. "
            f"Please try again in {duration(seconds)}."
        )


def longest(refusals: Iterable[Refusal | None]) -> Refusal | None:
    return max(filter(None, refusals), key=lambda refusal: (refusal.is_final, refusal.retry_after), default=None)


def headers_of(accounts: Iterable[tuple[Account, Limits]], refusal: Refusal | None = None) -> dict[str, str]:
    """``x-ratelimit-*`` of whichever limit leaves least, and when to come back after a refusal."""
    pairs, headers = list(accounts), dict[str, str]()
    for name, metrics in (("requests", (REQUESTS,)), ("tokens", (TOKENS, DAILY_TOKENS))):
        allowances = [account.allowance(metric, limits) for account, limits in pairs for metric in metrics]
        if tightest := min(filter(None, allowances), default=None):
            headers[f"x-ratelimit-limit-{name}"] = str(tightest.limit)
            headers[f"x-ratelimit-remaining-{name}"] = str(tightest.remaining)
            headers[f"x-ratelimit-reset-{name}"] = duration(tightest.resets_in)
    if refusal is not None:
        headers |= waiting_headers(refusal.retry_after)
        if refusal.is_final:
            headers["x-should-retry"] = "false"  # waiting makes it no smaller
    return headers


def _amounts(of: Demand | Reservation) -> tuple[tuple[Metric, int], ...]:
    return (REQUESTS, of.requests), (TOKENS, of.tokens), (DAILY_TOKENS, of.tokens)


def _wanted(demand: Demand) -> tuple[tuple[Metric, int], ...]:
    """As ``_amounts``, with the one token that has to be left where it is not known how many it will be."""
    least = int(demand.needs_tokens)
    return (REQUESTS, demand.requests), (TOKENS, max(least, demand.tokens)), (DAILY_TOKENS, max(least, demand.tokens))
