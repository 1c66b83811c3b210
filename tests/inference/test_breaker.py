"""Circuits: whose failures open them, which call tries again, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from inference.gateway import breaker
from inference.gateway.breaker import FAILURES, PAUSE, Try

KEY = ("eng_1", "tiny")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [1_000.0]
    monkeypatch.setattr(breaker.time, "monotonic", lambda: now[0])
    breaker.reset()
    yield now
    breaker.reset()


def begun(key: tuple[str, str] = KEY) -> Try:
    attempt = breaker.begin(*key)
    assert attempt is not None
    return attempt


def fail(*whose: str | None, key: tuple[str, str] = KEY) -> bool:
    """Whether the last of these failures opened the circuit."""
    return [begun(key).fail(one) for one in whose][-1]


def gauge() -> float | None:
    return REGISTRY.get_sample_value("sovereign_engine_circuit_open", {"engine": "eng_1"})


@pytest.fixture
def opened(clock: list[float]) -> list[float]:
    """The clock, once the circuit is open and its pause over."""
    assert fail(*[None] * FAILURES)
    clock[0] += PAUSE
    return clock


def test_one_project_alone_opens_nothing(clock: list[float]) -> None:
    assert not fail(*["proj_1"] * 20)
    assert breaker.lets_through(*KEY)
    assert fail("proj_2"), "now it is not the project's own doing"


def test_connections_open_it(clock: list[float]) -> None:
    assert not fail(*["proj_1"] * (FAILURES - 1))
    assert fail(None)
    assert breaker.begin(*KEY) is None


def test_another_model_of_the_engine_is_not_concerned(clock: list[float]) -> None:
    assert fail(*[None] * FAILURES)
    assert breaker.lets_through("eng_1", "other")


def test_old_failures_do_not_count(clock: list[float]) -> None:
    fail(*[None] * (FAILURES - 1))
    clock[0] += breaker.WINDOW + 1
    assert not fail(None)


def test_a_trial_that_never_reached_the_engine_leaves_it_to_the_next(opened: list[float]) -> None:
    trial = begun()
    assert breaker.begin(*KEY) is None
    trial.release()
    begun().succeed()
    assert breaker.lets_through(*KEY)
    assert gauge() is None


def test_only_the_trial_judges(clock: list[float]) -> None:
    late, early = begun(), begun()
    fail(*[None] * FAILURES)
    clock[0] += PAUSE
    late.succeed()
    assert not early.fail(None)
    trial = begun()
    assert breaker.begin(*KEY) is None
    trial.succeed()
    begun()


def test_the_pause_is_doubled_by_failed_trials_alone(clock: list[float]) -> None:
    late = [begun() for _ in range(3)]
    fail(*[None] * FAILURES)
    clock[0] += PAUSE
    assert not any(one.fail(None) for one in late)
    trial = begun()
    assert trial.fail(None)
    assert not trial.fail(None), "once"
    clock[0] += 2 * PAUSE
    begun()


def test_an_answer_that_begins_ends_the_trial_and_may_fail_yet(opened: list[float]) -> None:
    trial = begun()
    trial.begin_answer()
    assert not trial.fail(None)
    others = [begun() for _ in range(FAILURES - 1)]
    for other in others:
        other.begin_answer()
    assert [other.fail(None) for other in others] == [False, False, False, True]


def test_no_project_alone_keeps_it_open(opened: list[float]) -> None:
    assert begun().fail("proj_1")
    opened[0] += 2 * PAUSE
    assert not begun().fail("proj_1")
    begun().succeed()
    assert breaker.lets_through(*KEY)


def test_a_trial_that_nobody_ends_is_replaced(opened: list[float]) -> None:
    forgotten = begun()
    opened[0] += PAUSE
    trial = begun()
    forgotten.succeed()
    assert breaker.begin(*KEY) is None
    trial.succeed()
    assert breaker.lets_through(*KEY)


def test_the_oldest_are_forgotten(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "REMEMBERED", 2)
    for engine in ("eng_1", "eng_2", "eng_3"):
        fail(*[None] * FAILURES, key=(engine, "tiny"))
    assert [breaker.lets_through(engine, "tiny") for engine in ("eng_1", "eng_2", "eng_3")] == [True, False, False]
    assert gauge() is None


def test_the_gauge_is_one_until_the_last_circuit_closes(clock: list[float]) -> None:
    keys = [KEY, ("eng_1", "other")]
    for key in keys:
        fail(*[None] * FAILURES, key=key)
    assert gauge() == 1
    clock[0] += PAUSE
    begun(keys[0]).succeed()
    assert gauge() == 1
    begun(keys[1]).succeed()
    assert gauge() is None
