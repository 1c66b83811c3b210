"""An upstream of our own: a raw server whose every byte the test decides."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from inference import gateway
from inference.adapters.base import Endpoint
from inference.chat import Capabilities, ChatRequest, Delta, Finished, TextDelta
from inference.gateway import ledger
from sovereign.core import database

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def event(delta: dict[str, Any] | None = None, reason: str | None = None, **rest: Any) -> bytes:
    """One chunk of a completion as an event."""
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": reason}]
    return b"data: " + orjson.dumps({"id": "c", "choices": choices, **rest}) + b"\n\n"


def answer(*texts: str, reason: str = "stop") -> bytes:
    """A whole answer with its head."""
    body = b"".join(event({"content": text}) for text in texts) + event(reason=reason)
    usage = {"prompt_tokens": 3, "completion_tokens": len(texts), "prompt_tokens_details": {"cached_tokens": 2}}
    return HEAD + body + b"data: " + orjson.dumps({"choices": [], "usage": usage}) + b"\n\ndata: [DONE]\n\n"


def plain(status: int, body: bytes, content_type: str = "application/json") -> bytes:
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    )
    return head.encode() + b"\r\n" + body


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # the client closed the connection


Script = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


class Upstream:
    """``script`` answers chat completions, ``models`` is what ``/models`` lists."""

    def __init__(self) -> None:
        self.requests: list[Asked] = []
        self.models: list[dict[str, Any]] = [{"id": "tiny", "owned_by": "test", "max_model_len": 512}]
        self.models_answer: bytes | None = None
        self.lists = True  # else the script answers those who ask for models, too
        self.metrics: bytes | None = None  # what /metrics tells; 404 without
        self.silent = False  # accept, and say nothing: a process that stands still
        self.answers(answer("Hello"))
        self.url = ""
        self.port = 0
        self._server: asyncio.Server | None = None
        self._busy: set[asyncio.Task[Any]] = set()

    def answers(self, *pieces: bytes) -> None:
        """Answer with these bytes, each in a write of its own."""

        async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)

        self.script: Script = script

    def hangs(self, *pieces: bytes) -> None:
        """Send these bytes, then nothing until the client goes away."""

        async def script(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(b"".join(pieces))
            await asked.gone.wait()

        self.script = script

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in list(self._busy):
                task.cancel()
            await asyncio.gather(*self._busy, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        watching: asyncio.Task[None] | None = None
        try:
            asked = await self._read(reader)
            self.requests.append(asked)
            watching = asyncio.create_task(self._watch(reader, asked))
            if self.silent:
                await asked.gone.wait()
            elif asked.path == "/metrics":
                writer.write(plain(404, b"") if self.metrics is None else plain(200, self.metrics, "text/plain"))
            elif self.lists and asked.path.partition("?")[0].endswith("/models"):
                listing = json.dumps({"object": "list", "data": self.models}).encode()
                writer.write(self.models_answer or plain(200, listing))
            else:
                await self.script(asked, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._busy.discard(task)
            if watching is not None:
                watching.cancel()
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Asked:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Asked(method, path, headers, json.loads(body or b"{}"))

    async def _watch(self, reader: asyncio.StreamReader, asked: Asked) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(1)
        asked.gone.set()

    def endpoint(self, **changes: Any) -> Endpoint:
        values = {
            "engine_id": "eng_test",
            "kind": "openai_compatible",
            "base_url": self.url,
            "model": "tiny",
            "key": "k-secret-1",
        }
        return Endpoint(**{**values, "capabilities": Capabilities(continuation=True), **changes})


@pytest.fixture(autouse=True)
def patient_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer waits for its row, however busy the disk is."""
    monkeypatch.setattr(ledger, "PATIENCE", 60.0)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    server = Upstream()
    await server.start()
    yield server
    await gateway.close()
    await server.stop()


def request_for(text: str = "Hi", **changes: Any) -> ChatRequest:
    return ChatRequest(**{"model": "tiny", "messages": [{"role": "user", "content": text}], **changes})


async def collect(deltas: AsyncIterator[Delta]) -> tuple[str, Finished | None, list[Delta]]:
    """The text, the end, and everything."""
    everything = [delta async for delta in deltas]
    text = "".join(delta.text for delta in everything if isinstance(delta, TextDelta))
    last = everything[-1] if everything and isinstance(everything[-1], Finished) else None
    return text, last, everything


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Poll a condition (a plain function, or one that returns an awaitable) until it holds."""
    async with asyncio.timeout(seconds):
        while True:
            value = condition()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.02)


in_database = database.in_database
