"""Clients that send too much, read nothing, or are in the middle of a request when the server stops."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.core.test_poison import POISON
from tests.support.client import Client
from tests.support.flooding import CHUNK, CHUNKS
from tests.support.processes import PATIENCE, Process, Stack, Upstream, eventually, free_port

pytestmark = pytest.mark.fault

LIMIT = 16 * 1024 * 1024  # bytes of a body
KERNEL = 12 * 1024 * 1024  # bytes that the two sockets' own buffers may take
STALLED = 1.0  # seconds until who takes nothing is dropped


class Flood:
    """``tests.support.flooding`` in a process of its own.

    :param stalled: seconds until who takes nothing is dropped.
    """

    def __init__(self, folder: Path, stalled: float) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "tests.support.flooding", str(self.port), str(stalled)]
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "sovereign.settings", "SOVEREIGN_DATA_DIR": str(folder)}
        self.process = Process("flooding", command, environment, folder / "flooding.log")
        eventually(self._answers, what="the server answers")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.told() is not None
        return False

    def told(self) -> dict[str, Any]:
        return Client(f"http://127.0.0.1:{self.port}", "").get("/sent")

    def open(self, name: str) -> socket.socket:
        connection = connected(self.port)
        connection.sendall(f"GET /flood?{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return connection


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flood]:
    """One that drops nobody while it is looked at."""
    made = Flood(tmp_path_factory.mktemp("flooding"), stalled=10 * PATIENCE)
    yield made
    made.process.destroy()


@pytest.fixture
def strict_flood(tmp_path: Path) -> Iterator[Flood]:
    made = Flood(tmp_path, STALLED)
    yield made
    made.process.destroy()


def held(flood: Flood, name: str) -> int:
    """The bytes on their way to a reader, once there are no more of them."""
    seen = [-1]

    def rests() -> bool:
        seen.append(flood.told()["sent"].get(name, -1))
        return len(seen) > 20 and len(set(seen[-20:])) == 1 and seen[-1] > 0

    eventually(rests, what=f"{name} is given no more")
    return seen[-1] * CHUNK


def test_what_a_reader_does_not_take_is_not_held_for_it(flood: Flood) -> None:
    with contextlib.closing(flood.open("idle")):
        assert held(flood, "idle") < KERNEL
    with contextlib.closing(flood.open("still idle")), contextlib.closing(flood.open("reading")) as reading:
        length = 0
        while data := reading.recv(1024 * 1024):
            length += len(data)
            if data.endswith(b"0\r\n\r\n"):
                break
        assert length > CHUNKS * CHUNK, "another reader gets everything"
        eventually(lambda: "reading" in flood.told()["ended"], what="its application goes on to its end")


def test_what_a_websocket_does_not_take_is_not_held_for_it(flood: Flood) -> None:
    with contextlib.closing(connected(flood.port)) as idle:
        head = "GET /flood?socket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        idle.sendall((head + key).encode())
        assert held(flood, "socket") < KERNEL
        with connect(f"ws://127.0.0.1:{flood.port}/flood?another", max_queue=4) as another:
            assert sum(len(message) for message in another) == CHUNKS * CHUNK


def test_a_reader_that_stays_away_is_dropped(strict_flood: Flood) -> None:
    with contextlib.closing(strict_flood.open("away")) as away:
        eventually(lambda: "away" in strict_flood.told()["ended"], what="its application goes on to its end")
        with pytest.raises(ConnectionResetError):
            away.makefile("rb").read()


def refused(connection: socket.socket, status: int = 413) -> dict[str, Any]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    assert (response.status, response.headers["Connection"]) == (status, "close")
    assert response.headers["Content-Type"] == "application/json"
    assert re.fullmatch(r"req_[0-9a-f]{32}", response.headers["X-Request-Id"])
    error: dict[str, Any] = json.loads(response.read())["error"]
    return error


HEAD = b"POST /v1/threads HTTP/1.1\r\nHost: 127.0.0.1\r\n"
ERROR = {
    "message": "The body is larger than 16 MB.",
    "type": "invalid_request_error",
    "param": None,
    "code": "request_too_large",
}


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(live_server_process: Stack, expect: bytes) -> None:
    with contextlib.closing(connected(live_server_process.port)) as connection:
        connection.sendall(HEAD + expect + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1))
        assert refused(connection) == ERROR
        assert connection.recv(1) == b""


def test_a_client_that_sends_a_large_body_all_the_same_reads_the_refusal(live_server_process: Stack) -> None:
    with contextlib.closing(connected(live_server_process.port)) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (2 * LIMIT) + b"x" * (2 * LIMIT))
        assert refused(connection) == ERROR


def test_a_body_without_a_length_is_refused_where_it_becomes_too_large(live_server_process: Stack) -> None:
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with contextlib.closing(connected(live_server_process.port)) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * (LIMIT // 0x100000))
        connection.sendall(chunk)
        assert refused(connection) == ERROR


LONG = b"x" * 20_000
NO_HTTP = "We could not read your request: it is not HTTP, or its headers are too many or too long."


@pytest.mark.parametrize(
    ("sent", "status", "message"),
    [
        (b"GET /v1/assistants/" + LONG + b" HTTP/1.1\r\n", 414, "The address is longer than 16 KB."),
        (b"GET /v1/assistants/" + LONG * 100, 414, "The address is longer than 16 KB."),
        (HEAD + b"X-Long: " + LONG + b"\r\n", 431, "A header is longer than 16 KB."),
        (HEAD + b"".join(b"X-%d: %s\r\n" % (n, LONG[:5_000]) for n in range(5)) + b"\r\n", 400, NO_HTTP),
        (HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(600)) + b"\r\n", 400, NO_HTTP),
        (HEAD + b"Content-Length: many\r\n\r\n", 400, NO_HTTP),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400, NO_HTTP),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, NO_HTTP),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", 400, NO_HTTP),
        (HEAD + b"No colon\r\n\r\n", 400, NO_HTTP),
        (HEAD + b"X-Nul: a\0b\r\n\r\n", 400, NO_HTTP),
        (b"GET /v1/assistants/\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400, NO_HTTP),
        (b"NONSENSE\r\n\r\n", 400, NO_HTTP),
    ],
    ids=[
        "an address",
        "an address without an end",
        "a header",
        "headers",
        "many headers",
        "a length that is none",
        "a negative length",
        "two lengths",
        "a chunk that is none",
        "a header that is none",
        "a NUL",
        "bytes",
        "nonsense",
    ],
)
def test_what_is_no_request_is_refused_in_the_envelope(
    live_server_process: Stack, sent: bytes, status: int, message: str
) -> None:
    with contextlib.closing(connected(live_server_process.port)) as connection:
        connection.sendall(sent)
        assert refused(connection, status)["message"] == message
        assert connection.recv(1) == b""


def test_what_follows_a_refusal_is_not_answered(live_server_process: Stack) -> None:
    """A second request hidden behind a first one that nobody can read."""
    with contextlib.closing(connected(live_server_process.port)) as connection:
        connection.sendall(b"NONSENSE\r\n\r\nGET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert refused(connection, 400)["message"] == NO_HTTP
        assert connection.recv(1) == b""


@pytest.mark.parametrize("name", POISON)
def test_poison_is_refused_by_the_whole_server(live_server_process: Stack, name: str) -> None:
    headers = {"Authorization": f"Bearer {live_server_process.api_key}", "OpenAI-Beta": "assistants=v2"}
    connection = http.client.HTTPConnection("127.0.0.1", live_server_process.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        for path in ("/v1/threads", "/v1/assistants", "/v1/threads/runs"):
            connection.request("POST", path, POISON[name], {**headers, "Content-Type": "application/json"})
            response = connection.getresponse()
            error = json.loads(response.read())["error"]
            assert (response.status, error["type"]) == (400, "invalid_request_error")
            assert not response.will_close, "the connection is as good as before"


def resident(pid: int) -> int:
    """The bytes of memory that a process has now."""
    [kilobytes] = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_body_without_a_length_and_without_an_end_costs_no_memory(live_server_process: Stack) -> None:
    """Sixteen times what is allowed, to one connection, and nearly all that is allowed to eight that never end."""
    pid = live_server_process.server.pid
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    assert live_server_process.client.get("/v1/assistants")["object"] == "list"  # what a first request loads is loaded
    before, seen = resident(pid), []
    with contextlib.ExitStack() as open_:
        endless = open_.enter_context(contextlib.closing(connected(live_server_process.port)))
        endless.sendall(head)
        for _ in range(16):
            with contextlib.suppress(ConnectionError):  # it is read for ten seconds: a slow machine has more to send
                endless.sendall(chunk * (LIMIT // 0x100000))
            seen.append(resident(pid))
        for _ in range(8):
            half = open_.enter_context(contextlib.closing(connected(live_server_process.port)))
            half.sendall(head + chunk * (LIMIT // 0x100000 - 1))
            seen.append(resident(pid))
        assert refused(endless) == ERROR
        assert live_server_process.client.get("/v1/assistants")["object"] == "list", "others are answered meanwhile"
        seen.append(resident(pid))
    assert max(seen) - before < 4 * LIMIT


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "x" * 256_001},
        {"role": "user", "content": [{"type": "text", "text": "x" * 256_001}]},
        {"role": "user", "content": [{"type": "text", "text": "x"}] * 1_001},
    ],
    ids=["a text", "a part", "parts"],
)
def test_a_message_beyond_its_limits_is_refused_and_leaves_nothing(
    live_server_process: Stack, message: dict[str, Any]
) -> None:
    client = live_server_process.client
    thread = client.thread()
    status, answer = client.request("POST", f"/v1/threads/{thread}/messages", message)
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    assert answer["error"]["code"] in ("string_above_max_length", "array_above_max_length")
    assert client.get(f"/v1/threads/{thread}/messages")["data"] == []


def test_a_body_at_the_limit_reaches_the_application(live_server_process: Stack) -> None:
    with contextlib.closing(connected(live_server_process.port)) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % LIMIT + b" " * LIMIT)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 401


def is_refused(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), contextlib.closing(connected(port)):
        return False
    return True


def posted(stack: Stack) -> float:
    """How many POST requests the server has begun to answer."""
    with urllib.request.urlopen(f"{stack.url}/metrics", timeout=PATIENCE) as answer:
        text = answer.read().decode()
    found = re.search(r'requests_total_by_method_total\{method="POST"\} (\S+)', text)
    return float(found[1]) if found else 0


def test_a_request_in_flight_is_answered_before_the_server_stops(tmp_path: Path, upstream: Upstream) -> None:
    stack = Stack(tmp_path, engine_url=upstream.url)
    try:
        stack.prepare()
        server = stack.serve()
        with (
            ThreadPoolExecutor(1) as pool,
            contextlib.closing(connected(stack.port)) as half,
            contextlib.closing(sqlite3.connect(stack.database.path, isolation_level=None)) as database,
        ):
            half.sendall(HEAD + b"Content-Length: 10\r\n\r\n{")
            database.execute("BEGIN IMMEDIATE")  # until the end of this, nobody else writes
            answer = pool.submit(stack.client.request, "POST", "/v1/threads", {})
            eventually(lambda: posted(stack) == 1, what="the request is being answered")
            server.signal(signal.SIGTERM)
            eventually(lambda: is_refused(stack.port), what="the server takes no more connections")
            assert server.alive
            database.execute("ROLLBACK")
            status, _ = answer.result(PATIENCE)
            assert status in (200, 503)  # where the machine took seconds, the lock was waited for in vain
        assert server.wait() == 0
    finally:
        stack.destroy()
