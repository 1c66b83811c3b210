"""An MCP server that does as it is told: well-behaved, until a test gives it another answer for a method."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from assistants.catalog.mcp import Endpoint

Answer = Callable[["ScriptedServer", web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]

SECRET = "mcp-secret-0123456789"
SESSION = "session-1"
ECHO = {
    "name": "echo",
    "description": "Says what it is told.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    "annotations": {"readOnlyHint": True},
}


class ScriptedServer:
    """Its ``answers`` by the method of what is asked; ``heard`` is everything that was, in order."""

    def __init__(self) -> None:
        self.url = ""
        self.tools: list[Any] = [ECHO]
        self.answers: dict[str, Answer] = {"initialize": _initialize, "tools/list": _list, "tools/call": _call}
        self.heard: list[tuple[str, dict[str, Any], dict[str, str]]] = []  # method, message, headers
        self.hears = asyncio.Condition()

    def endpoint(self, **changes: Any) -> Endpoint:
        headers = {"Authorization": f"Bearer {SECRET}"}
        return Endpoint(**{"url": self.url, "headers": headers, "timeout": 60.0, "inner_network": True} | changes)

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.heard]

    async def until_heard(self, method: str) -> dict[str, Any]:
        """The first message with this method, once it is there."""
        async with self.hears:
            await asyncio.wait_for(self.hears.wait_for(lambda: method in self.methods()), 60)
        return next(message for heard, message, _ in self.heard if heard == method)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        message = orjson.loads(body) if body else {}
        method = message.get("method", "DELETE" if request.method == "DELETE" else "answer")
        async with self.hears:
            self.heard.append((method, message, dict(request.headers)))
            self.hears.notify_all()
        answer = self.answers.get(method)
        return web.Response(status=202) if answer is None else await answer(self, request, message)


@asynccontextmanager
async def serving() -> AsyncIterator[ScriptedServer]:
    """The server on a port of this machine; what still hangs is cut at the end."""
    server = ScriptedServer()
    application = web.Application()
    application.router.add_route("*", "/{path}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/mcp"
    try:
        yield server
    finally:
        await runner.cleanup()


async def _initialize(server: ScriptedServer, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    result = {
        "protocolVersion": message["params"]["protocolVersion"],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "scripted", "version": "1"},
    }
    return answered(message, result, headers={"Mcp-Session-Id": SESSION})


async def _list(server: ScriptedServer, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    return answered(message, {"tools": server.tools})


async def _call(server: ScriptedServer, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    return answered(message, {"content": [text(str(message["params"]["arguments"].get("text")))]})


def text(value: Any) -> dict[str, Any]:
    return {"type": "text", "text": value}


def answered(message: dict[str, Any], result: Any, **options: Any) -> web.Response:
    """A result as one JSON document."""
    return document({"jsonrpc": "2.0", "id": message["id"], "result": result}, **options)


def document(value: Any, **options: Any) -> web.Response:
    return web.Response(body=json.dumps(value).encode(), content_type="application/json", **options)


def always(response: Callable[[], web.Response]) -> Answer:
    """The same response, whatever is asked."""

    async def answer(server: ScriptedServer, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return response()

    return answer


def result(value: Any) -> Answer:
    """The same result, whatever is asked."""

    async def answer(server: ScriptedServer, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        return answered(message, value)

    return answer


def contents(*parts: Any) -> Answer:
    return result({"content": list(parts)})


def stream(*events: Any, answers: bool = True, end: bytes = b"") -> Answer:
    """Events, then (unless told otherwise) the answer "done"; an event may be bytes, which are sent as they are."""

    async def answer(server: ScriptedServer, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        response = await opened(request)
        for event in events:
            await response.write(event if isinstance(event, bytes) else framed(event))
        if answers:
            done = {"jsonrpc": "2.0", "id": message["id"], "result": {"content": [text("done")]}}
            await response.write(framed(done))
        await response.write(end) if end else None
        return response

    return answer


def endless(block: bytes, *, kind: str = "text/event-stream", begin: bytes = b"", pause: float = 0.0) -> Answer:
    """The same bytes, until the client goes away."""

    async def answer(server: ScriptedServer, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        response = await opened(request, kind)
        await response.write(begin) if begin else None
        while True:
            await response.write(block)
            await asyncio.sleep(pause)

    return answer


async def hang(server: ScriptedServer, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    """Nothing at all, until the client goes away."""
    await asyncio.Event().wait()
    raise AssertionError("nobody wakes it")


async def opened(request: web.Request, kind: str = "text/event-stream") -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": kind})
    await response.prepare(request)
    return response


def framed(event: Any) -> bytes:
    return b"event: message\ndata: " + orjson.dumps(event) + b"\n\n"
