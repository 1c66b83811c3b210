"""Asks the fork server for processes: one server for each process of the product, started when the first is needed."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assistants.knowledge.parsing.forkserver import REQUEST, STATUS

PROGRAM: tuple[str, ...] = ("-m", "assistants.knowledge.parsing.forkserver")
ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 10.0  # seconds for a server to end; it ends when nobody can ask it any more


@dataclass(frozen=True, slots=True)
class _Server:
    process: subprocess.Popen[bytes]
    control: socket.socket


_lock = threading.Lock()
_server: _Server | None = None


async def status_of(files: Sequence[int], extension: str, maximum: int, overlap: int) -> int:
    """The exit status of a process that has read a document, below zero where a signal ended it.

    Cancelled, it ends the process, and is done when nothing of it is left.

    :param files: descriptors of the document, of a file for its chunks, and of one for what the parser complains of.
    :raises OSError: there is no such process, or nobody knows what became of it.
    """
    mine, theirs = socket.socketpair()
    with theirs:
        _ask(REQUEST.pack(extension.encode(), maximum, overlap), [*files, theirs.fileno()], mine)
    answer = asyncio.create_task(_answer(mine))
    try:
        return await asyncio.shield(answer)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):  # it has just been answered, and closed
            mine.shutdown(socket.SHUT_WR)
        await asyncio.shield(asyncio.wait([answer]))
        raise


def _ask(request: bytes, descriptors: Sequence[int], mine: socket.socket) -> None:
    try:
        with _lock:
            socket.send_fds(_running().control, [request], descriptors)
    except OSError:
        mine.close()
        raise


async def _answer(mine: socket.socket) -> int:
    with mine:
        mine.setblocking(False)
        data = await asyncio.get_running_loop().sock_recv(mine, STATUS.size)
    if len(data) < STATUS.size:
        raise OSError("no process could be started to read a document, or the one that starts them has ended")
    status: int = STATUS.unpack(data)[0]
    return status


def _running() -> _Server:
    global _server
    if _server is not None and _server.process.poll() is not None:
        _server.control.close()
        _server = None
    if _server is None:
        _server = _started()
    return _server


def _started() -> _Server:
    """It knows nothing of the product: neither what is open here nor the environment."""
    control, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 (our own command line)
            (sys.executable, "-E", "-s", "-B", "-X", "utf8", *PROGRAM),
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            start_new_session=True,
        )
    return _Server(process, control)


def close() -> None:
    """End the server, and whatever it has started."""
    global _server
    with _lock:
        if _server is not None:
            _server.control.close()
            _server.process.wait(PATIENCE)
            _server = None


atexit.register(close)
