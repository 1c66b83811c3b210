"""Uploads to a real server: what they cost, and what is left of those that are refused or cut, or find no room."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import secrets
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.knowledge.uploading import FORM, Field, field, file, form, stored
from tests.support.fixtures import skip_ring, started
from tests.support.processes import PATIENCE, Process, Stack, Upstream, eventually

pytestmark = pytest.mark.fault

LARGE = 128  # MB
PIECE = secrets.token_bytes(1024**2)
ALLOWED = 8 * 1024  # kB of memory for one upload
MAXIMUM = 160  # MB
JITTER = 512  # kB that a process which does nothing may gain and lose
LOOKS = 100  # of about 20 ms
FOR = field("purpose", "assistants")


class Server:
    """``manage.py up`` with a storage of its own."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.process: Process = stack.up()

    def open(self, head: str, path: str = "/v1/files", key: str | None = None) -> socket.socket:
        """A connection on which the head of an upload was sent."""
        connection = socket.create_connection(("127.0.0.1", self.stack.port), timeout=PATIENCE)
        lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {FORM}", head]
        lines.append(f"Authorization: Bearer {self.stack.api_key if key is None else key}")
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return connection

    def upload(self, *fields: Field) -> tuple[int, Any]:
        body = form(*fields)
        with contextlib.closing(self.open(f"Content-Length: {len(body)}")) as connection:
            connection.sendall(body)
            return answer(connection)

    def memory(self, line: str) -> int:
        """kB, as the kernel counts them."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [kilobytes] = re.findall(rf"{line}:\s+(\d+) kB", status)
        return int(kilobytes)

    def memory_at_rest(self) -> int:
        """kB of memory once nothing more is loaded: the process may have begun just now."""
        seen: list[int] = []

        def rests() -> bool:
            seen.append(self.memory("VmRSS"))
            return len(seen) > LOOKS and max(seen[-LOOKS:]) - min(seen[-LOOKS:]) < JITTER

        eventually(rests, what="the server has begun")
        return seen[-1]

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


def answer(connection: socket.socket) -> tuple[int, Any]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, json.loads(response.read())


def large_form(megabytes: int) -> Iterator[bytes]:
    head, tail = form(FOR, file(b"|", "large.bin")).split(b"|")
    yield head
    for _ in range(megabytes):
        yield PIECE
    yield tail


def lying(folder: Path) -> set[tuple[str, int]]:
    """The names and sizes of everything in the storage."""
    found = set()
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                found.add((path.name, path.stat().st_size))
    return found


def length_of(megabytes: int) -> int:
    return len(form(FOR, file(b"", "large.bin"))) + megabytes * len(PIECE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("uploads")
    contents = folder / "contents"
    settings = {"SOVEREIGN_FILES_URL": contents.as_uri(), "SOVEREIGN_MAXIMUM_FILE_MB": str(MAXIMUM)}
    stack = started(Stack(folder / "stack", engine_url=upstream.url, **settings))
    try:
        yield Server(stack, contents)
    finally:
        stack.destroy()


@pytest.mark.parametrize("how", ["with its length", "in chunks"])
def test_a_large_upload_is_written_while_it_comes(server: Server, how: str) -> None:
    assert server.upload(FOR, file(b"warm"))[0] == 200
    before = server.memory_at_rest()
    server.forget_peak()
    chunked = how == "in chunks"
    head = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {length_of(LARGE)}"
    with contextlib.closing(server.open(head)) as connection:
        for piece in large_form(LARGE):
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        connection.sendall(b"0\r\n\r\n" if chunked else b"")
        status, made = answer(connection)
    assert (status, made["bytes"]) == (200, LARGE * 1024**2)
    assert server.memory("VmHWM") - before < ALLOWED
    assert server.stack.client.request("DELETE", f"/v1/files/{made['id']}")[0] == 200


def test_a_connection_takes_one_upload_after_the_other(server: Server) -> None:
    body = form(FOR, file(b"x"))
    connection = http.client.HTTPConnection("127.0.0.1", server.stack.port, timeout=PATIENCE)
    headers = {"Content-Type": FORM, "Authorization": f"Bearer {server.stack.api_key}"}
    with contextlib.closing(connection):
        connection.connect()
        first = connection.sock
        for _ in range(3):
            connection.request("POST", "/v1/files", body, headers)
            assert connection.getresponse().read()
            assert connection.sock is first


@pytest.mark.parametrize("expect", ["", "\r\nExpect: 100-continue"])
def test_an_upload_that_says_it_is_too_large_is_refused_before_it_is_sent(server: Server, expect: str) -> None:
    with contextlib.closing(server.open(f"Content-Length: {length_of(MAXIMUM + 1)}{expect}")) as connection:
        status, refused = answer(connection)
        assert (status, refused["error"]["code"]) == (413, "request_too_large")


def test_an_upload_that_gets_too_large_is_refused_where_it_does(server: Server) -> None:
    before = lying(server.folder)
    with contextlib.closing(server.open("Transfer-Encoding: chunked")) as connection:
        for piece in large_form(MAXIMUM + 1):
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        status, refused = answer(connection)
        assert (status, refused["error"]["code"]) == (413, "request_too_large")
    eventually(lambda: lying(server.folder) == before, what="nothing is left of it")


def test_who_may_not_upload_is_told_before_the_body_is_read(server: Server) -> None:
    before = lying(server.folder)
    with contextlib.closing(server.open(f"Content-Length: {length_of(LARGE)}", key="sk-sov-nobodys")) as connection:
        status, refused = answer(connection)
        assert (status, refused["error"]["code"]) == (401, "invalid_api_key")
    with contextlib.closing(server.open(f"Content-Length: {length_of(8)}", "/v1/uploads/upload_x/parts")) as connection:
        for piece in large_form(8):
            connection.sendall(piece)  # all of it, and the refusal is read all the same
        assert answer(connection)[0] == 404
    assert lying(server.folder) == before


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_leaves_in_the_middle_leaves_nothing(server: Server, end: str) -> None:
    before = lying(server.folder)
    connection = server.open(f"Content-Length: {length_of(LARGE)}")
    for _, piece in zip(range(4), large_form(4), strict=False):
        connection.sendall(piece)
    eventually(lambda: lying(server.folder) != before, what="its bytes arrive")
    if end == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    eventually(lambda: lying(server.folder) == before, what="nothing is left of it")


def test_what_is_left_by_a_killed_server_is_no_file(server: Server) -> None:
    listed = server.stack.client.get("/v1/files")["data"]
    with contextlib.closing(server.open(f"Content-Length: {length_of(LARGE)}")) as connection:
        for _, piece in zip(range(4), large_form(4), strict=False):
            connection.sendall(piece)
        eventually(lambda: list((server.folder / "drafts").glob("*")), what="its bytes arrive")
        server.process.kill()
    server.process = server.stack.up()
    assert server.stack.client.get("/v1/files")["data"] == listed
    for draft in (server.folder / "drafts").iterdir():  # which the sweeper removes when they are a day old
        draft.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        skip_ring("a file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # whom the server had started may just be ending


def test_a_full_disk_refuses_keeps_no_half_and_heals_by_itself(
    small_disk: Path, tmp_path: Path, upstream: Upstream
) -> None:
    contents = small_disk / "contents"
    stack = started(Stack(tmp_path / "stack", engine_url=upstream.url, SOVEREIGN_FILES_URL=contents.as_uri()))
    try:
        server = Server(stack, contents)
        status, kept = server.upload(FOR, file(b"kept" * 1_000))
        assert status == 200
        filling = small_disk / "filling"
        with contextlib.suppress(OSError):
            filling.write_bytes(os.urandom(8 * 1024**2))
        for _ in range(3):
            status, refused = server.upload(FOR, file(b"x" * 1024**2))
            assert (status, refused["error"]["code"]) == (507, "insufficient_storage")
        assert [found["id"] for found in stack.client.get("/v1/files")["data"]] == [kept["id"]]
        assert stored(contents) == [b"kept" * 1_000]
        filling.unlink()
        assert server.upload(FOR, file(b"x" * 1024**2))[0] == 200
    finally:
        stack.destroy()
