"""The event writer: collects what a worker's runs produce and commits it, all runs in one transaction."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import structlog
from django.db import Error as DatabaseError

from runs.services.flushing import Batch, Delta, Operation, Outcome, flush
from runs.services.leases import Lease
from sovereign.core.bus import signalled
from sovereign.core.database import DatabaseExecutor

log = structlog.get_logger(__name__)

FLUSH_PAUSE = 0.025  # seconds between the end of a commit and the next one that only carries deltas …
PAUSE_OF_RUN = 0.003  # … and for each of its runs, where that is longer: every event is sent to somebody
LONGEST_PAUSE = 0.1
RETRY_DELAY = 0.25  # seconds, while the database is away
PENDING_LIMIT = 256 * 1024  # characters of one run that wait for a commit before its model is slowed down


class Fenced(Exception):
    """The run belongs to somebody else now, or is over: whatever this worker still has to say is void."""


class Stopping(Exception):
    """Somebody asked for the run's cancellation."""


@dataclass(slots=True)
class Channel:
    """One execution's way to the writer: what waits, what is being written, and how it ended."""

    lease: Lease
    items: list[Operation | Delta] = field(default_factory=list)
    characters: int = 0
    urgent: bool = False
    written: int = 0  # batches
    waiters: list[asyncio.Future[None]] = field(default_factory=list)
    failure: Exception | None = None


class EventWriter:
    """Flushes until it is closed. An idle writer flushes at once; under output it pauses between flushes."""

    def __init__(self) -> None:
        self._executor = DatabaseExecutor(1, "event-flush")
        self._channels: dict[str, Channel] = {}
        self._wake = asyncio.Event()
        self._gathers_until = 0.0  # by the monotonic clock
        self._task = asyncio.create_task(self._run(), name="event-writer")

    def open(self, lease: Lease) -> Channel:
        channel = Channel(lease)
        self._channels[lease.run_id] = channel
        return channel

    def discard(self, channel: Channel) -> None:
        """The execution is over; nothing more of it is written."""
        if self._channels.get(channel.lease.run_id) is channel:
            del self._channels[channel.lease.run_id]

    async def add_delta(self, channel: Channel, delta: Delta) -> None:
        """Queue a piece of a message or of a tool call; slows a model down that is faster than the database.

        Raises what became of the run in the meantime.
        """
        self._check(channel)
        if not (channel.items and isinstance(channel.items[-1], Delta) and channel.items[-1].absorb(delta)):
            channel.items.append(delta)
        channel.characters += delta.size
        self._wake.set()
        if channel.characters > PENDING_LIMIT:
            await self._written(channel)

    def add(self, channel: Channel, operation: Operation) -> None:
        """Queue an operation, to be written without delay but not waited for."""
        self._check(channel)
        channel.items.append(operation)
        channel.urgent = True
        self._wake.set()

    async def commit(self, channel: Channel, *operations: Operation) -> None:
        """Queue operations and wait until they, and all before them, are durable."""
        for operation in operations:
            self.add(channel, operation)
        await self._written(channel)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._executor.shutdown()

    @staticmethod
    def _check(channel: Channel) -> None:
        if channel.failure is not None:
            raise channel.failure

    async def _written(self, channel: Channel) -> None:
        self._check(channel)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        channel.waiters.append(waiter)
        channel.urgent = True
        self._wake.set()
        await waiter

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await self._pause()
            self._wake.clear()
            channels = [channel for channel in self._channels.values() if channel.items or channel.waiters]
            if channels:
                await self._flush(channels)

    async def _pause(self) -> None:
        """Let deltas gather, unless something urgent waits."""
        while (rest := self._gathers_until - time.monotonic()) > 0:
            if any(channel.urgent for channel in self._channels.values()):
                return
            self._wake.clear()
            if not await signalled(self._wake, rest):
                self._wake.set()
                return

    async def _flush(self, channels: list[Channel]) -> None:
        batches = [Batch(c.lease, c.written + 1, c.items) for c in channels if c.items]
        waiters = [(channel, channel.waiters) for channel in channels]
        for channel in channels:
            channel.items, channel.waiters, channel.characters, channel.urgent = [], [], 0, False
        outcomes = await self._insist(batches) if batches else {}
        self._gathers_until = time.monotonic() + pause_after(len(batches))
        for batch in batches:
            self._settle(batch, outcomes.get(batch.lease.run_id))
        for channel, futures in waiters:
            for future in futures:
                if not future.done():
                    future.set_exception(channel.failure) if channel.failure else future.set_result(None)

    async def _insist(self, batches: list[Batch]) -> dict[str, Outcome]:
        """A database that is away loses nothing: the same batches are offered until it takes them."""
        while True:
            try:
                return await self._executor.run(flush, batches)
            except DatabaseError as error:
                log.warning("flush_failed", error=str(error), runs=len(batches))
                await asyncio.sleep(RETRY_DELAY)

    def _settle(self, batch: Batch, outcome: Outcome | None) -> None:
        channel = self._channels.get(batch.lease.run_id)
        if channel is None or channel.lease != batch.lease:
            return
        if outcome is None:
            channel.failure = Fenced(batch.lease.run_id)
        elif outcome.error is not None:
            channel.failure = outcome.error  # nothing was written: the number stays free
            channel.items = []  # … and what came behind it has nothing to stand on
        else:
            channel.written = batch.number
            if outcome.status == "cancelling":
                channel.failure = Stopping(batch.lease.run_id)


def pause_after(runs: int) -> float:
    """Seconds in which the deltas of so many runs gather."""
    return min(max(FLUSH_PAUSE, runs * PAUSE_OF_RUN), LONGEST_PAUSE)
