"""P8: from the start of the process to a healthy answer, and to the first token of a run."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from tests.support.processes import Stack, Upstream

REPETITIONS = 3
HEALTHY_GOAL, TOKEN_GOAL = 2.5, 5.0  # seconds


def measure(folder: Path) -> list[str]:
    """The lines of the report: ``manage.py up`` on a fresh database, then again on the one it made."""
    upstream = Upstream(folder)
    stack = Stack(folder / "stack", engine_url=upstream.url)
    try:
        first = _start(stack)
        again = [_start(stack) for _ in range(REPETITIONS)]
    finally:
        stack.destroy()
        upstream.process.destroy()
    healthy, token = (statistics.median(times) for times in zip(*again, strict=True))
    return [
        f"first start, with migrations: healthy after {first[0]:.2f} s, first token after {first[1]:.2f} s",
        f"started again: healthy after {healthy:.2f} s ({healthy / HEALTHY_GOAL:.2f} of the goal of {HEALTHY_GOAL} s),"
        f" first token after {token:.2f} s ({token / TOKEN_GOAL:.2f} of the goal of {TOKEN_GOAL} s)",
    ]


def _start(stack: Stack) -> tuple[float, float]:
    """Seconds from the start of the process to both, and its orderly end."""
    begun = time.perf_counter()
    process = stack.up()
    healthy = time.perf_counter() - begun
    client = stack.client
    [demo] = client.get("/v1/assistants")["data"]
    body = {
        "assistant_id": demo["id"],
        "stream": True,
        "thread": {"messages": [{"role": "user", "content": "[tokens=3]"}]},
    }
    for event in client.stream("POST", "/v1/threads/runs", body):
        if event.name == "thread.message.delta":
            break
    token = time.perf_counter() - begun
    process.terminate()
    return healthy, token
