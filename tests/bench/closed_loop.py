"""So many clients at once, each asking again as soon as it was answered, on connections that are kept.

Bare sockets, because client and server share the machine: what the client costs is taken from the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench.client import Wrong

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
TICKS = os.sysconf("SC_CLK_TCK")  # of a CPU's clock, a second


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: Any = None


#: a client's number, and how often it has asked before → what it asks
Next = Callable[[int, int], Request]


@dataclass(frozen=True, slots=True)
class Server:
    """Where requests go, and whose CPU is counted: that of its one process."""

    url: str
    key: str
    pid: int

    def cpu(self) -> float:
        """Seconds of CPU that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@dataclass(frozen=True, slots=True)
class Load:
    """What a second of asking gave: answers, the seconds each took, and the server's CPU seconds for one."""

    rate: float
    times: tuple[float, ...]
    cpu: float

    def percentile(self, share: float) -> float:
        return percentile(self.times, share)


def percentile(times: tuple[float, ...] | list[float], share: float) -> float:
    """Seconds in which ``share`` of the answers came."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def merged(loads: list[Load]) -> Load:
    """Medians of the rates and costs, and all the times."""
    times = tuple(time for load in loads for time in load.times)
    return Load(statistics.median(load.rate for load in loads), times, statistics.median(load.cpu for load in loads))


class Connection:
    """One kept connection; asks one thing after the other."""

    def __init__(self, server: Server) -> None:
        self._address = urlsplit(server.url)
        self._head = (
            f"Host: {self._address.netloc}\r\nAuthorization: Bearer {server.key}\r\n"
            "OpenAI-Beta: assistants=v2\r\nContent-Type: application/json\r\n"
        )

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def ask(self, request: Request) -> bytes:
        """The body of the answer.

        :raises Wrong: it was no object of the contract.
        """
        body = b"" if request.body is None else json.dumps(request.body).encode()
        head = f"{request.method} {request.path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(answer)
        content = await self._reader.readexactly(int(length[1])) if length else b""
        if not answer.startswith(b"HTTP/1.1 200") or b'"object":' not in content:
            raise Wrong(f"{request}: {answer.decode()}{content.decode()}")
        return content


async def load(server: Server, following: Next, *, concurrency: int, seconds: float) -> Load:
    """Ask for so many seconds.

    :raises Wrong: an answer was not what was asked for.
    """
    times: list[float] = []

    async def client(number: int) -> None:
        async with Connection(server) as connection:
            count = 0
            while (begun := time.perf_counter()) < end:
                await connection.ask(following(number, count))
                times.append(time.perf_counter() - begun)
                count += 1

    used, begun = server.cpu(), time.perf_counter()
    end = begun + seconds
    await asyncio.gather(*(client(number) for number in range(concurrency)))
    elapsed = time.perf_counter() - begun
    return Load(len(times) / elapsed, tuple(times), (server.cpu() - used) / len(times))
