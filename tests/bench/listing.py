"""P5: a page of a thread's messages, at any cursor, takes the same among a thousand rows and among ten million.

One server for every size, on a database of its own, and all are asked in turn: what else the machine does strikes all
sizes alike. Each database holds a thread of a thousand messages, from 10⁵ on one of 100,000 (R17), and threads like the
first for the rest.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench.closed_loop import Connection, Request, Server, percentile
from tests.bench.filling import LONG, fill
from tests.support.processes import Stack

SIZES = "BENCH_MESSAGES"  # the sizes of the tables, with commas between
DEFAULT_SIZES = "1000,100000,1000000"
ROUNDS = 40
GOAL = 1.25  # times the median among a thousand
SLOWEST = 0.05  # seconds: R17, 99 of 100 pages of a thread of 100,000


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread to list, in a table of so many rows."""

    rows: int
    length: int
    path: str
    marks: dict[str, str]  # ids of messages: near the end, in the middle, and one that was deleted in the middle
    server: Server

    @property
    def place(self) -> tuple[int, int]:
        return self.rows, self.length


#: seconds of every answer, by place and name of the page
Times = dict[tuple[tuple[int, int], str], list[float]]

#: by name: the query of a page, from the ids above
PAGES: dict[str, Callable[[dict[str, str]], str]] = {
    "newest": lambda marks: "",
    "oldest": lambda marks: "order=asc",
    "after middle": lambda marks: f"after={marks['middle']}",
    "after middle, asc": lambda marks: f"after={marks['middle']}&order=asc",
    "before middle": lambda marks: f"before={marks['middle']}",
    "before middle, asc": lambda marks: f"before={marks['middle']}&order=asc",
    "last page": lambda marks: f"after={marks['end']}",
    "between two": lambda marks: f"after={marks['middle']}&before={marks['end']}",
    "after a deleted one": lambda marks: f"after={marks['deleted']}",
    "of one run": lambda marks: f"run_id={marks['run']}",
    "100 newest": lambda marks: "limit=100",
}


def measure(folder: Path, **services: str) -> Iterator[str]:
    """The lines of the report.

    :param services: Postgres, as a ``Stack`` takes it; else SQLite.
    """
    sizes = [int(size) for size in os.environ.get(SIZES, DEFAULT_SIZES).split(",")]
    with ExitStack() as cleaning:
        threads: list[Thread] = []
        for rows in sizes:
            stack = Stack(folder / str(rows), engine_url="http://127.0.0.1:9/v1", **services)
            cleaning.callback(stack.destroy)
            threads += _prepared(stack, rows)
        times = asyncio.run(_ask(threads))
    yield from _table(threads, times)


def _prepared(stack: Stack, rows: int) -> Iterator[Thread]:
    stack.prepare()
    filled = fill(stack.database, rows)
    process = stack.serve()
    server = Server(stack.url, stack.api_key, process.pid)
    client = stack.client
    for length, thread in filled.threads.items():
        path = f"/v1/threads/{thread}/messages"
        at = "SELECT id, run_id FROM threads_message WHERE thread_id = ? AND position = ?"
        [(middle, run)] = stack.database.rows(at, thread, length // 2)
        [(deleted, _)] = stack.database.rows(at, thread, length // 2 - 50)
        [(end, _)] = stack.database.rows(at, thread, 15)
        client.request("DELETE", f"{path}/{deleted}")
        marks = {"middle": middle, "run": run, "deleted": deleted, "end": end}
        yield Thread(filled.rows, length, path, marks, server)


async def _ask(threads: list[Thread]) -> Times:
    times: Times = {}
    async with AsyncExitStack() as opened:
        connections = [(thread, await opened.enter_async_context(Connection(thread.server))) for thread in threads]
        for number in range(ROUNDS):
            for name, query in PAGES.items():
                turn = number % len(connections)
                for thread, connection in (*connections[turn:], *connections[:turn]):
                    page = Request("GET", f"{thread.path}?{query(thread.marks)}")
                    await connection.ask(page)  # a process that slept meanwhile is not what is measured
                    begun = time.perf_counter()
                    await connection.ask(page)
                    times.setdefault((thread.place, name), []).append(time.perf_counter() - begun)
    return times


def _table(threads: list[Thread], times: Times) -> Iterator[str]:
    """Medians among the fewest rows, and how many times that it is elsewhere."""
    smallest, *others = threads
    heads = [f"{thread.length:,} of {thread.rows:,}" for thread in others]
    yield f"{'page':<20} {smallest.length:,} of {smallest.rows:,}  " + "  ".join(heads)
    worst = 0.0
    for name in PAGES:
        base = percentile(times[smallest.place, name], 0.5)
        ratios = [percentile(times[thread.place, name], 0.5) / base for thread in others]
        worst = max([worst, *ratios])
        cells = [f"{ratio:.2f}".rjust(len(head)) for ratio, head in zip(ratios, heads, strict=True)]
        yield f"{name:<20} {base * 1000:>11.1f} ms  " + "  ".join(cells)
    yield f"worst ratio {worst:.2f}: {worst / GOAL:.2f} of what P5 allows ({GOAL})"
    for thread in threads:
        if thread.length == LONG:
            slowest = percentile([time for name in PAGES for time in times[thread.place, name]], 0.99)
            limit = f"{slowest / SLOWEST:.2f} of what R17 allows"
            yield f"99 % of the pages of {LONG:,} of {thread.rows:,} within {slowest * 1000:.0f} ms: {limit}"
