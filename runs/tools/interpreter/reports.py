"""Whether some worker can run code: each says so of itself in a row, and every process reads them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from runs.models import InterpreterReport
from runs.sandbox import probing
from sovereign.core.database import now

FORGOTTEN = timedelta(seconds=30)  # a worker that says nothing for so long is not there
VALID = 1.0  # seconds that an answer is remembered by a process
UNSAID = "No worker that could run code has reported yet."


@dataclass(frozen=True, slots=True)
class Reported:
    """:ivar usable: how many workers can run code. :ivar reason: why none can, in a sentence; else "" ."""

    workers: int
    usable: int
    reason: str


_remembered: tuple[float, Reported] | None = None


def reported() -> Reported:
    """What the workers say of themselves, at most a second ago."""
    global _remembered
    if _remembered is None or time.monotonic() - _remembered[0] >= VALID:
        _remembered = time.monotonic(), _read()
    return _remembered[1]


def why_unusable() -> str:
    """Why no worker can run code now, in a sentence; "" where one can."""
    return reported().reason


def why_refused() -> str:
    """Why no run may have the tool, in a sentence; "" where one may.

    Where no worker says anything one is perhaps just starting: the run waits for it, as every other run does.
    """
    found = reported()
    if found.workers:
        return found.reason
    return probing.OFF if settings.SOVEREIGN.interpreter_dir is None else ""


def _read() -> Reported:
    fresh = list(InterpreterReport.objects.filter(heartbeat_at__gt=now() - FORGOTTEN).order_by("-heartbeat_at"))
    usable = sum(report.usable for report in fresh)
    reason = "" if usable else next((report.reason for report in fresh), UNSAID)
    return Reported(len(fresh), usable, reason)
