"""Spans of time, and the periods of which roll-ups are kept. All of it is UTC; a week begins on Monday."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import models


class Period(models.TextChoices):
    """What one roll-up is about, from the shortest to the longest."""

    MOMENT = "moment", "Five minutes"
    HOUR = "hour", "Hour"
    DAY = "day", "Day"
    WEEK = "week", "Week"
    MONTH = "month", "Month"


FIXED = {
    Period.MOMENT: timedelta(minutes=5),
    Period.HOUR: timedelta(hours=1),
    Period.DAY: timedelta(days=1),
    Period.WEEK: timedelta(weeks=1),
}
#: How long the short ones are there to be read; longer ones stay for ever.
KEPT = {Period.MOMENT: timedelta(days=2), Period.HOUR: timedelta(days=100)}
#: of which a span is made up, the longest first; weeks overlap months, so that it is one or the other
PARTS = (
    (Period.MONTH, Period.DAY, Period.HOUR, Period.MOMENT),
    (Period.WEEK, Period.DAY, Period.HOUR, Period.MOMENT),
)
MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """From ``start`` until just before ``end``, both at the border of five minutes."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def before(self) -> Window:
        """As long a one, just before it."""
        return Window(self.start - self.length, self.start)


def floor(moment: datetime, period: Period) -> datetime:
    """When the period began that a moment is in.

    >>> floor(datetime(2026, 11, 22, 13, 37, tzinfo=UTC), Period.WEEK).isoformat()
    '2026-11-16T00:00:00+00:00'
    """
    moment = moment.astimezone(UTC)
    if period == Period.MONTH:
        return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return MONDAY + (moment - MONDAY) // FIXED[period] * FIXED[period]


def oldest_kept(period: Period, now: datetime) -> datetime:
    """When the first one of a kind begins that is still there: whole days are, so that no reading misses a part."""
    return floor(now - KEPT[period], Period.DAY) if period in KEPT else LONG_AGO


def following(start: datetime, period: Period) -> datetime:
    """When the next one begins.

    >>> following(datetime(2026, 12, 1, tzinfo=UTC), Period.MONTH).isoformat()
    '2027-01-01T00:00:00+00:00'
    """
    if period == Period.MONTH:
        return floor(start.replace(day=28) + timedelta(days=4), Period.MONTH)
    return start + FIXED[period]


def steps(window: Window, period: Period) -> Iterator[datetime]:
    """The beginnings of all periods that a window touches."""
    start = floor(window.start, period)
    while start < window.end:
        yield start
        start = following(start, period)


def cover(window: Window) -> dict[Period, list[datetime]]:
    """The fewest periods that make up the window: months or weeks in its middle, shorter ones at its edges.

    >>> cover(Window(datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 3, 1, 1, tzinfo=UTC)))[Period.HOUR]
    [datetime.datetime(2026, 3, 1, 0, 0, tzinfo=datetime.timezone.utc)]
    """
    return min((_cover(window, parts) for parts in PARTS), key=lambda found: sum(map(len, found.values())))


def _cover(window: Window, parts: tuple[Period, ...]) -> dict[Period, list[datetime]]:
    found: dict[Period, list[datetime]] = {}
    start = window.start
    while start < window.end:
        period = next(one for one in parts if floor(start, one) == start and following(start, one) <= window.end)
        found.setdefault(period, []).append(start)
        start = following(start, period)
    return found


def readable(window: Window, now: datetime) -> Window:
    """The least window around one that is made of periods which are still kept.

    >>> days = readable(Window(datetime(2026, 1, 1, 7, 20, tzinfo=UTC), datetime(2026, 11, 1, 7, 20, tzinfo=UTC)),
    ...                 now=datetime(2026, 11, 2, tzinfo=UTC))
    >>> days.start.isoformat(), days.end.isoformat()
    ('2026-01-01T00:00:00+00:00', '2026-11-01T07:20:00+00:00')
    """
    start, end = (floor(edge, _finest(now - edge)) for edge in (window.start, window.end))
    return Window(start, end if end == window.end else following(end, _finest(now - window.end)))


def _finest(age: timedelta) -> Period:
    """The shortest period of which roll-ups of an age are there."""
    return next((period for period, kept in KEPT.items() if age <= kept), Period.DAY)
