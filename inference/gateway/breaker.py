"""A circuit breaker for each model of an engine, of this process alone: what failed again and again is left alone.

The registry says whether an engine works at all; this notices what fails between two probes. What one project alone
sees fail may be its own doing: its failures open a circuit only together with those of others, or of connections.
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
REMEMBERED = 1_000  # circuits

Key = tuple[str, str]  # an engine's id, and a model there
Whose = str | None  # the project whose call failed; ``None``: whoever had called would have seen it fail


@dataclass(slots=True)
class Circuit:
    """Closed, open until some moment, or on trial with one call."""

    failures: deque[tuple[float, Whose]] = field(default_factory=lambda: deque(maxlen=FAILURES))
    open_until: float | None = None
    pause: float = PAUSE
    trial: Try | None = None
    trial_until: float = 0.0  # a call that nobody ends tries it no longer than a pause
    accuser: Whose = None  # whose trial failed last

    def lets_through(self, moment: float) -> bool:
        if self.open_until is None:
            return True
        return moment >= self.open_until and (self.trial is None or moment >= self.trial_until)

    def is_judged_by(self, attempt: Try) -> bool:
        """Once it is open, what was sent before says nothing new."""
        return self.open_until is None or self.trial is attempt

    def fail(self, moment: float, whose: Whose) -> bool:
        """Whether that opened the circuit, or kept it open."""
        if self.open_until is None:
            self.failures.append((moment, whose))
            if not self._is_enough(moment):
                return False
        else:
            self.trial = None
            if whose is not None and whose == self.accuser:
                return False  # no project alone keeps it open: the next one may try
            self.accuser, self.pause = whose, min(2 * self.pause, LONGEST_PAUSE)
        self.open_until = moment + self.pause
        self.failures.clear()
        return True

    def _is_enough(self, moment: float) -> bool:
        if len(self.failures) < FAILURES or moment - self.failures[0][0] > WINDOW:
            return False
        accusers = {whose for _, whose in self.failures}
        return len(accusers) > 1 or None in accusers


class Try:
    """Leave to ask an engine for a model once. It ends with ``succeed``, ``fail`` or ``release``; what comes after the
    first of them says nothing any more."""

    __slots__ = ("_is_over", "_key")

    def __init__(self, key: Key) -> None:
        self._key = key
        self._is_over = False

    def begin_answer(self) -> None:
        """Its answer began: a trial has succeeded by that. What becomes of the answer counts as any other's."""
        circuit = _circuits.get(self._key)
        if circuit is not None and circuit.trial is self:
            _forget(self._key, circuit)

    def succeed(self) -> None:
        """It answered."""
        circuit = self._judged()
        if circuit is not None:
            _forget(self._key, circuit)

    def fail(self, whose: Whose) -> bool:
        """It failed; whether it is left alone from now on."""
        if not self._is_over and self._key not in _circuits:
            _remember(self._key)
        circuit = self._judged()
        if circuit is None or not circuit.fail(time.monotonic(), whose):
            return False
        metrics.CIRCUITS.labels(self._key[0]).set(1)
        return True

    def release(self) -> None:
        """It was not asked, or nothing can be said of it: another may try."""
        circuit = self._judged()
        if circuit is not None and circuit.trial is self:
            circuit.trial = None

    def _judged(self) -> Circuit | None:
        """The circuit, where there is one that this call judges; it does so once."""
        is_over, self._is_over = self._is_over, True
        circuit = _circuits.get(self._key)
        return circuit if circuit is not None and not is_over and circuit.is_judged_by(self) else None


_circuits: dict[Key, Circuit] = {}  # the oldest first


def lets_through(engine_id: str, model: str) -> bool:
    """Whether the engine may be asked for the model now."""
    circuit = _circuits.get((engine_id, model))
    return circuit is None or circuit.lets_through(time.monotonic())


def begin(engine_id: str, model: str) -> Try | None:
    """Leave to send a call: where the circuit was open, for the one trial. ``None``: it is to be left alone."""
    key = (engine_id, model)
    attempt, circuit, moment = Try(key), _circuits.get(key), time.monotonic()
    if circuit is None or circuit.open_until is None:
        return attempt
    if not circuit.lets_through(moment):
        return None
    circuit.trial, circuit.trial_until = attempt, moment + circuit.pause
    return attempt


def _remember(key: Key) -> None:
    if len(_circuits) >= REMEMBERED:
        oldest = next(iter(_circuits))
        _forget(oldest, _circuits[oldest])
    _circuits[key] = Circuit()


def _forget(key: Key, circuit: Circuit) -> None:
    del _circuits[key]
    if circuit.open_until is None:
        return
    if not any(engine_id == key[0] and other.open_until is not None for (engine_id, _), other in _circuits.items()):
        metrics.CIRCUITS.remove(key[0])


def reset() -> None:
    """Forget everything."""
    for key, circuit in list(_circuits.items()):
        _forget(key, circuit)
