"""Conversations where a thousand are open: starting one, listing them, reading one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from tests.bench.closed_loop import Load, Next, Request, Server, load, percentile
from tests.support.processes import Stack

OPEN = 1_000
SECONDS = 5.0  # of each load
CONCURRENCIES = (1, 8)
STARTED_WITHIN = 0.1  # seconds, p95: issue 8
ROOT = "/api/v1/conversations"


def measure(folder: Path, **services: str) -> Iterator[str]:
    """The lines of the report.

    :param services: Postgres, as a ``Stack`` takes it; else SQLite.
    """
    stack = Stack(folder / "stack", engine_url="http://127.0.0.1:9/v1", **services)
    try:
        stack.prepare()
        server = Server(stack.url, stack.api_key, stack.serve().pid)
        new = {
            "assistant_id": stack.client.assistant(instructions="You are helpful."),
            "variables": {"plan": "pro", "seats": 3},
            "metadata": {"ticket": "7"},
        }
        opened = [stack.client.post(ROOT, new)["id"] for _ in range(OPEN)]
        operations: dict[str, Next] = {
            "start": lambda *_: Request("POST", ROOT, new),
            "read": lambda number, count: Request("GET", f"{ROOT}/{opened[(number * 7 + count) % OPEN]}"),
            "list the active": lambda *_: Request("GET", f"{ROOT}/active?limit=20"),
        }
        for concurrency in CONCURRENCIES:
            for name, following in operations.items():
                asyncio.run(load(server, following, concurrency=concurrency, seconds=0.2))
                found = asyncio.run(load(server, following, concurrency=concurrency, seconds=SECONDS))
                yield _line(f"c={concurrency} {name}", found, STARTED_WITHIN if name == "start" else None)
    finally:
        stack.destroy()


def _line(title: str, found: Load, allowed: float | None) -> str:
    late = percentile(found.times, 0.95)
    goal = "" if allowed is None else f"  ({late / allowed:.2f} of the {allowed * 1000:.0f} ms allowed)"
    return (
        f"{title:<20} {found.rate:>4.0f}/s, p50 {percentile(found.times, 0.5) * 1000:6.2f} ms,"
        f" p95 {late * 1000:6.2f} ms{goal}"
    )
