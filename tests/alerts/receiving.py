"""A receiver of webhooks that does what a test wants, on this machine."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

ENDLESS, SILENT, MOVED = "endless", "silent", "moved"


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        return dict(orjson.loads(self.body))

    def is_signed_with(self, secret: str) -> bool:
        """As a receiver checks it that knows nothing but Standard Webhooks."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        made = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return self.headers["webhook-signature"] == f"v1,{made}"


@dataclass
class Receiver:
    """``answers``: a status, or a word of above, for each request; the last one stands for all further ones."""

    answers: list[Any] = field(default_factory=lambda: [200])
    received: list[Received] = field(default_factory=list)
    url: str = ""
    written: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(headers, await request.read()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == MOVED:
            return web.Response(status=302, headers={"Location": f"{self.url}/inside"})
        if answer == SILENT:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            self.left.set()
            raise asyncio.CancelledError
        if answer == ENDLESS:
            return await self._endless(request)
        return web.Response(status=answer, text="no <b>word</b> of this is repeated")

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"x" * 16_384)
                self.written += 16_384
        return response


@contextlib.asynccontextmanager
async def receiving(*answers: Any) -> AsyncIterator[Receiver]:
    receiver = Receiver(list(answers) or [200])
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
