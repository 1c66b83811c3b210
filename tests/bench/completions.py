"""P2, P4 and P9: chat completions through the gateway, with keys, limits and usage rows; and the processes' memory."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.bench import client
from tests.bench.closed_loop import Load, Request, Server, load, merged
from tests.support.processes import Process, Stack, Upstream

REPETITIONS = 3
SECONDS = 2.0  # of each repetition
CONCURRENCIES = (1, 16, 64)
ANSWER = 16  # tokens
STREAMED = (16, 2_500)  # streams at once, and the tokens of each
PACED = (64, 50, 250)  # streams at once, tokens a second of each, tokens of each

#: what was measured of LiteLLM on two cores shared with the client: requests a second by concurrency, milliseconds
#: added to the median at c=1, streamed tokens a second, MB
LITELLM_RATES = {1: 45, 16: 36, 64: 44}
LITELLM_ADDED, LITELLM_STREAMED, LITELLM_MEMORY = 19, 404, 419
RATE_GOAL, ADDED_GOAL, STREAMED_GOAL, MEMORY_GOAL = 2.5, 0.4, 15, 0.35  # times those
DELIVERED_GOAL = 0.8
API_GOAL, WORKER_GOAL = 130, 150  # MB


def measure(folder: Path, **services: str) -> Iterator[str]:
    """The lines of the report.

    :param services: Postgres and Redis, as a ``Stack`` takes them; else SQLite.
    """
    upstream = Upstream(folder)
    stack = Stack(folder / "stack", engine_url=upstream.url, **services)
    try:
        stack.prepare(limited=True)
        api, worker = stack.serve(), stack.worker()
        stack.await_engine()
        yield f"idle: API process {_megabytes(api):.0f} MB, worker {_megabytes(worker):.0f} MB" + (
            f" (goals {API_GOAL} and {WORKER_GOAL})"
        )
        ours, raw = (
            Server(stack.url, stack.api_key, api.pid),
            Server(upstream.url.removesuffix("/v1"), "", upstream.process.pid),
        )
        yield from _whole_answers(ours, raw)
        yield _streamed(stack, upstream)
        yield _paced(stack)
        weight = _megabytes(api)
        yield (
            f"afterwards: API process {weight:.0f} MB, worker {_megabytes(worker):.0f} MB;"
            f" {weight / (LITELLM_MEMORY * MEMORY_GOAL):.2f} of the goal of {LITELLM_MEMORY * MEMORY_GOAL:.0f} MB"
        )
    finally:
        stack.destroy()
        upstream.process.destroy()


def _whole_answers(ours: Server, raw: Server) -> Iterator[str]:
    body = {"model": "fake", "messages": [{"role": "user", "content": f"[tokens={ANSWER}]"}]}
    request = Request("POST", "/v1/chat/completions", body)
    asyncio.run(load(ours, lambda *_: request, concurrency=16, seconds=0.2))  # imports are not what is measured
    for concurrency in CONCURRENCIES:
        seen: dict[str, list[Load]] = {"ours": [], "raw": []}
        for _ in range(REPETITIONS):
            for name, server in (("ours", ours), ("raw", raw)):
                one = load(server, lambda *_: request, concurrency=concurrency, seconds=SECONDS)
                seen[name].append(asyncio.run(one))
        one, other = merged(seen["ours"]), merged(seen["raw"])
        added = (one.percentile(0.5) - other.percentile(0.5)) * 1000
        goal = LITELLM_RATES[concurrency] * RATE_GOAL
        yield (
            f"c={concurrency:<2} {one.rate:>4.0f} answers/s ({', '.join(f'{each.rate:.0f}' for each in seen['ours'])}),"
            f" p50 {one.percentile(0.5) * 1000:.1f} ms, p99 {one.percentile(0.99) * 1000:.0f} ms,"
            f" {one.cpu * 1000:.1f} ms of CPU each: {one.rate / goal:.2f} × the goal of {goal:.0f}/s;"
            f" {added:+.1f} ms to the engine's own p50"
            + (f", goal {LITELLM_ADDED * ADDED_GOAL:.1f}" if concurrency == 1 else "")
        )


def _streamed(stack: Stack, upstream: Upstream) -> str:
    concurrency, count = STREAMED
    asks = {"raw": client.chat(upstream.url), "ours": _through_us(stack)}
    rates: dict[str, list[float]] = {name: [] for name in asks}
    for _ in range(REPETITIONS):
        for name, ask in asks.items():
            rates[name].append(asyncio.run(client.load(ask, concurrency=concurrency, count=count)).rate)
    ours, raw = statistics.median(rates["ours"]), statistics.median(rates["raw"])
    goal = LITELLM_STREAMED * STREAMED_GOAL
    return (
        f"c={concurrency} streamed, unpaced: {ours:,.0f} tok/s ({', '.join(f'{rate:,.0f}' for rate in rates['ours'])});"
        f" engine itself {raw:,.0f}; {ours / goal:.2f} × the goal of {goal:,.0f}"
    )


def _paced(stack: Stack) -> str:
    """P4: what is delivered of what the engine paces out; ``client.load`` checks every token and its place."""
    streams, rate, count = PACED
    ask = _through_us(stack)
    loads = [asyncio.run(client.load(ask, concurrency=streams, count=count, rate=rate)) for _ in range(REPETITIONS)]
    delivered = statistics.median(one.rate for one in loads) / (streams * rate)
    first = statistics.median(one.first for one in loads) * 1000
    return (
        f"{streams} streams of {rate} tok/s: {delivered:.0%} delivered in order (goal {DELIVERED_GOAL:.0%}),"
        f" first token after {first:.0f} ms (median)"
    )


def _through_us(stack: Stack) -> client.Ask:
    return client.chat(f"{stack.url}/v1", key=stack.api_key)


def _megabytes(process: Process) -> float:
    """Resident memory of one process."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) / 1024
