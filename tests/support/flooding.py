"""The product's HTTP server around an application that sends more than anybody holds: what each reader was given.

``/flood?NAME`` streams ``CHUNKS`` chunks of ``CHUNK`` bytes, a WebSocket at the same address as many messages;
``/sent`` answers how many chunks each name's connection has taken so far, and which of them were ended.
"""

from __future__ import annotations

import json
import sys
from typing import Any

CHUNK = 64 * 1024
CHUNKS = 400

sent: dict[str, int] = {}
ended: list[str] = []


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["path"] == "/sent":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps({"sent": sent, "ended": ended}).encode()})
        return
    name = scope["query_string"].decode()
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        message: dict[str, Any] = {"type": "websocket.send", "bytes": b"x" * CHUNK}
    else:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        message = {"type": "http.response.body", "body": b"x" * CHUNK, "more_body": True}
    for number in range(CHUNKS):
        sent[name] = number
        await send(message)
    await send({"type": "websocket.close"} if scope["type"] == "websocket" else {"type": "http.response.body"})
    ended.append(name)


if __name__ == "__main__":
    from sovereign.management import http_server  # installs a reactor, which a test that imports this wants none of

    http_server.STALLED = float(sys.argv[2])
    endpoint = f"tcp:port={sys.argv[1]}:interface=127.0.0.1"
    http_server.BoundedServer(application, endpoints=[endpoint], signal_handlers=True, verbosity=0).run()
