"""The worker: claims runs, executes many at once in one event loop, and keeps its leases alive."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable

import structlog
from django.db import Error as DatabaseError

from runs.services import leases
from runs.services.leases import Lease
from runs.services.reaping import reap
from runs.states import Status
from runs.worker.chores import CHORES
from runs.worker.execution import Execution, Interruption
from runs.worker.writer import EventWriter
from sovereign.core import bus
from sovereign.core.bus import signalled
from sovereign.core.database import DatabaseExecutor, in_database

log = structlog.get_logger(__name__)

POLL = 0.25  # seconds; wake-ups may be lost
REAP = 1.0  # seconds
CHORE = 0.5  # seconds
CLAIM_BATCH = 16
DRAIN = 20.0  # seconds that running answers may go on after an orderly stop was asked for


class Worker:
    """Executes runs until it is stopped. Any number of workers, in any process, may share a database."""

    def __init__(self, *, concurrency: int, drain: float = DRAIN) -> None:
        self.id = f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._concurrency = concurrency
        self._drain_seconds = drain
        self._executions: dict[str, Execution] = {}
        self._wake = asyncio.Event()
        self._heart = DatabaseExecutor(1, "heartbeat")
        self._database = DatabaseExecutor(2, "worker")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then drain: what does not end in time is handed over to other workers."""
        unsubscribe = bus.subscribe(bus.RUN_WAITING, lambda _: self._wake.set())
        self._writer = EventWriter()
        log.info("worker_started", worker=self.id, concurrency=self._concurrency)
        heart = asyncio.create_task(_every(leases.HEARTBEAT, self._beat), name="heartbeat")
        watch = asyncio.create_task(_every(POLL, self._watch), name="watch")
        loops = [
            asyncio.create_task(self._claim_forever(), name="claim"),
            asyncio.create_task(_every(REAP, self._reap), name="reaper"),
            *(asyncio.create_task(_every(CHORE, chore), name=name) for name, chore in CHORES.items()),
        ]
        try:
            await stop.wait()
        finally:
            unsubscribe()
            await _cancel(loops)
            await self._drain()
            await _cancel([heart, watch])
            await self._writer.close()
            self._heart.shutdown()
            self._database.shutdown()  # waits for a claim that was under way: what it took is given back too
            await self._give_back()
            log.info("worker_stopped", worker=self.id)

    async def _claim_forever(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._claim()
            except DatabaseError as error:
                log.warning("claim_failed", error=str(error))
            except Exception:  # a worker that no longer claims would look healthy
                log.exception("claim_failed")
            await signalled(self._wake, POLL)

    async def _claim(self) -> None:
        while (free := self._concurrency - len(self._executions)) > 0:
            limit, executing = min(free, CLAIM_BATCH), list(self._executions)
            claimed = await self._database.run(leases.claim, worker_id=self.id, limit=limit, executing=executing)
            for lease in claimed:
                self._start(lease)
            if len(claimed) < CLAIM_BATCH:
                return

    def _start(self, lease: Lease) -> None:
        execution = Execution(lease, self._writer)
        self._executions[lease.run_id] = execution
        execution.task.add_done_callback(lambda _: self._forget(execution))

    def _forget(self, execution: Execution) -> None:
        if self._executions.get(execution.lease.run_id) is execution:
            del self._executions[execution.lease.run_id]
        self._wake.set()

    async def _beat(self) -> None:
        if self._executions:
            await self._heart.run(leases.renew, self.id, list(self._executions))

    async def _watch(self) -> None:
        """Cancels and lost leases do not need tokens to flow to be noticed."""
        watched = dict(self._executions)
        if not watched:
            return
        found = await self._heart.run(leases.look_at, list(watched))
        for run_id, execution in watched.items():
            epoch, status = found.get(run_id, (None, None))
            if epoch != execution.lease.epoch:
                execution.interrupt(Interruption.FENCE)
            elif status == Status.CANCELLING:
                execution.interrupt(Interruption.CANCEL)

    async def _reap(self) -> None:
        await self._database.run(reap)

    async def _drain(self) -> None:
        tasks = [execution.task for execution in self._executions.values()]
        if tasks:
            log.info("worker_draining", worker=self.id, runs=len(tasks))
            await asyncio.wait(tasks, timeout=self._drain_seconds)
        remaining = list(self._executions.values())
        for execution in remaining:
            execution.interrupt(Interruption.DRAIN)
        await asyncio.gather(*(execution.task for execution in remaining), return_exceptions=True)

    async def _give_back(self) -> None:
        try:
            await in_database(leases.give_back, self.id)
        except DatabaseError as error:  # the leases run out by themselves
            log.warning("give_back_failed", error=str(error))


async def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do ``work`` again and again; a database that is away for a while ends nothing."""
    while True:
        try:
            await work()
        except DatabaseError as error:
            log.warning("worker_database_error", error=str(error), work=work.__name__)
        except Exception:  # the loop is what keeps leases alive and runs ending
            log.exception("worker_error", work=work.__name__)
        await asyncio.sleep(seconds)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
