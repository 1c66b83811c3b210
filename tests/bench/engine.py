"""P1: an Assistants run over SSE against the raw engine's chat completions: one vLLM with the starter model."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from inference.starter.evaluation.server import NAME, serving
from tests.bench.client import Wrong, events
from tests.support.processes import ROOT, Stack

REPETITIONS = 5
TOKENS = 256  # of every answer
QUESTION = "What is Sovereign?"  # one that the model answers with words from its first token on
CONCURRENCIES = (1, 4, 16)
RATE_GOALS = {1: 0.97, 4: 0.95, 16: 0.93}  # of the engine's own tokens a second
PADDING = 0  # the token that no answer holds
FIRST_GOAL = 40  # milliseconds that the first token may be later, at the median

#: seconds to the first token, tokens that the engine counted
Ask = Callable[[aiohttp.ClientSession], Awaitable[tuple[float, int]]]


def measure(folder: Path) -> Iterator[str]:
    """The lines of the report."""
    python = Path(os.environ.get("SOVEREIGN_ENGINE_PYTHON") or ROOT / "var" / "engine" / "bin" / "python")
    if not python.exists():
        yield "not measured: the engine is not installed (manage.py install_engine)"
        return
    with serving(str(python), _endless(folder / "model"), folder / "vllm.log") as engine_url:
        stack = Stack(folder / "stack", engine_url=engine_url)
        try:
            stack.prepare()
            stack.up()
            stack.await_engine()
            assistant = stack.client.assistant(model=NAME)
            asks = {"raw": _raw(engine_url), "run": _run(stack.url, stack.api_key, assistant)}
            for ask in asks.values():
                asyncio.run(_load(ask, 4))
            for concurrency in CONCURRENCIES:
                yield _line(asks, concurrency)
        finally:
            stack.destroy()


def _endless(folder: Path) -> Path:
    """The starter model, whose answers go on past their end: all are of one length."""
    shutil.copytree(ROOT / "inference" / "starter" / "weights", folder)
    for name, key, value in (
        ("config.json", "eos_token_id", PADDING),
        ("generation_config.json", "eos_token_id", PADDING),
        ("tokenizer_config.json", "eos_token", "<|pad|>"),
    ):
        path = folder / name
        path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), key: value}))
    return folder


def _line(asks: dict[str, Ask], concurrency: int) -> str:
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in asks}
    for _ in range(REPETITIONS):
        for name, ask in asks.items():
            seen[name].append(asyncio.run(_load(ask, concurrency)))
    rate = {name: statistics.median(one for one, _ in loads) for name, loads in seen.items()}
    first = {name: statistics.median(one for _, one in loads) * 1000 for name, loads in seen.items()}
    share = rate["run"] / rate["raw"]
    return (
        f"c={concurrency:<2} run {rate['run']:.0f} tok/s, engine {rate['raw']:.0f}: {share:.3f} of it"
        f" ({share / RATE_GOALS[concurrency]:.2f} × the goal of {RATE_GOALS[concurrency]}); first token after"
        f" {first['run']:.0f} ms, engine {first['raw']:.0f}: {first['run'] - first['raw']:+.0f} ms (goal +{FIRST_GOAL})"
    )


async def _load(ask: Ask, concurrency: int) -> tuple[float, float]:
    """Tokens a second of so many answers at once, and the median seconds to their first tokens."""
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        begun = time.perf_counter()
        answers = await asyncio.gather(*(ask(session) for _ in range(concurrency)))
        elapsed = time.perf_counter() - begun
    return sum(tokens for _, tokens in answers) / elapsed, statistics.median(first for first, _ in answers)


def _raw(url: str) -> Ask:
    async def ask(session: aiohttp.ClientSession) -> tuple[float, int]:
        body: dict[str, Any] = {
            "model": NAME,
            "messages": [{"role": "user", "content": QUESTION}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": TOKENS,
            "temperature": 0,
        }
        begun, first, tokens = time.perf_counter(), 0.0, 0
        async with session.post(f"{url}/chat/completions", json=body) as response:
            async for _, data in events(response):
                if data == b"[DONE]":
                    break
                chunk = orjson.loads(data)
                if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                    first = first or time.perf_counter() - begun
                if chunk.get("usage"):
                    tokens = chunk["usage"]["completion_tokens"]
        return first, tokens

    return ask


def _run(url: str, key: str, assistant: str) -> Ask:
    headers = {"Authorization": f"Bearer {key}", "OpenAI-Beta": "assistants=v2"}

    async def ask(session: aiohttp.ClientSession) -> tuple[float, int]:
        thread = {"messages": [{"role": "user", "content": QUESTION}]}
        body = {
            "assistant_id": assistant,
            "stream": True,
            "thread": thread,
            "max_completion_tokens": TOKENS,
            "temperature": 0,
        }
        begun, first, tokens = time.perf_counter(), 0.0, 0
        async with session.post(f"{url}/v1/threads/runs", json=body, headers=headers) as response:
            if response.status != 200:
                raise Wrong(await response.text())
            async for name, data in events(response):
                if name == b"thread.message.delta":
                    first = first or time.perf_counter() - begun
                elif name in (b"thread.run.incomplete", b"thread.run.completed"):
                    tokens = orjson.loads(data)["usage"]["completion_tokens"]
                elif name == b"thread.run.failed":
                    raise Wrong(data.decode())
        return first, tokens

    return ask
