"""Groups of processes whose memory, number and share of the processors the kernel bounds, where we may make any.

Both versions of cgroups are known. Where there is none, or where it belongs to somebody else, sessions go without:
``watching`` looks after their memory, and the sandbox's own limits after the rest.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runs.sandbox.limits import Limits

ROOT = Path("/sys/fs/cgroup")
NAME = "sovereign-{worker}-{number}"
NAMED = re.compile(r"sovereign-(\d+)-\d+")
EMPTYING = 2.0  # seconds, at most, until the kernel has let go of processes that were killed
OVERHEAD = 64 * 1024**2  # bytes: bubblewrap, and the kernel's own for a session
CPU_SHARES, CPU_WEIGHT = "512", "50"  # half of what others have

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One session's group: a folder, or with version 1 one for each controller."""

    folders: tuple[Path, ...]
    bounds_memory: bool

    @property
    def doors(self) -> list[Path]:
        """The files by which a process comes in."""
        return [folder / "cgroup.procs" for folder in self.folders]

    def processes(self) -> set[int]:
        """Who is in it, of those that are seen from here: the kernel calls all others 0, which would be ourselves."""
        found: set[int] = set()
        for door in self.doors:
            with contextlib.suppress(OSError):
                found |= set(map(int, door.read_text().split()))
        return {number for number in found if number > 1}

    def has_killed(self) -> bool:
        """Whether something in it was ended for want of memory."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                with contextlib.suppress(OSError):
                    found = re.search(r"^oom_kill (\d+)$", (folder / name).read_text(), re.M)
                    if found and int(found[1]):
                        return True
        return False

    def remove(self) -> None:
        """Once its processes were killed. Blocks for a moment, until the kernel has let them go."""
        until = time.monotonic() + EMPTYING
        for folder in self.folders:
            while folder.exists():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > until:
                        break
                    time.sleep(0.005)


def make(limits: Limits) -> Cgroup | None:
    """A new group; ``None`` where none can be made that bounds anything."""
    places = dict(_places())
    name = NAME.format(worker=os.getpid(), number=next(_numbers))
    folders = []
    bounded = False
    for place, controllers in places.items():
        _sweep(place)
        folder = place / name
        try:
            folder.mkdir()
        except OSError:
            continue
        if _bound(folder, controllers, limits):
            bounded = bounded or "memory" in controllers
            folders.append(folder)
        else:
            with contextlib.suppress(OSError):
                folder.rmdir()
    return Cgroup(tuple(folders), bounded) if folders else None


def _bound(folder: Path, controllers: frozenset[str], limits: Limits) -> bool:
    memory = limits.memory + limits.disk + limits.scratch + OVERHEAD
    wanted = {
        "memory": (
            ("memory.limit_in_bytes", memory),
            ("memory.memsw.limit_in_bytes", memory),
            ("memory.max", memory),
            ("memory.swap.max", 0),
        ),
        "pids": (("pids.max", limits.processes + 8),),
        "cpu": (("cpu.shares", CPU_SHARES), ("cpu.weight", CPU_WEIGHT)),
    }
    written = set()
    for controller in controllers & wanted.keys():
        for name, value in wanted[controller]:
            with contextlib.suppress(OSError):
                if (folder / name).exists():
                    (folder / name).write_text(str(value))
                    written.add(controller)
    return bool(written)


def _places() -> Iterator[tuple[Path, frozenset[str]]]:
    """Folders that groups may be made in, with what those could bound."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, names, path = line.split(":", 2)
        if number == "0":
            yield from _unified(ROOT / path.lstrip("/"))
        elif controllers := frozenset(names.split(",")) & {"memory", "pids", "cpu"}:
            yield ROOT / names / path.lstrip("/"), controllers


def _unified(own: Path) -> Iterator[tuple[Path, frozenset[str]]]:
    """Version 2: in our own group, or beside it, wherever memory is handed down."""
    for place in (own, own.parent):
        if not place.is_relative_to(ROOT) or not os.access(place, os.W_OK):
            continue
        if os.geteuid() != 0:
            _hand_down(place)
        with contextlib.suppress(OSError):
            controllers = (place / "cgroup.subtree_control").read_text().split()
            if "memory" in controllers:
                yield place, frozenset(controllers)
                return


def _hand_down(place: Path) -> None:
    """What an ordinary user may write to was given to us (systemd: ``Delegate=`` and ``DelegateSubgroup=``)."""
    with contextlib.suppress(OSError):
        (place / "cgroup.subtree_control").write_text("+memory +pids +cpu")


def _sweep(place: Path) -> None:
    """What workers left that died."""
    for left in place.glob("sovereign-*"):
        named = NAMED.fullmatch(left.name)
        if named and not Path("/proc", named[1]).exists():
            with contextlib.suppress(OSError):
                left.rmdir()
