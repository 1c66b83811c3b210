"""One watcher a process: what changed on every thread that somebody here has open, read once for all of them.

Of a run its events tell everything; what a thread tells is which run that is, whoever began it and wherever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import Error as DatabaseError
from django.db.models import OuterRef, Subquery

from sovereign.core import bus
from sovereign.core.bus import signalled
from sovereign.core.database import in_database
from threads.models import Message, Thread

log = structlog.get_logger(__name__)

POLL = 1.0  # seconds; wake-ups may be lost. 500 threads take 10 ms of CPU (SQLite)
THREADS_A_QUERY = 500

#: What the rooms above tell beside a thread, by the name under which they do: from threads' ids to what each person is
#: told of them. They add to it when they start.
beside: dict[str, Callable[[Collection[str]], Mapping[str, Mapping[int, Any]]]] = {}


@dataclass(frozen=True, slots=True)
class Seen:
    """A thread at a moment.

    :ivar told: what everybody who may see it is told; ``is_gone`` where it is not there.
    :ivar private: what is told beside it, by its name and by person.
    """

    told: Mapping[str, Any]
    private: Mapping[str, Mapping[int, Any]] = field(default_factory=dict)

    def to(self, user_id: int | None) -> dict[str, Any]:
        """What this person is told, or (``None``) a key."""
        if self.told.get("is_gone"):
            return dict(self.told)
        own = {name: [] if user_id is None else told.get(user_id, []) for name, told in self.private.items()}
        return {**self.told, **own}


def look_at(thread_ids: Collection[str]) -> dict[str, Seen]:
    """These threads as they are now: ``{"id", "active_run", "newest_message", "revision"}`` of each.

    A ``revision`` is another one whenever a message came or a run ended.
    """
    newest = Message.objects.filter(thread=OuterRef("pk"), position=OuterRef("last_position")).values("pk")
    columns = ("id", "active_run_id", "last_position", "last_activity_at", Subquery(newest[:1]))
    rows = Thread.objects.standing().filter(pk__any_of=list(thread_ids)).order_by().values_list(*columns)
    private = {name: tell(thread_ids) for name, tell in beside.items()}
    found = {
        thread_id: Seen(
            {
                "id": thread_id,
                "active_run": active_run_id,
                "newest_message": newest_id,
                "revision": f"{int(activity.timestamp() * 1_000_000)}-{position}",
            },
            {name: told.get(thread_id, {}) for name, told in private.items()},
        )
        for thread_id, active_run_id, position, activity, newest_id in rows
    }
    return {thread_id: found.get(thread_id) or Seen({"id": thread_id, "is_gone": True}) for thread_id in thread_ids}


Tell = Callable[[Seen], None]


@dataclass(slots=True)
class Watched:
    """A thread that is watched, as it was when it was last looked at."""

    seen: Seen | None = None
    tells: dict[Tell, bool] = field(default_factory=dict)  # whom to tell, and whether they were


class Watcher:
    """Belongs to one event loop; starts with the first who wants to be told and rests with the last."""

    def __init__(self) -> None:
        self._threads: dict[str, Watched] = {}
        self._woken: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._last_look = -POLL  # at all threads, by the monotonic clock

    def take(self, thread_id: str, tell: Tell) -> None:
        """:param tell: called with how the thread stands as soon as that was read, and after every change. What came
        and went between two looks is not told."""
        self._threads.setdefault(thread_id, Watched()).tells[tell] = False
        self._on_change({"thread": thread_id})
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(), name="watcher")

    def leave(self, thread_id: str, tell: Tell) -> None:
        watched = self._threads[thread_id]
        del watched.tells[tell]
        if not watched.tells:
            del self._threads[thread_id]

    def _on_change(self, payload: dict[str, Any]) -> None:
        if payload["thread"] in self._threads:
            self._woken.add(payload["thread"])
            self._wake.set()

    async def _watch(self) -> None:
        bus.start_bridge()
        unsubscribe = bus.subscribe(bus.THREAD_CHANGED, self._on_change)
        try:
            while self._threads:
                try:
                    await self._look(self._due())
                except DatabaseError as error:
                    log.warning("watch_failed", error=str(error))
                except Exception:  # without a watcher every open chat here would be left behind in silence
                    log.exception("watch_failed")
                await signalled(self._wake, POLL)
                self._wake.clear()
        finally:
            unsubscribe()

    def _due(self) -> list[str]:
        """The threads to look at: those that were woken, and every second all of them."""
        if time.monotonic() - self._last_look >= POLL:
            self._last_look = time.monotonic()
            return list(self._threads)
        return [thread_id for thread_id in self._woken if thread_id in self._threads]

    async def _look(self, thread_ids: list[str]) -> None:
        for start in range(0, len(thread_ids), THREADS_A_QUERY):
            looked_at = thread_ids[start : start + THREADS_A_QUERY]
            self._woken.difference_update(looked_at)
            for thread_id, seen in (await in_database(look_at, looked_at)).items():
                self._tell(thread_id, seen)

    def _tell(self, thread_id: str, seen: Seen) -> None:
        if (watched := self._threads.get(thread_id)) is None:
            return  # left while the query ran
        is_news, watched.seen = seen != watched.seen, seen
        for tell, was_told in watched.tells.items():
            if is_news or not was_told:
                watched.tells[tell] = True
                tell(seen)


_watchers: dict[asyncio.AbstractEventLoop, Watcher] = {}


def watcher() -> Watcher:
    """The running loop's watcher."""
    loop = asyncio.get_running_loop()
    for other in [other for other in _watchers if other.is_closed()]:
        del _watchers[other]
    return _watchers.setdefault(loop, Watcher())
