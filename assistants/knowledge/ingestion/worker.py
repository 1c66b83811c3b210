"""The worker that makes files searchable: it claims them, works on a few at once, and keeps its leases alive."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import Error as DatabaseError

from assistants.knowledge.ingestion import leases, outcomes, presence, reembedding
from assistants.knowledge.ingestion.leases import Lease
from assistants.knowledge.ingestion.work import RETRIES, Ingestion
from sovereign.core import bus
from sovereign.core.bus import signalled
from sovereign.core.database import DatabaseExecutor

log = structlog.get_logger(__name__)

PLACES = 3  # files that are worked on at once …
PLACES_OF_PROJECT = 2  # … and of one project: however much it has, others need not wait for it
POLL = 0.5  # seconds; wake-ups may be lost
REAP = 2.0  # seconds
REEMBED = 30.0  # seconds between two looks for vectors of another model
AFTER_A_MISTAKE = 5.0  # seconds until a file is tried again
DRAIN = 5.0  # seconds that work may go on after an orderly stop was asked for


@dataclass(frozen=True, slots=True)
class _Execution:
    lease: Lease
    task: asyncio.Task[None]


class IngestionWorker:
    """Makes files searchable until it is stopped. Any number of workers, in any process, may share a database."""

    def __init__(self, *, drain: float = DRAIN) -> None:
        self.id = f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._drain_seconds = min(drain, DRAIN)
        self._executions: dict[int, _Execution] = {}
        self._wake = asyncio.Event()
        self._heart = DatabaseExecutor(1, "ingestion-heartbeat")
        self._database = DatabaseExecutor(PLACES, "ingestion")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; what does not end soon after is given back to other workers."""
        unsubscribe = bus.subscribe(bus.FILES_WAITING, lambda _: self._wake.set())
        alive = [_repeat(leases.HEARTBEAT, self._beat), _repeat(POLL, self._watch)]
        loops = [self._claim_forever(), _repeat(REAP, self._reap), _repeat(REEMBED, self._reembed)]
        keeping, working = ([asyncio.create_task(loop) for loop in some] for some in (alive, loops))
        presence.arrive(self.id)
        log.info("ingestion_started", worker=self.id)
        try:
            await stop.wait()
        finally:
            presence.leave(self.id)
            unsubscribe()
            await _cancel(working)
            await self._drain()
            await _cancel(keeping)
            await asyncio.to_thread(self._close)
            log.info("ingestion_stopped", worker=self.id)

    async def _claim_forever(self) -> None:
        while True:
            self._wake.clear()
            await _attempt(self._claim)
            await signalled(self._wake, POLL)

    async def _claim(self) -> None:
        held = {member: execution.lease.project_id for member, execution in self._executions.items()}
        claimed = await self._database.run(
            leases.claim, worker_id=self.id, limit=PLACES - len(held), of_project=PLACES_OF_PROJECT, executing=held
        )
        for lease in claimed:
            self._start(lease, Ingestion(lease, self._database).run())

    async def _reembed(self) -> None:
        """File by file, beside what is new: only what is left of the machine's time goes into it."""
        for project_id, space in await reembedding.outdated(self._database):
            while lease := await self._database.run(reembedding.claim, self.id, project_id, space.name):
                await asyncio.wait([self._start(lease, reembedding.reembed(lease, space, self._database))])

    def _start(self, lease: Lease, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(lease, work), name=f"ingestion-{lease.member_id}")
        self._executions[lease.member_id] = _Execution(lease, task)
        task.add_done_callback(lambda _: self._forget(lease))
        return task

    async def _guarded(self, lease: Lease, work: Coroutine[Any, Any, None]) -> None:
        """A mistake ends one piece of work, which is tried again, and not the worker."""
        try:
            await work
        except Exception:
            log.exception("ingestion_failed", member=lease.member_id)
            with suppress(DatabaseError):  # then the lease runs out
                await self._database.run(outcomes.stumble, lease, AFTER_A_MISTAKE, RETRIES)

    def _forget(self, lease: Lease) -> None:
        execution = self._executions.get(lease.member_id)
        if execution is not None and execution.lease is lease:
            del self._executions[lease.member_id]
        self._wake.set()
        bus.publish(bus.FILES_SETTLED, {"project": lease.project_id})

    async def _beat(self) -> None:
        if self._executions:
            await self._heart.run(leases.renew, self.id, list(self._executions))

    async def _watch(self) -> None:
        """What was cancelled, deleted or lost is left where it is: its results would not be taken."""
        executions = dict(self._executions)
        if not executions:
            return
        for member in await self._heart.run(leases.lost, [execution.lease for execution in executions.values()]):
            executions[member].task.cancel()

    async def _reap(self) -> None:
        await self._database.run(outcomes.fail_poisoned)

    async def _drain(self) -> None:
        tasks = [execution.task for execution in self._executions.values()]
        if tasks:
            log.info("ingestion_draining", worker=self.id, files=len(tasks))
            await asyncio.wait(tasks, timeout=self._drain_seconds)
        await _cancel(tasks)

    def _close(self) -> None:
        """Waits for what is under way in the database; what a late claim took is given back too."""
        self._database.shutdown()
        try:
            self._heart.submit(leases.give_back, self.id).result()
        except DatabaseError as error:  # the leases run out by themselves
            log.warning("give_back_failed", error=str(error))
        self._heart.shutdown()


async def _repeat(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await _attempt(work)
        await asyncio.sleep(seconds)


async def _attempt(work: Callable[[], Awaitable[None]]) -> None:
    """Neither a database that is away for a while nor a mistake ends the loop that everything depends on."""
    try:
        await work()
    except DatabaseError as error:
        log.warning("ingestion_database_error", error=str(error), work=work.__name__)
    except Exception:
        log.exception("ingestion_error", work=work.__name__)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
