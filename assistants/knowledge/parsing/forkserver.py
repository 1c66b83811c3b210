"""``python -m assistants.knowledge.parsing.forkserver``: makes the processes that read documents, as copies of itself.

A copy is there within milliseconds, where a fresh interpreter loads for a tenth of a second. This process itself reads
no document, and has neither Django nor anything of the product's environment. Each document gets a copy of its own,
which gives up its rights before it reads the first byte, and ends with it.

Standard input is a socket. On it come ``REQUEST``s, each with four descriptors: the document, a file for its chunks,
one for what the parser complains of, and a socket that is answered with ``STATUS`` when the copy has ended. Who closes
that socket, or its half for writing, ends the copy; who closes standard input ends them all.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from assistants.knowledge.parsing import child

REQUEST = struct.Struct("<16sII")  # extension, tokens of a chunk, tokens of them that chunks share
STATUS = struct.Struct("<i")  # an exit status, or a signal's number below zero
DESCRIPTORS = 4

Read = Callable[[str, int, int, int], int]  # extension, maximum, overlap, parent → exit status


class ForkServer:
    """Copies this process as it is asked to.

    :param read: what each copy does, with the document and the two files as its standard ones.
    """

    def __init__(self, control: socket.socket, read: Read) -> None:
        self._control, self._read = control, read
        self._asking: dict[int, socket.socket] = {}  # pid → who waits for its end
        self._selector = selectors.DefaultSelector()
        self._ended, wake = socket.socketpair()
        self._ended.setblocking(False)
        wake.setblocking(False)
        self._wake = wake
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only what has a handler wakes the selector
        signal.set_wakeup_fd(wake.fileno())

    def run(self) -> None:
        """Until who started this process is gone."""
        self._selector.register(self._control, selectors.EVENT_READ, self._ask)
        self._selector.register(self._ended, selectors.EVENT_READ, self._reap)
        with contextlib.suppress(EOFError):
            while True:
                for key, _ in self._selector.select():
                    key.data()
        for pid in self._asking:
            _end(pid)

    def _ask(self) -> None:
        """:raises EOFError: nobody is there to ask any more."""
        data, descriptors, _, _ = socket.recv_fds(self._control, REQUEST.size, DESCRIPTORS)
        if len(data) < REQUEST.size:
            raise EOFError
        extension, maximum, overlap = REQUEST.unpack(data)
        *files, status = descriptors
        asking = socket.socket(fileno=status)
        try:
            self._start(files, asking, extension.rstrip(b"\0").decode(), maximum, overlap)
        except OSError:  # no process can be started: a socket that is closed without an answer says so
            asking.close()
        finally:
            for descriptor in files:
                os.close(descriptor)

    def _start(self, files: list[int], asking: socket.socket, extension: str, maximum: int, overlap: int) -> None:
        with contextlib.suppress(ImportError):  # then the copy fails of it
            child.load(extension)
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(files, lambda: self._read(extension, maximum, overlap, server))
        self._asking[pid] = asking
        self._selector.register(asking, selectors.EVENT_READ, lambda: self._give_up(pid))

    def _give_up(self, pid: int) -> None:
        """Nobody writes on that socket: it was closed."""
        self._selector.unregister(self._asking[pid])
        _end(pid)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._ended.recv(4096)
        for pid in list(self._asking):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._answer(pid, os.waitstatus_to_exitcode(status))

    def _answer(self, pid: int, status: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what it started, where it could
        with self._asking.pop(pid) as asking, contextlib.suppress(OSError):
            if asking in self._selector.get_map():
                self._selector.unregister(asking)
            asking.send(STATUS.pack(status))


def _become(files: list[int], read: Callable[[], int]) -> NoReturn:
    """In the copy: a session of its own, the three files, nothing else that was open, and then the document."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for place, descriptor in enumerate(files):
            os.dup2(descriptor, place)
        os.closerange(len(files), os.sysconf("SC_OPEN_MAX"))
        status = read()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def _end(pid: int) -> None:
    """The process and its group, which it may not have made yet."""
    for kill in (os.kill, os.killpg):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def serve(read: Read = child.main) -> None:
    with socket.socket(fileno=os.dup(0)) as control:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        ForkServer(control, read).run()


if __name__ == "__main__":
    serve()
