"""One tailer a process: it reads the new events of every run somebody here follows, once, for all of them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import structlog
from django.db import Error as DatabaseError

from runs.models import Run, RunEvent
from runs.rendering import RunHead, has_contents, head_of, render_event
from sovereign.core import bus
from sovereign.core.bus import signalled
from sovereign.core.database import in_database

log = structlog.get_logger(__name__)

POLL = 0.25  # seconds; wake-ups may be lost
QUEUE_LIMIT = 512  # events; a reader that falls further behind replays from the log
RUNS_A_QUERY = 200
EVENTS_A_QUERY = 2_000
#: Written here, since Django takes longer to write it for sixteen runs than a database to answer it.
_BEYOND = f"SELECT * FROM {RunEvent._meta.db_table} WHERE {{}} ORDER BY run_id, seq LIMIT {EVENTS_A_QUERY}"  # noqa: S608
_OF_RUN = "(run_id = %s AND seq > %s)"


@dataclass(frozen=True, slots=True)
class Entry:
    """A rendered event; ``full`` where there is more to it for those who asked for the texts that were found."""

    seq: int
    type: str
    payload: bytes
    full: bytes | None = None

    @classmethod
    def of(cls, head: RunHead, event: RunEvent) -> Entry:
        full = render_event(head, event, contents=True) if has_contents(event.data) else None
        return cls(event.seq, event.type, render_event(head, event), full)


class Follower:
    """One reader's bounded queue."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.overflowed = False
        self.arrived = asyncio.Event()

    def offer(self, entry: Entry) -> None:
        if len(self.entries) >= QUEUE_LIMIT:
            self.entries.clear()
            self.overflowed = True
        if not self.overflowed:
            self.entries.append(entry)
        self.arrived.set()


@dataclass(slots=True)
class Followed:
    """A run somebody follows, with what has been read of it."""

    head: RunHead
    cursor: int
    followers: set[Follower] = field(default_factory=set)


class Tailer:
    """Belongs to one event loop; starts with the first follower and rests with the last."""

    def __init__(self) -> None:
        self._runs: dict[str, Followed] = {}
        self._woken: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._last_look = -POLL  # at all runs, by the monotonic clock

    async def follow(self, run_id: str, after: int) -> tuple[Follower, int]:
        """Attach a reader. Returns its queue and the cursor from which on the queue is complete.

        :raises Run.DoesNotExist: no such run.
        """
        followed = self._runs.get(run_id)
        if followed is None:
            head, newest = await in_database(_load_start, run_id)
            # a cursor beyond the log is its reader's own affair: the others' events are between
            followed = self._runs.setdefault(run_id, Followed(head, min(after, newest)))
            self._on_wake({"runs": [run_id]})  # its first events may have been told before anybody listened
        follower = Follower()
        followed.followers.add(follower)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tail(), name="tailer")
        return follower, followed.cursor

    def unfollow(self, run_id: str, follower: Follower) -> None:
        followed = self._runs.get(run_id)
        if followed is not None:
            followed.followers.discard(follower)
            if not followed.followers:
                del self._runs[run_id]

    def _on_wake(self, payload: dict[str, Any]) -> None:
        if woken := self._runs.keys() & payload["runs"]:
            self._woken |= woken
            self._wake.set()

    async def _tail(self) -> None:
        bus.start_bridge()
        unsubscribe = bus.subscribe(bus.RUN_EVENTS, self._on_wake)
        try:
            while self._runs:
                try:
                    await self._read(self._due())
                except DatabaseError as error:
                    log.warning("tail_failed", error=str(error))
                except Exception:  # without a tailer every reader here would wait in silence
                    log.exception("tail_failed")
                await signalled(self._wake, POLL)
                self._wake.clear()
        finally:
            unsubscribe()

    def _due(self) -> set[str]:
        """The runs to look at: those that were woken, and every quarter second all of them.

        One busy run's wake-ups must not keep those whose worker is in a process that cannot wake us from being read.
        """
        if time.monotonic() - self._last_look >= POLL:
            self._last_look = time.monotonic()
            return set(self._runs)
        return self._woken & self._runs.keys()

    async def _read(self, run_ids: Iterable[str]) -> None:
        reading = {run_id: self._runs[run_id] for run_id in run_ids}
        self._woken -= reading.keys()
        if not reading:
            return
        events = await in_database(load_events, {run_id: followed.cursor for run_id, followed in reading.items()})
        if len(events) >= EVENTS_A_QUERY:
            self._woken |= reading.keys()
            self._wake.set()  # there is more than one query gives
        for event in events:
            followed = reading[event.run_id]
            if self._runs.get(event.run_id) is not followed or event.seq <= followed.cursor:
                continue  # left, or left and joined anew from another cursor, while the query ran
            followed.cursor = event.seq
            entry = Entry.of(followed.head, event)
            for follower in followed.followers:
                follower.offer(entry)


def load_head(run_id: str) -> RunHead:
    return _load_start(run_id)[0]


def _load_start(run_id: str) -> tuple[RunHead, int]:
    """A run's head and its newest event's number."""
    run = Run.objects.select_related("configuration").get(pk=run_id)
    return head_of(run), run.last_seq


def load_events(cursors: dict[str, int]) -> list[RunEvent]:
    """The events beyond each run's cursor; few queries for many runs."""
    runs = list(cursors.items())
    events: list[RunEvent] = []
    for start in range(0, len(runs), RUNS_A_QUERY):
        asked = runs[start : start + RUNS_A_QUERY]
        events += RunEvent.objects.raw(_BEYOND.format(" OR ".join([_OF_RUN] * len(asked))), list(chain(*asked)))
    return events


_tailers: dict[asyncio.AbstractEventLoop, Tailer] = {}


def tailer() -> Tailer:
    """The running loop's tailer."""
    loop = asyncio.get_running_loop()
    for other in [other for other in _tailers if other.is_closed()]:
        del _tailers[other]
    return _tailers.setdefault(loop, Tailer())
