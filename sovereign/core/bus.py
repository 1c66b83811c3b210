"""Wake-ups between coroutines, threads and processes.

A message is a topic and a small JSON-able payload, and only ever says "look at the database now": any of them may be
lost, and every listener also polls. Inside a process delivery is direct and thread-safe. Between processes it goes
through the channel layer where Redis is configured; without Redis the others notice by polling.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import structlog
from channels.layers import get_channel_layer
from django.conf import settings

log = structlog.get_logger(__name__)

RUN_EVENTS = "run-events"  # payload: {"runs": [id, …]}: there are new events of theirs
RUN_WAITING = "run-waiting"  # payload: {"run": id}: a run may be claimed, or its status was changed from outside
THREAD_CHANGED = "thread-changed"  # payload: {"thread": id}: messages, its active run, or what is beside them
FILES_WAITING = "files-waiting"  # payload: {"store": id}: files of a vector store may be ingested
FILES_SETTLED = "files-settled"  # payload: {"project": id}: a file of its vector stores is done, however that ended
GROUP = "sovereign.bus"
OUTBOX_LIMIT = 1_000
RECONNECT_DELAY = 1.0  # seconds

Listener = Callable[[dict[str, Any]], None]

_lock = threading.Lock()
_listeners: dict[str, list[tuple[asyncio.AbstractEventLoop, Listener]]] = {}
_bridge: Bridge | None = None


def publish(topic: str, payload: dict[str, Any]) -> None:
    """Tell every listener of ``topic``, here and (with Redis) in the other processes. Never blocks, never fails."""
    _deliver(topic, payload)
    if _bridge is not None:
        _bridge.send(topic, payload)


def subscribe(topic: str, listener: Listener) -> Callable[[], None]:
    """Call ``listener(payload)`` in the running loop for every message; returns the function that ends it."""
    entry = (asyncio.get_running_loop(), listener)
    with _lock:
        _listeners.setdefault(topic, []).append(entry)

    def unsubscribe() -> None:
        with _lock, contextlib.suppress(ValueError):
            _listeners[topic].remove(entry)

    return unsubscribe


async def signalled(event: asyncio.Event, seconds: float) -> bool:
    """Whether ``event`` was set within ``seconds``.

    Not ``asyncio.wait_for``: in Python 3.11 it swallows a cancellation that comes when the event was just set, and the
    loop that should end goes on for ever.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _deliver(topic: str, payload: dict[str, Any]) -> None:
    with _lock:
        entries = tuple(_listeners.get(topic, ()))
    for loop, listener in entries:
        with contextlib.suppress(RuntimeError):  # that loop is closed: its process part is gone
            loop.call_soon_threadsafe(listener, payload)


class Bridge:
    """Carries messages to and from the other processes through the channel layer."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue(OUTBOX_LIMIT)
        self._name = ""
        self._tasks = [asyncio.create_task(self._keep(self._send)), asyncio.create_task(self._keep(self._receive))]

    def send(self, topic: str, payload: dict[str, Any]) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._enqueue, {"topic": topic, "payload": payload})

    def _enqueue(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(asyncio.QueueFull):  # a wake-up may be lost
            self._outbox.put_nowait(message)

    async def _send(self) -> None:
        layer = get_channel_layer()
        while True:
            message = await self._outbox.get()
            await layer.group_send(GROUP, {"type": "bus.message", "from": self._name, **message})

    async def _receive(self) -> None:
        layer = get_channel_layer()
        self._name = await layer.new_channel()
        await layer.group_add(GROUP, self._name)
        while True:
            message = await layer.receive(self._name)
            if message.get("from") != self._name:
                _deliver(message["topic"], message["payload"])

    async def _keep(self, work: Callable[[], Any]) -> None:
        """Redis going away changes latency only: try again for as long as the process lives."""
        while True:
            try:
                await work()
            except Exception as error:  # any failure of a third-party layer means the same: no bridge for now
                log.warning("bus_bridge_lost", error=str(error) or type(error).__name__)
                await asyncio.sleep(RECONNECT_DELAY)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def start_bridge() -> None:
    """Join the other processes, once a process, from its event loop; nothing to do without Redis."""
    global _bridge
    if _bridge is None and settings.SOVEREIGN.redis_url:
        _bridge = Bridge()


async def stop_bridge() -> None:
    global _bridge
    if _bridge is not None:
        bridge, _bridge = _bridge, None
        await bridge.close()
