"""Times as people read them: in the zone that is active, which on our pages is their own.

A browser tells its zone by a cookie (``static/web/timezone.js``); ``sovereign.core.middleware.TimeZoneMiddleware``
makes it the active one. Where none is told, and for whatever is no page, it is UTC.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.utils import timezone

COOKIE = "timezone"
UTC_NAME = "UTC"


def shown(at: datetime, seconds: bool = False) -> str:
    """For tables and lines that say elsewhere, or need not say, whose time it is.

    >>> from datetime import UTC
    >>> with timezone.override(zone_named("Europe/Berlin")):
    ...     shown(datetime(2026, 11, 22, 23, 5, 9, tzinfo=UTC), seconds=True)
    '2026-11-23 00:05:09'
    """
    return f"{timezone.localtime(at):{'%Y-%m-%d %H:%M:%S' if seconds else '%Y-%m-%d %H:%M'}}"


def told(at: datetime) -> str:
    """For sentences: with the zone.

    >>> from datetime import UTC
    >>> told(datetime(2026, 11, 22, 23, 5, tzinfo=UTC))
    '2026-11-22 23:05 UTC'
    """
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M %Z}"


def clock(at: datetime, zone: bool = True) -> str:
    """As :func:`told`, of what is near enough to need no day; without the zone for lines that need not say it.

    >>> from datetime import UTC
    >>> with timezone.override(zone_named("Asia/Kolkata")):
    ...     clock(datetime(2026, 11, 22, 23, 5, tzinfo=UTC))
    '04:35 IST'
    """
    return f"{timezone.localtime(at):{'%H:%M %Z' if zone else '%H:%M'}}"


def is_same_day(one: datetime, other: datetime) -> bool:
    """Whether two moments are of one day for who reads them."""
    return timezone.localtime(one).date() == timezone.localtime(other).date()


def zone_name() -> str:
    """What the active zone is called: ``Europe/Berlin``."""
    return timezone.get_current_timezone_name()


def zone_named(name: Any) -> ZoneInfo | None:
    """``None`` for what no time zone is called. Names come from clients: only known ones are looked for in files."""
    return ZoneInfo(name) if isinstance(name, str) and name in _zones() else None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() | {UTC_NAME})
