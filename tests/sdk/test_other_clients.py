"""curl and a WebSocket client, as their users would call them."""

from __future__ import annotations

import json
import subprocess

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.support.client import tokens
from tests.support.processes import PATIENCE, Stack
from tests.support.viewers import logged

pytestmark = pytest.mark.sdk


def test_curl_streams_an_answer(server: Stack) -> None:
    client = server.client
    body = {
        "assistant_id": client.assistant(),
        "stream": True,
        "thread": {"messages": [{"role": "user", "content": "[tokens=7]"}]},
    }
    headers = {
        "Authorization": f"Bearer {server.api_key}",
        "Content-Type": "application/json",
        "OpenAI-Beta": "assistants=v2",
    }
    command = ["curl", "-sS", "-N", "-i", "-m", str(PATIENCE), f"{server.url}/v1/threads/runs"]
    command += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    done = subprocess.run(
        [*command, "-d", json.dumps(body)], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    head, _, rest = done.stdout.replace("\r\n", "\n").partition("\n\n")
    assert head.startswith("HTTP/1.1 200")
    assert "content-type: text/event-stream; charset=utf-8" in head.lower()
    frames = rest.strip().split("\n\n")
    assert frames[-1] == "event: done\ndata: [DONE]"
    assert frames[0].startswith("id: 1\nevent: thread.created\ndata: {")
    assert all(len(frame.splitlines()) == 3 for frame in frames[:-1])
    deltas = [json.loads(frame.splitlines()[2][6:]) for frame in frames if "event: thread.message.delta" in frame]
    assert "".join(part["text"]["value"] for delta in deltas for part in delta["delta"]["content"]) == tokens(7)


def socket_address(server: Stack, thread: str, ticket: str) -> str:
    return f"{server.websocket_url}/ws/threads/{thread}?ticket={ticket}"


def test_a_ticket_opens_a_websocket_that_tells_every_event(server: Stack) -> None:
    client = server.client
    thread = client.thread("[tokens=30 rate=60]")
    run = client.run(thread, client.assistant())
    ticket = client.post("/v1/ws_tickets")["ticket"]
    frames = []
    with connect(socket_address(server, thread, ticket), open_timeout=PATIENCE, close_timeout=1) as socket:
        socket.send(json.dumps({"subscribe": run, "after": 0}))
        while not frames or frames[-1]["event"] != "thread.run.completed":
            frames.append(json.loads(socket.recv(timeout=PATIENCE)))
    assert [(frame["seq"], frame["event"]) for frame in frames] == logged(server, run)
    text = "".join(
        part["text"]["value"]
        for frame in frames
        if frame["event"] == "thread.message.delta"
        for part in frame["data"]["delta"]["content"]
    )
    assert text == tokens(30)


def test_a_ticket_opens_one_websocket_only(server: Stack) -> None:
    client = server.client
    thread = client.thread("hello")
    ticket = client.post("/v1/ws_tickets")["ticket"]
    with connect(socket_address(server, thread, ticket), open_timeout=PATIENCE, close_timeout=1):
        pass
    for used in (ticket, "never-issued"):
        with (
            pytest.raises((InvalidStatus, ConnectionClosed)),
            connect(socket_address(server, thread, used), open_timeout=PATIENCE) as socket,
        ):
            socket.recv(timeout=PATIENCE)


def test_a_key_on_the_handshake_opens_a_websocket_too(server: Stack) -> None:
    client = server.client
    thread = client.thread("[tokens=3]")
    run = client.run(thread, client.assistant())
    headers = {"Authorization": f"Bearer {server.api_key}"}
    address = f"{server.websocket_url}/ws/threads/{thread}"
    with connect(address, additional_headers=headers, open_timeout=PATIENCE, close_timeout=1) as socket:
        socket.send(json.dumps({"subscribe": run, "after": 0}))
        assert json.loads(socket.recv(timeout=PATIENCE))["event"] == "thread.run.created"
