"""Requests as a server presents them to the HTTP application, in the test's own loop: nothing between is scripted."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import orjson

from sovereign.core.asgi import OneHopHandler

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.body["error"]
        return error

    @property
    def chunks(self) -> list[Any]:
        """The ``data:`` of a stream's frames."""
        assert self.headers["content-type"].startswith("text/event-stream"), self.content
        frames = self.content.decode().split("\n\n")
        assert frames.pop() == ""
        assert all(frame.startswith("data: ") for frame in frames)
        return [text if text == "[DONE]" else json.loads(text) for text in (frame[6:] for frame in frames)]


class Connection:
    """One request; ``sent`` holds what was answered so far."""

    def __init__(self, method: str, path: str, body: Any, headers: dict[str, str]) -> None:
        content = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        address, _, query = path.partition("?")
        given = {"host": "127.0.0.1", "content-type": "application/json", "content-length": str(len(content))}
        self.scope = {
            "type": "http",
            "method": method,
            "path": address,
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (given | headers).items()],
        }
        self.sent: list[Message] = []
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": content, "more_body": False})
        self._changed = asyncio.Event()
        self.is_open = asyncio.Event()  # whether anything more is taken
        self.is_open.set()

    async def through(self, handler: OneHopHandler) -> Answer:
        await handler(self.scope, self._incoming.get, self._send)
        return self.answer

    async def _send(self, message: Message) -> None:
        await self.is_open.wait()
        self.sent.append(message)
        self._changed.set()

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def says(self, text: bytes) -> None:
        """Wait until something of the answer is there."""
        while not any(text in message.get("body", b"") for message in self.sent):
            self._changed.clear()
            await self._changed.wait()

    @property
    def writes(self) -> list[bytes]:
        return [body for message in self.sent[1:] if (body := message.get("body"))]

    @property
    def answer(self) -> Answer:
        head = self.sent[0]
        headers = {name.decode().lower(): value.decode() for name, value in head["headers"]}
        return Answer(int(head["status"]), headers, b"".join(self.writes))


class Asker:
    """Somebody with an API key."""

    def __init__(self, key: str) -> None:
        self.handler = OneHopHandler()
        self._headers = {"authorization": f"Bearer {key}"}

    def connection(self, method: str, path: str, body: Any = None, **headers: str) -> Connection:
        return Connection(method, path, body, self._headers | headers)

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.connection(method, path, body, **headers).through(self.handler)

    async def post(self, path: str, **body: Any) -> Answer:
        return await self.ask("POST", path, body)

    async def get(self, path: str) -> Answer:
        return await self.ask("GET", path)

    async def chat(self, text: str = "Hi", **body: Any) -> Answer:
        messages = [{"role": "user", "content": text}]
        return await self.post("/v1/chat/completions", **{"model": "tiny", "messages": messages, **body})
