"""How long to wait before an engine that failed is started again."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds."""

    adoption: float = 60.0  # that an engine lives on without a supervisor
    heartbeat: float = 2.0  # between two reports to the database
    poll: float = 0.25  # between two looks at the process
    loading_probe: float = 0.5  # between two questions to an engine that loads
    first_token: float = 120.0  # for the first token after loading
    stuck: float = 600.0  # of loading without a word in the log and without computing
    quiet: float = 3.0  # without a token in real traffic, a canary is sent
    canary: float = 4.0  # for the canary of an engine that idles …
    busy: float = 60.0  # … and of one whose processes compute all the while
    drain: float = 8.0  # that the answers of other processes' runs may go on after an orderly stop
    first_retry: float = 1.0  # doubled with every failure …
    last_retry: float = 60.0  # … up to this
    failures: int = 5  # so many …
    window: float = 600.0  # … within this time open the circuit, for as long


class Circuit:
    """Counts failures. Open means: no more tries for a whole window."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._failures: deque[float] = deque()

    def failed(self) -> tuple[float, bool]:
        """Note a failure: seconds until the next start, and whether the circuit is open."""
        instant = time.monotonic()
        self._failures.append(instant)
        while self._failures[0] < instant - self._timing.window:
            self._failures.popleft()
        if len(self._failures) >= self._timing.failures:
            self._failures.clear()
            return self._timing.window, True
        return min(self._timing.first_retry * 2 ** (len(self._failures) - 1), self._timing.last_retry), False
