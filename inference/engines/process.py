"""One engine's processes, seen by its supervisor: started under a guard, found again after a restart, ended."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from inference.engines import guard
from inference.engines.installation import EngineCannotRun

GUARD = Path(guard.__file__)
LOG_TAIL = 64 * 1024  # bytes
LOG_LIMIT = 16 * 1024 * 1024  # bytes after which a new start begins a new file
END_TIMEOUT = guard.GRACE + 8.0  # seconds
POLL = 0.1  # seconds
MAXIMUM_SLOTS = 64


class Slot:
    """A folder that one supervisor at a time owns, by a lock that its death releases."""

    def __init__(self, folder: Path, lock: IO[str]) -> None:
        self.folder = folder
        self._lock = lock

    @classmethod
    def take(cls, name: str) -> Slot:
        """The first free slot for a model of this name: a restarted supervisor gets its old one."""
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
        slug = f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
        for number in range(MAXIMUM_SLOTS):
            folder = settings.SOVEREIGN.data_dir / "engines" / f"{slug}-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / "lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            return cls(folder, lock)
        raise RuntimeError(f"more than {MAXIMUM_SLOTS} supervisors of {name}")

    @property
    def supervisor_id(self) -> str:
        place = f"{socket.gethostname()}:{self.folder}"
        return f"sup_{hashlib.sha256(place.encode()).hexdigest()[:26]}"

    def release(self) -> None:
        self._lock.close()


class Turn:
    """Who may load a model onto the GPUs of this machine: two that load at once mistake each other's memory.

    Engines that are given other GPUs (``CUDA_VISIBLE_DEVICES``) have turns of their own.
    """

    def __init__(self) -> None:
        devices = re.sub(r"[^A-Za-z0-9]+", "-", os.environ.get("CUDA_VISIBLE_DEVICES", "all"))[:80]
        self._path = settings.SOVEREIGN.data_dir / "engines" / f"loading-{devices}.lock"
        self._lock: IO[str] | None = None

    def take(self) -> bool:
        """Whether it is ours now, until it is released or we die."""
        if self._lock is None:
            lock = self._path.open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                return False
            self._lock = lock
        return True

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


class EngineProcess:
    """The engine of one slot. Everything needed to find it again lies in the slot's folder."""

    def __init__(self, folder: Path, *, adoption: float) -> None:
        self.folder = folder
        self.adoption = adoption
        self.log_file = settings.SOVEREIGN.data_dir / "logs" / f"engine-{folder.name}.log"
        self._child: subprocess.Popen[bytes] | None = None
        self._guard: dict[str, Any] = {}
        self._log_start = 0

    def start(self, command: Sequence[str], environment: dict[str, str], record: dict[str, Any]) -> None:
        """Start ``command`` under a guard; ``record`` is what :meth:`find` gives back after a restart."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "guard.json").unlink(missing_ok=True)
        self.beat()
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_LIMIT:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with self.log_file.open("ab") as log:
            self._log_start = log.tell()
            self._child = subprocess.Popen(  # noqa: S603
                [*self._guard_command(), *command],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        pid = self._child.pid
        self._guard = {"pid": pid, "started": guard.start_time(pid)}
        self._write({**record, "guard": self._guard, "log_start": self._log_start})

    def _guard_command(self) -> list[str]:
        options = ["--folder", str(self.folder), "--adoption", str(self.adoption)]
        return [sys.executable, "-I", str(GUARD), *options, "--"]

    def find(self) -> dict[str, Any] | None:
        """The record of an engine that an earlier supervisor left running here, if it still does."""
        record = self._read("engine.json")
        if record is None:
            return None
        self._guard = record.get("guard") or {}
        self._log_start = int(record.get("log_start") or 0)
        return record if self.alive() else None

    def alive(self) -> bool:
        """Whether the guard lives, and so the engine that it watches."""
        if self._child is not None and self._child.poll() is not None:
            return False
        pid, started = self._guard.get("pid"), self._guard.get("started")
        return type(pid) is int and started is not None and guard.start_time(pid) == started

    def serves(self) -> bool:
        """Whether the engine's own process lives; false for the moment in which its guard ends what it left."""
        record = self._read("guard.json") or {}
        pid = record.get("engine")
        return self.alive() and (type(pid) is not int or guard.start_time(pid) is not None)

    def beat(self) -> None:
        """Tell the guard that there is a supervisor."""
        path = self.folder / "heartbeat"
        path.touch()
        os.utime(path, ns=(time.time_ns(), time.time_ns()))

    def exit_status(self) -> int | None:
        """How the engine ended, where the guard could say it; negative for a signal."""
        record = self._read("guard.json") or {}
        status = record.get("status")
        return status if type(status) is int else None

    def log_tail(self) -> str:
        """The end of what this engine has logged since it was started."""
        try:
            with self.log_file.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                start = self._log_start if self._log_start <= size else 0
                log.seek(max(start, size - LOG_TAIL))
                return log.read(LOG_TAIL).decode(errors="replace")
        except OSError:
            return ""

    def cpu_seconds(self) -> float:
        """The processor time that the engine's processes have used."""
        ticks = 0
        for pid in guard.session_members(self._guard.get("pid") or 0):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    async def end(self, *, at_once: bool = False) -> None:
        """End the engine and its guard; ``at_once`` for one that hangs."""
        pid = self._guard.get("pid")
        if type(pid) is int:
            if self.alive():
                guard.send(pid, signal.SIGKILL if at_once else signal.SIGTERM)
                await self._gone(END_TIMEOUT)
                if self.alive():
                    guard.send(pid, signal.SIGKILL)
                    await self._gone(5.0)
            await self._end_orphans(pid)
        self._child, self._guard = None, {}
        (self.folder / "engine.json").unlink(missing_ok=True)

    async def _gone(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.alive() and time.monotonic() < deadline:
            await asyncio.sleep(POLL)

    async def _end_orphans(self, session: int) -> None:
        """Kill what is left of a session whose leader is dead. (Its number is not used again as long as one lives.)"""
        if guard.start_time(session) is None:
            deadline = time.monotonic() + 5.0
            while (members := guard.session_members(session)) and time.monotonic() < deadline:
                for pid in members:
                    guard.send(pid, signal.SIGKILL)
                await asyncio.sleep(POLL)

    def _write(self, record: dict[str, Any]) -> None:
        draft = self.folder / ".engine.json"
        draft.write_text(json.dumps(record))
        draft.replace(self.folder / "engine.json")

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            record = json.loads((self.folder / name).read_text())
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) else None


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now; ``host`` is one of this machine's addresses, or a name of one.

    :raises EngineCannotRun: this machine does not have it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.bind(address)
            port: int = listener.getsockname()[1]
            return port
    except OSError as error:
        raise EngineCannotRun(f"This machine cannot listen on {host}: {error.strerror or error}.") from None
