"""The client of the benchmarks: many streams in one loop, every token checked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from tests.support.client import tokens


class Wrong(AssertionError):
    """A stream was not what the engine said."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One streamed answer. Times are seconds; ``first`` counts from the request."""

    text: str
    deltas: int
    first: float


Ask = Callable[[aiohttp.ClientSession, str], Awaitable[Answer]]


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[bytes, bytes]]:
    """Name and data of every event; the name is empty where there is none."""
    rest = b""
    async for chunk in response.content.iter_any():
        *frames, rest = (rest + chunk).split(b"\n\n")
        for frame in frames:
            name = data = b""
            for line in frame.split(b"\n"):
                if line.startswith(b"data: "):
                    data = line[6:]
                elif line.startswith(b"event: "):
                    name = line[7:]
            yield name, data


def through_a_run(url: str, key: str, assistant: str) -> Ask:
    """Thread and run in one request, streamed."""
    headers = {"Authorization": f"Bearer {key}", "OpenAI-Beta": "assistants=v2"}

    async def ask(session: aiohttp.ClientSession, script: str) -> Answer:
        thread = {"messages": [{"role": "user", "content": script}]}
        body = {"assistant_id": assistant, "stream": True, "thread": thread}
        begun, first, pieces = time.perf_counter(), 0.0, []
        async with session.post(f"{url}/v1/threads/runs", json=body, headers=headers) as response:
            if response.status != 200:
                raise Wrong(await response.text())
            async for name, data in events(response):
                if name == b"thread.message.delta":
                    first = first or time.perf_counter() - begun
                    pieces += [part["text"]["value"] for part in json.loads(data)["delta"]["content"]]
                elif name == b"thread.run.failed":
                    raise Wrong(data.decode())
        return Answer("".join(pieces), len(pieces), first)

    return ask


def chat(url: str, *, key: str = "", model: str = "fake") -> Ask:
    """The same answer from chat completions: the engine's own, or ours."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def ask(session: aiohttp.ClientSession, script: str) -> Answer:
        body = {"model": model, "messages": [{"role": "user", "content": script}], "stream": True}
        begun, first, pieces = time.perf_counter(), 0.0, []
        async with session.post(f"{url}/chat/completions", json=body, headers=headers) as response:
            if response.status != 200:
                raise Wrong(await response.text())
            async for _, data in events(response):
                if data == b"[DONE]":
                    break
                chunk = json.loads(data)
                if "error" in chunk:
                    raise Wrong(data.decode())
                if chunk["choices"] and (text := chunk["choices"][0]["delta"].get("content")):
                    first = first or time.perf_counter() - begun
                    pieces.append(text)
        return Answer("".join(pieces), len(pieces), first)

    return ask


@dataclass(frozen=True, slots=True)
class Load:
    """What answers at once gave: tokens a second, tokens in one delta, and the median seconds to the first token."""

    rate: float
    grain: float
    first: float


async def load(ask: Ask, *, concurrency: int, count: int, rate: int = 0) -> Load:
    """Ask for ``count`` tokens (``rate`` a second, 0: unpaced) in so many streams at once.

    :raises Wrong: a token was lost, came twice or in another order.
    """
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        begun = time.perf_counter()
        answers = await asyncio.gather(*(ask(session, f"[tokens={count} rate={rate}]") for _ in range(concurrency)))
        elapsed = time.perf_counter() - begun
    expected = tokens(count)
    for answer in answers:
        if answer.text != expected:
            raise Wrong(f"{len(answer.text)} characters instead of {len(expected)}, or in another order")
    return Load(
        rate=concurrency * count / elapsed,
        grain=concurrency * count / sum(answer.deltas for answer in answers),
        first=sorted(answer.first for answer in answers)[concurrency // 2],
    )
