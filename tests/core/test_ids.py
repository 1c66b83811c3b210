"""Identifiers: ordered, unique, and with their instant inside."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest

from sovereign.core import ids
from sovereign.core.fields import IdDefault
from sovereign.core.ids import instant_of, new_id


def test_ids_of_a_process_sort_in_the_order_they_were_made() -> None:
    made = [new_id("asst_") for _ in range(5_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_keep_their_order_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = new_id("asst_")
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert new_id("asst_") > before


def test_ids_of_many_threads_are_unique() -> None:
    made: list[str] = []

    def make() -> None:
        made.extend([new_id("msg_") for _ in range(500)])

    makers = [threading.Thread(target=make) for _ in range(8)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(set(made)) == 4_000


@pytest.mark.parametrize("prefix", ["asst_", "thread_", "file-", "vs_", ""])
def test_an_id_is_its_prefix_and_26_characters(prefix: str) -> None:
    identifier = new_id(prefix)
    assert identifier.startswith(prefix)
    body = identifier.removeprefix(prefix)
    assert len(body) == 26
    assert set(body) <= set(ids.ALPHABET)


def test_the_instant_is_inside() -> None:
    before = time.time_ns() // 1_000_000
    instant = instant_of(new_id("run_"))
    after = time.time_ns() // 1_000_000
    assert instant is not None
    assert instant.tzinfo is UTC
    assert before <= round(instant.timestamp() * 1000) <= after + 1


@pytest.mark.parametrize(
    "foreign", ["", "asst_abc", "asst_" + "U" * 26, "asst_" + "0" * 25 + "I", "thread_" + "z" * 26, "é" * 30]
)
def test_a_foreign_id_has_no_instant(foreign: str) -> None:
    assert instant_of(foreign) is None


def test_the_zero_instant_is_the_epoch() -> None:
    assert instant_of("asst_" + "0" * 26) == datetime(1970, 1, 1, tzinfo=UTC)


def test_defaults_of_migrations_are_equal_by_prefix() -> None:
    assert IdDefault("a_") == IdDefault("a_")
    assert IdDefault("a_") != IdDefault("b_")
    assert len({IdDefault("a_"), IdDefault("a_")}) == 1
    assert IdDefault("a_")().startswith("a_")
