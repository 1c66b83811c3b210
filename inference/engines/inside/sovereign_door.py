"""Runs inside vLLM's server process, with the standard library alone: every door of it asks for the key.

vLLM itself asks for it under ``/v1`` and few others; ``/metrics``, ``/invocations``, ``/sleep`` answer everybody.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]

OPEN = frozenset({"/health", "/ping"})  # say only that the server is there
REFUSAL = b'{"error":{"message":"Unauthorized","type":"invalid_request_error","param":null,"code":null}}'


class Door:
    """ASGI middleware, named to vLLM with ``--middleware sovereign_door.Door``."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app
        key = os.environ.get("VLLM_API_KEY", "")
        self.expected = _digest(f"Bearer {key}".encode()) if key else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self._may_enter(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(REFUSAL)).encode())]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": REFUSAL})

    def _may_enter(self, scope: Scope) -> bool:
        if scope["type"] == "http" and scope["path"] in OPEN:
            return True
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(_digest(given[0]), self.expected)


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
