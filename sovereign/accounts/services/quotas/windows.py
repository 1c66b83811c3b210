"""What was used lately: amounts in slots of time, so that no span of a minute (or day) ever holds more than its limit.

A bucket that is refilled while it is emptied would let up to twice the limit through in its first minute. Here what was
used counts until the whole of its slot has left the span, that is up to one slot longer than it must.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

MINUTE = 60
DAY = 24 * 60 * MINUTE

Slots = list[list[int]]  # [[slot, amount], …], oldest first; slot n lasts from n to n + 1 times the metric's width


@dataclass(frozen=True, slots=True)
class Metric:
    """Something whose amount in a span of time is limited."""

    name: str
    field: str  # of ``Limits``
    words: str  # in messages
    type: str  # of the error: "requests" or "tokens"
    span: int  # seconds
    width: float  # seconds of a slot


REQUESTS = Metric("requests", "requests_per_minute", "requests per min (RPM)", "requests", MINUTE, 0.5)
TOKENS = Metric("tokens", "tokens_per_minute", "tokens per min (TPM)", "tokens", MINUTE, 0.5)
DAILY_TOKENS = Metric("tokens_of_day", "tokens_per_day", "tokens per day (TPD)", "tokens", DAY, 15 * MINUTE)
METRICS = (REQUESTS, TOKENS, DAILY_TOKENS)


class Window:
    """One metric of one subject at one moment.

    :param slots: as they were stored; what has left the span is dropped.
    :param moment: now, in unix seconds.
    """

    def __init__(self, metric: Metric, slots: Slots, moment: float) -> None:
        self.metric = metric
        self.moment = moment
        now = self._slot_of(moment)
        self._amounts: dict[int, int] = {}
        for slot, amount in slots:
            if self._leaves_at(slot) > moment:
                self._put(min(slot, now), amount)  # a clock that was set back must not keep it for longer

    @property
    def used(self) -> int:
        return sum(self._amounts.values())

    @property
    def slots(self) -> Slots:
        return [[slot, amount] for slot, amount in sorted(self._amounts.items()) if amount]

    @property
    def resets_in(self) -> float:
        """Seconds until nothing of it counts any more."""
        return self._leaves_at(max(self._amounts)) - self.moment if self._amounts else 0.0

    def add(self, amount: int) -> None:
        self._put(self._slot_of(self.moment), amount)

    def correct(self, at: float, reserved: int, used: int) -> None:
        """``reserved`` was added at ``at``: make it ``used``. Of what has left the span nothing comes back."""
        slot = self._slot_of(at)
        if slot in self._amounts:
            self._amounts[slot] = max(0, self._amounts[slot] + used - reserved)
        elif used > reserved:
            self.add(used - reserved)

    def fits_in(self, amount: int, limit: int) -> float:
        """Seconds until ``amount`` more fits under the limit, if nobody else takes it: 0 for now.

        It is at most the span, though the slot may take a little longer: SDKs that are told more than a minute do not
        wait for it at all.
        """
        excess = self.used + amount - limit
        if excess <= 0:
            return 0.0
        slots = self.slots
        for (slot, _), freed in zip(slots, accumulate(amount for _, amount in slots), strict=True):
            if freed >= excess:
                return min(self._leaves_at(slot) - self.moment, float(self.metric.span))
        return float(self.metric.span)

    def _put(self, slot: int, amount: int) -> None:
        self._amounts[slot] = self._amounts.get(slot, 0) + amount

    def _slot_of(self, moment: float) -> int:
        return int(moment // self.metric.width)

    def _leaves_at(self, slot: int) -> float:
        return (slot + 1) * self.metric.width + self.metric.span
