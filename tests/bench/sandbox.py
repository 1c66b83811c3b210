"""How long a call of the code interpreter waits for its sandbox: fresh ones, and those that are there."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import interpreter

FRESH, WARM = 30, 200  # calls
PAUSE = 1.0  # seconds between two threads that run code for the first time
GOAL = 150  # milliseconds of a fresh call, at the median
CODE = "print(2 + 3)"


def measure(folder: Path) -> Iterator[str]:
    """The lines of the report."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovereign.settings")
    os.environ["SOVEREIGN_DATA_DIR"], os.environ["SOVEREIGN_INTERPRETER"] = str(folder), interpreter()
    import django

    django.setup()
    from runs.sandbox import probing

    if reason := probing.missing():
        yield f"not measured: {reason}"
        return
    yield from asyncio.run(_measured())


async def _measured() -> list[str]:
    from runs.sandbox.probing import probe
    from runs.sandbox.sessions import Sandbox

    began = time.perf_counter()
    availability = await probe()
    probed = time.perf_counter() - began
    if not availability.usable:
        return [f"not measured: {availability.reason}"]
    alone = Sandbox(maximum=2, spare=False)
    started = [await _call(alone, "a", new=True) for _ in range(FRESH)]
    await alone.close()
    sandbox = Sandbox(maximum=2)
    fresh = [await _call(sandbox, "a", new=True, after=PAUSE) for _ in range(FRESH)]
    warm = [await _call(sandbox, "a", new=False) for _ in range(WARM)]
    began = time.perf_counter()
    async for _ in (await sandbox.session(key="a")).run("import numpy, pandas, matplotlib.pyplot", seconds=60):
        pass
    imported = time.perf_counter() - began
    await sandbox.close()
    met = "met" if statistics.median(fresh) * 1000 <= GOAL else "not met"
    return [
        f"a fresh call                    {_figures(fresh)}   goal {GOAL} ms at the median: {met}",
        f"one that nothing was ready for  {_figures(started)}",
        f"the next call of a thread       {_figures(warm)}",
        f"the probe {probed * 1000:.0f} ms; importing numpy, pandas and pyplot in a session {imported * 1000:.0f} ms",
    ]


async def _call(sandbox: object, key: str, *, new: bool, after: float = 0.0) -> float:
    """Seconds from asking for the session to the end of the code."""
    from runs.sandbox.sessions import Sandbox

    assert isinstance(sandbox, Sandbox)
    if new:
        await (await sandbox.session(key=key)).close()
        await asyncio.sleep(after)
    began = time.perf_counter()
    session = await sandbox.session(key=key)
    async for _ in session.run(CODE, seconds=10):
        pass
    assert session.fresh == new
    return time.perf_counter() - began


def _figures(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"p50 {statistics.median(ordered) * 1000:6.1f} ms  p95 {ordered[int(len(ordered) * 0.95)] * 1000:6.1f} ms"
