"""What a session's processes use, by what the system says about them."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE, TICK = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
PROCESSES = 1_000  # that are looked at, at most
SOCKET = 212_992  # bytes that are on their way in one, at most, where the system does not say something else


@dataclass(frozen=True, slots=True)
class Use:
    """:param memory: bytes that are resident, shared ones counted once (or, where nobody says, in each process), and
        what all of their sockets could hold.
    :param processor: seconds, of each process that lives, by its number and its beginning.
    :param at: when they were looked at, in monotonic seconds.
    """

    memory: int
    processor: Mapping[tuple[int, int], float]
    at: float


def use_of(root: int, *, exact_above: int) -> Use:
    """Of a process and everything below it.

    :param exact_above: bytes; sums of resident pages above that are looked at more closely, which takes longer.
    """
    at, resident, processor, processes = time.monotonic(), 0, {}, tree(root)
    for process in processes:
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            processor[process, int(fields[19])] = (int(fields[11]) + int(fields[12])) / TICK
            resident += int(fields[21]) * PAGE
    if resident > exact_above:
        resident = sum(map(_proportional, processes))
    return Use(resident + _sockets(processes) * _socket_size(), processor, at)


class Background:
    """What goes on while nobody asked for anything, by looks at it again and again.

    :ivar processor: seconds.
    """

    def __init__(self) -> None:
        self.processor = 0.0
        self._last: Use | None = None

    def note(self, use: Use) -> None:
        """A process that is new counts as if it had worked since the last look: where some come and go between two
        looks, that is on average what they have used."""
        if self._last is not None:
            before, passed = self._last.processor, use.at - self._last.at
            for process, seconds in use.processor.items():
                self.processor += seconds - before[process] if process in before else max(seconds, passed)
        self._last = use


def tree(root: int) -> list[int]:
    """The process and those below it, as they are at this moment."""
    found: list[int] = []
    next_ones = [root]
    while next_ones and len(found) < PROCESSES:
        process = next_ones.pop()
        found.append(process)
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                next_ones += map(int, (thread / "children").read_text().split())
    return found


def _sockets(processes: Sequence[int]) -> int:
    """How many there are in the network of the first process inside, in whosever hands; 0 where nobody says."""
    with contextlib.suppress(OSError, IndexError):
        protocols = Path(f"/proc/{processes[1]}/net/protocols").read_text()
        return sum(map(int, re.findall(r"^UNIX\S*\s+\d+\s+(\d+)", protocols, re.M)))
    return 0


@functools.cache
def _socket_size() -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(Path("/proc/sys/net/core/wmem_default").read_text())
    return SOCKET


def _proportional(process: int) -> int:
    """Resident bytes, each page divided by those who share it."""
    with contextlib.suppress(OSError):
        found = re.search(r"^Pss:\s+(\d+) kB$", Path(f"/proc/{process}/smaps_rollup").read_text(), re.M)
        if found:
            return int(found[1]) * 1024
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE
    return 0
