"""P3: how many assistants, threads and messages are made, read and listed in a second, with keys and audit on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.closed_loop import Load, Next, Request, Server, load, merged
from tests.support.processes import Stack

REPETITIONS = 3
SECONDS = 1.0  # of each repetition
CONCURRENCIES = (1, 16)
LISTED = 20  # objects of a page
SEEDED = 100  # messages of the thread that is listed
TEXT = "y" * 200
ASSISTANT = {"model": "fake", "name": "bench", "instructions": "You are helpful."}

#: requests a second at c=16: 1.3 times the best (2 times, for lists) that was measured of open-assistant-api, which has
#: neither keys nor an audit log, on two cores shared with the client
CREATES, GETS, LISTS = 202, 295, 194
GOALS = {"create": CREATES, "get": GETS, "list": LISTS}


def measure(folder: Path, **services: str) -> Iterator[str]:
    """The lines of the report.

    :param services: Postgres and Redis, as a ``Stack`` takes them; else SQLite.
    """
    stack = Stack(folder / "stack", engine_url="http://127.0.0.1:9/v1", **services)
    try:
        stack.prepare()
        process = stack.serve()
        server = Server(stack.url, stack.api_key, process.pid)
        operations = _operations(stack)
        for following in operations.values():  # imports and connections are not what is measured
            asyncio.run(load(server, following, concurrency=max(CONCURRENCIES), seconds=0.1))
        for concurrency in CONCURRENCIES:
            seen: dict[str, list[Load]] = {name: [] for name in operations}
            for _ in range(REPETITIONS):
                for name, following in operations.items():
                    one = load(server, following, concurrency=concurrency, seconds=SECONDS)
                    seen[name].append(asyncio.run(one))
            for name, loads in seen.items():
                yield _line(name, concurrency, loads)
    finally:
        stack.destroy()


def _operations(stack: Stack) -> dict[str, Next]:
    """What is asked, by name; every client writes in a thread of its own."""
    client = stack.client
    assistant = client.assistant(instructions="You are helpful.")
    for _ in range(LISTED):
        client.post("/v1/assistants", ASSISTANT)
    threads = [client.thread() for _ in range(max(CONCURRENCIES))]
    listed = client.thread()
    messages = [client.post(f"/v1/threads/{listed}/messages", _text(number))["id"] for number in range(SEEDED)]
    return {
        "create assistant": lambda _, count: Request("POST", "/v1/assistants", ASSISTANT),
        "create thread": lambda _, count: Request("POST", "/v1/threads", {}),
        "create message": lambda number, count: Request(
            "POST", f"/v1/threads/{threads[number]}/messages", _text(count)
        ),
        "get assistant": lambda _, count: Request("GET", f"/v1/assistants/{assistant}"),
        "get thread": lambda number, count: Request("GET", f"/v1/threads/{threads[number]}"),
        "get message": lambda _, count: Request("GET", f"/v1/threads/{listed}/messages/{messages[count % SEEDED]}"),
        "list assistants": lambda _, count: Request("GET", f"/v1/assistants?limit={LISTED}"),
        "list messages": lambda _, count: Request("GET", f"/v1/threads/{listed}/messages?limit={LISTED}"),
    }


def _text(number: int) -> dict[str, Any]:
    return {"role": "user", "content": f"message {number} {TEXT}"}


def _line(name: str, concurrency: int, loads: list[Load]) -> str:
    load = merged(loads)
    rates = ", ".join(f"{one.rate:.0f}" for one in loads)
    line = (
        f"c={concurrency:<2} {name:<16} {load.rate:>4.0f}/s ({rates}), p50 {load.percentile(0.5) * 1000:.1f} ms,"
        f" p99 {load.percentile(0.99) * 1000:.0f} ms, {load.cpu * 1000:.2f} ms of the server's CPU each"
    )
    goal = GOALS[name.split()[0]]
    return line if concurrency == 1 else f"{line}; {load.rate / goal:.2f} × the goal of {goal}"
