"""Five hundred open chats on one process, in twenty of which an answer is written.

Chats are people's: every socket came with a session, and its rights are looked at as they are in a browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.bench.closed_loop import percentile
from tests.support.client import TERMINAL
from tests.support.processes import ROOT, Stack, Upstream

OPEN = 500
STREAMING = 20
TOKENS = 300
RATE = 20  # tokens a second of each answer
SETTLING = 5.0  # seconds after which a new socket costs no more
LATE = 0.25  # seconds, p95 of a token's way from the engine to the chat
HELD = 40.0  # kB for an idle chat
AT_ONCE = 25  # sockets that are opened together
STAMP = re.compile(r"\d{6,}")


def measure(folder: Path, *, embedded: bool = False, **services: str) -> Iterator[str]:
    """The lines of the report.

    :param embedded: API and worker are one process, else two, of which the API has the chats.
    :param services: Postgres and Redis, as a ``Stack`` takes them.
    """
    upstream = Upstream(folder)
    stack = Stack(folder / "stack", engine_url=upstream.url, **services)
    try:
        stack.prepare()
        if embedded:
            server = stack.up()
        else:
            server = stack.serve()
            stack.worker()
        cookie = _session(stack)
        question = f"[tokens={TOKENS} rate={RATE} stamp=1]"
        threads = [stack.client.thread(question) for _ in range(OPEN)]
        yield from asyncio.run(_measured(stack, server.pid, cookie, threads))
    finally:
        stack.destroy()
        upstream.process.destroy()


async def _measured(stack: Stack, pid: int, cookie: str, threads: list[str]) -> list[str]:
    async with contextlib.AsyncExitStack() as kept:
        sockets = [await kept.enter_async_context(_chat(stack, cookie, threads[0]))]
        await asyncio.sleep(SETTLING)
        before = resident(pid)
        for start in range(1, OPEN, AT_ONCE):
            opened = (
                kept.enter_async_context(_chat(stack, cookie, thread)) for thread in threads[start : start + AT_ONCE]
            )
            sockets += [await one for one in asyncio.as_completed(list(opened))]
        await asyncio.sleep(SETTLING)
        held = (resident(pid) - before) / (OPEN - 1)
        idle = await _busy(pid)
        assistant = await asyncio.to_thread(stack.client.assistant)
        of = {
            socket.request.path.rpartition("/")[2]: socket for socket in sockets if socket.request
        }  # opened in any order
        begun = time.process_time()
        told = await asyncio.gather(*(_delays(stack, of[thread], thread, assistant) for thread in threads[:STREAMING]))
        cost = time.process_time() - begun
        delays = [delay for one in told for delay in one]
    return [
        f"{OPEN} open: {held:.0f} kB each ({held / HELD:.2f} of the {HELD:.0f} allowed), {100 * idle:.1f} % of a core",
        *_of_tokens(delays),
        f"this client took {cost / (TOKENS / RATE):.2f} of a core",
    ]


def _of_tokens(delays: list[float]) -> Iterator[str]:
    yield f"{STREAMING} answers of {RATE} tokens/s: {len(delays):,} of {STREAMING * TOKENS:,} tokens came"
    middle, late, last = (percentile(delays, share) * 1000 for share in (0.5, 0.95, 1.0))
    goal = f"{late / 1000 / LATE:.2f} of the {LATE * 1000:.0f} ms allowed"
    yield f"a token is late by p50 {middle:.0f} ms, p95 {late:.0f} ms ({goal}), at most {last:.0f} ms"


@contextlib.asynccontextmanager
async def _chat(stack: Stack, cookie: str, thread: str) -> AsyncIterator[ClientConnection]:
    """As a page has it, which wants to know of other tabs."""
    headers = {"Cookie": cookie, "Origin": stack.url}
    address = f"{stack.websocket_url}/ws/threads/{thread}"
    async with connect(address, additional_headers=headers, compression=None) as socket:
        await socket.send(json.dumps({"watch": True}))
        yield socket


async def _delays(stack: Stack, socket: ClientConnection, thread: str, assistant: str) -> list[float]:
    """Seconds that each token of an answer took from the engine to the chat."""
    run = await asyncio.to_thread(stack.client.run, thread, assistant)
    await socket.send(json.dumps({"subscribe": run, "after": 0}))
    delays: list[float] = []
    async for text in socket:
        now, frame = time.monotonic(), json.loads(text)
        event = frame.get("event", "")
        if event == "thread.message.delta":
            said = "".join(part["text"]["value"] for part in frame["data"]["delta"]["content"])
            delays += [now - int(stamp) / 1_000_000 for stamp in STAMP.findall(said)]
        if event.removeprefix("thread.run.") in TERMINAL:
            return delays
    raise RuntimeError("the socket was closed before the answer's end")


def resident(pid: int) -> float:
    """kB of memory that the process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


async def _busy(pid: int) -> float:
    """The share of a core that the process takes while nothing happens."""

    def ticks() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    await asyncio.sleep(SETTLING)
    return (ticks() - before) / os.sysconf("SC_CLK_TCK") / SETTLING


def _session(stack: Stack) -> str:
    """The cookie of somebody who is logged in."""
    command = [sys.executable, "-m", "tests.bench.chats"]
    done = subprocess.run(command, cwd=ROOT, env=stack.environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return f"{found['name']}={found['key']}"


def begin() -> dict[str, str]:
    """In the process with the database."""
    from django.conf import settings
    from django.test import Client

    from sovereign.accounts.models import Membership

    client = Client()
    client.force_login(Membership.objects.order_by("pk")[0].user)
    return {"name": settings.SESSION_COOKIE_NAME, "key": client.cookies[settings.SESSION_COOKIE_NAME].value}


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovereign.settings")
    django.setup()
    print(json.dumps(begin()))
