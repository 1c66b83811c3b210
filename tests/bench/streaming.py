"""P1b: tokens a second through a run with an engine that does not pace itself, and the first token of one that does."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.bench.client import Ask, Load, chat, load, through_a_run
from tests.support.processes import Stack, Upstream

REPETITIONS = 3
GOAL = 3_000  # tokens a second and worker
#: streams at once, and the tokens of each
SHAPES = ((1, 20_000), (16, 2_500))

PACED = 50  # tokens a second
FIRSTS = 10  # answers whose first token is waited for


def measure(folder: Path, *, embedded: bool = False, **services: str) -> Iterator[str]:
    """The lines of the report.

    :param embedded: API and worker are one process, else two.
    :param services: Postgres and Redis, as a ``Stack`` takes them.
    """
    upstream = Upstream(folder)
    stack = Stack(folder / "stack", engine_url=upstream.url, **services)
    try:
        stack.prepare()
        if embedded:
            stack.up()
        else:
            stack.serve()
            stack.worker()
        asks = {
            "raw": chat(upstream.url),
            "run": through_a_run(stack.url, stack.api_key, stack.client.assistant()),
        }
        for ask in asks.values():
            asyncio.run(load(ask, concurrency=1, count=100))  # imports and connections are not what is measured
        for concurrency, count in SHAPES:
            yield _rate(asks, concurrency, count)
        yield _first_token(asks)
    finally:
        stack.destroy()
        upstream.process.destroy()


def _interleaved(asks: dict[str, Ask], times: int, *, concurrency: int, count: int, rate: int) -> dict[str, list[Load]]:
    """Both in turn, so that what else the machine does strikes them alike."""
    seen: dict[str, list[Load]] = {name: [] for name in asks}
    for _ in range(times):
        for name, ask in asks.items():
            seen[name].append(asyncio.run(load(ask, concurrency=concurrency, count=count, rate=rate)))
    return seen


def _rate(asks: dict[str, Ask], concurrency: int, count: int) -> str:
    seen = _interleaved(asks, REPETITIONS, concurrency=concurrency, count=count, rate=0)
    rate = {name: statistics.median(one.rate for one in loads) for name, loads in seen.items()}
    grain = statistics.median(one.grain for one in seen["run"])
    runs = ", ".join(f"{one.rate:,.0f}" for one in seen["run"])
    return (
        f"c={concurrency:<2} {rate['run']:>7,.0f} tok/s ({runs}), {grain:.0f} tokens in one delta;"
        f" raw engine {rate['raw']:,.0f} tok/s: {rate['run'] / rate['raw']:.2f} of it,"
        f" {rate['run'] / GOAL:.1f} × the goal of {GOAL:,}"
    )


def _first_token(asks: dict[str, Ask]) -> str:
    seen = _interleaved(asks, FIRSTS, concurrency=1, count=PACED // 2, rate=PACED)
    first = {name: statistics.median(one.first for one in loads) * 1000 for name, loads in seen.items()}
    worst = max(one.first for one in seen["run"]) * 1000
    grain = statistics.median(one.grain for one in seen["run"])
    return (
        f"engine paced at {PACED} tok/s: first token after {first['run']:.0f} ms (median of {FIRSTS}, worst"
        f" {worst:.0f}), {first['run'] - first['raw']:+.0f} ms to the raw engine; {grain:.1f} tokens in one delta"
    )
