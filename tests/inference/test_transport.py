"""When a request is sent again, and when it is not; how long a connection may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from inference.adapters import adapter_for
from inference.adapters.base import Endpoint, Patience
from inference.adapters.transport import close_transport, transport
from inference.calls import EmbeddingRequest
from inference.chat import EngineUnavailable, InferenceError
from tests.inference.conftest import Upstream, collect, request_for

VECTOR = b'{"data": [{"embedding": [1.0]}]}'
KEPT = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(VECTOR), VECTOR)


@asynccontextmanager
async def serving(*connections: int) -> AsyncIterator[tuple[str, list[int]]]:
    """A server whose connections answer so many requests each and close at the next; all requests, by connection."""
    requests: list[int] = []
    left = list(connections)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, number = left.pop(0), len(connections) - len(left)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
                requests.append(number)
                if answers == 0:
                    return
                answers -= 1
                writer.write(KEPT)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", requests
    finally:
        await close_transport()
        server.close()
        await server.wait_closed()


async def embed(url: str) -> list[list[float]]:
    endpoint = Endpoint(engine_id="", kind="openai", base_url=url, model="m")
    return (await adapter_for("openai").embed(endpoint, EmbeddingRequest(model="m", texts=["x"]))).vectors


async def test_a_connection_that_was_kept_and_is_gone_costs_nothing() -> None:
    async with serving(1, 1) as (url, requests):
        assert await embed(url) == [[1.0]]
        assert await embed(url) == [[1.0]]
        assert requests == [1, 1, 2]


async def test_a_request_that_was_read_is_not_sent_again() -> None:
    """The engine may have worked on it, and somebody pays for that."""
    async with serving(0, 1) as (url, requests):
        with pytest.raises(InferenceError, match="closed the connection without an answer"):
            await embed(url)
        assert requests == [1]


async def test_a_connection_that_is_not_accepted(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(made: Any, place: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", hang)
    endpoint = upstream.endpoint(patience=Patience(connect=0.05))
    with pytest.raises(EngineUnavailable) as caught:
        await collect(adapter_for("vllm").stream(endpoint, request_for()))
    assert caught.value.message == "The engine of tiny did not accept a connection within 0.05 s."
    assert caught.value.detail == f"127.0.0.1:{upstream.port} did not accept a connection within 0.05 s."


async def test_two_sessions_and_one_of_them_is_for_public_addresses(upstream: Upstream) -> None:
    held = transport()
    inner, public = upstream.endpoint(), upstream.endpoint(inner_network=False)
    assert held.session_for(inner) is not held.session_for(public)
    await close_transport()
    assert held.session.closed
    assert held.public_session.closed
