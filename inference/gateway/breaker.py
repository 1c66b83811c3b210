"""A circuit breaker for each engine, of this process alone: who failed again and again is left alone for a while.

The registry says whether an engine works at all; this notices what fails between two probes.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from inference import metrics

FAILURES = 5  # within …
WINDOW = 30.0  # seconds: then it is left alone for …
PAUSE = 10.0  # seconds, doubled after every trial that fails too …
LONGEST_PAUSE = 120.0  # … up to this
REMEMBERED = 1_000  # engines


@dataclass(slots=True)
class Circuit:
    """One engine's: closed, open until some moment, or on trial with one call."""

    failures: deque[float] = field(default_factory=lambda: deque(maxlen=FAILURES))
    open_until: float | None = None
    pause: float = PAUSE
    trial_until: float = 0.0  # while one call tries it; a call that nobody ends tries it no longer than a pause

    def lets_through(self, moment: float) -> bool:
        if self.open_until is None:
            return True
        return moment >= self.open_until and moment >= self.trial_until

    def begin(self, moment: float) -> bool:
        """Whether a call may be sent; where the circuit is open, it is the trial."""
        if not self.lets_through(moment):
            return False
        if self.open_until is not None:
            self.trial_until = moment + self.pause
        return True

    def fail(self, moment: float) -> bool:
        """Whether that opened the circuit, or kept it open."""
        if self.open_until is not None:
            if moment < self.open_until:
                return False  # a call from before it was opened
            self.pause = min(2 * self.pause, LONGEST_PAUSE)
        else:
            self.failures.append(moment)
            if len(self.failures) < FAILURES or moment - self.failures[0] > WINDOW:
                return False
        self.open_until, self.trial_until = moment + self.pause, 0.0
        self.failures.clear()
        return True


_circuits: dict[str, Circuit] = {}


def lets_through(engine_id: str) -> bool:
    """Whether the engine may be asked now."""
    circuit = _circuits.get(engine_id)
    return circuit is None or circuit.lets_through(time.monotonic())


def begin(engine_id: str) -> bool:
    """Whether a call may be sent to it now: where the circuit was open, it is the one trial."""
    circuit = _circuits.get(engine_id)
    return circuit is None or circuit.begin(time.monotonic())


def succeed(engine_id: str) -> None:
    """It answered."""
    circuit = _circuits.get(engine_id)
    if circuit is None:
        return
    if circuit.open_until is not None:
        metrics.CIRCUITS.labels(engine_id).set(0)
    del _circuits[engine_id]


def fail(engine_id: str) -> bool:
    """It failed; whether it is left alone from now on."""
    if engine_id not in _circuits and len(_circuits) >= REMEMBERED:
        _circuits.clear()
    opened = _circuits.setdefault(engine_id, Circuit()).fail(time.monotonic())
    if opened:
        metrics.CIRCUITS.labels(engine_id).set(1)
    return opened


def reset() -> None:
    """Forget everything."""
    for engine_id in _circuits:
        metrics.CIRCUITS.labels(engine_id).set(0)
    _circuits.clear()
