"""Owns an engine's processes, so that none is ever left behind. Standard library only; run as a program of its own.

    python -I guard.py --folder FOLDER --adoption SECONDS -- COMMAND ...

The guard leads a session, and everything the engine starts is in it. It ends the engine when it is asked to (SIGTERM),
or when FOLDER/heartbeat was not touched for SECONDS: the supervisor is gone, and no new one came to adopt the engine.
It compares the file's time with nothing but its own last value, so no clock that is set matters. Into FOLDER/guard.json
it writes who it is and, at the end, the engine's exit status. Should the guard itself be killed, the kernel ends the
engine.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

POLL = 0.2  # seconds
GRACE = 8.0  # seconds that an engine has to end by itself
ORPHANS_GRACE = 1.0  # seconds that its processes have when the engine itself is dead
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def start_time(pid: int) -> str | None:
    """When a process started, in ticks since boot: with the pid it names a process for good. ``None``: it is dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def session_members(session: int) -> list[int]:
    """The living processes of a session, its leader left out."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != session:
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] not in "ZX" and int(fields[3]) == session:
                members.append(int(entry.name))
    return members


def end_session(session: int, grace: float = GRACE) -> None:
    """Ask every process of the session to end, and kill what is left after ``grace`` seconds."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        members = session_members(session)
        for pid in members:
            send(pid, number)
            send(pid, signal.SIGCONT)
        deadline = time.monotonic() + seconds
        while members and time.monotonic() < deadline:
            reap()
            time.sleep(0.05)
            members = session_members(session)
        if not members:
            reap()
            return


def send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def reap() -> None:
    """Take the exit status of orphans that were handed to us, so that they do not stay as zombies."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def write_record(folder: Path, **record: object) -> None:
    draft = folder / ".guard.json"
    draft.write_text(json.dumps(record))
    draft.replace(folder / "guard.json")


class Guard:
    def __init__(self, folder: Path, adoption: float, command: list[str]) -> None:
        self.folder = folder
        self.adoption = adoption
        self.command = command
        self.stopping = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.stop if number == signal.SIGTERM else signal.SIG_IGN)
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

        def tie() -> None:  # in the child: end with the guard
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

        engine = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, preexec_fn=tie)  # noqa: S603
        me = {"pid": os.getpid(), "started": start_time(os.getpid()), "engine": engine.pid}
        write_record(self.folder, **me)
        try:
            self.watch(engine)
        finally:
            end_session(os.getpid(), GRACE if engine.poll() is None else ORPHANS_GRACE)
            status = engine.poll()
            write_record(self.folder, **me, ended=True, status=status)
        return 0

    def stop(self, *_: object) -> None:
        self.stopping = True

    def watch(self, engine: subprocess.Popen[bytes]) -> None:
        last, seen_at = self.heartbeat(), time.monotonic()
        while not self.stopping and engine.poll() is None:
            time.sleep(POLL)
            beat = self.heartbeat()
            if beat != last:
                last, seen_at = beat, time.monotonic()
            elif time.monotonic() - seen_at > self.adoption:
                print(f"guard: no supervisor for {self.adoption:.0f} s, ending the engine", file=sys.stderr, flush=True)  # noqa: T201
                return

    def heartbeat(self) -> int:
        try:
            return (self.folder / "heartbeat").stat().st_mtime_ns
        except OSError:
            return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--adoption", type=float, required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    return Guard(options.folder, options.adoption, command).run()


if __name__ == "__main__":
    sys.exit(main())
