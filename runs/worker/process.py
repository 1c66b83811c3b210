"""A whole process that executes runs and ingests files, with what that needs: the bus and the engines' monitor."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from django.db import Error as DatabaseError

from assistants.knowledge.ingestion.worker import IngestionWorker
from inference import gateway
from inference.engines import monitor
from runs.services.reaping import reap
from runs.tools.interpreter import hosting
from runs.worker.reporting import report
from runs.worker.worker import DRAIN, REAP, Worker
from sovereign.core import bus, descriptors
from sovereign.core.database import in_database

log = structlog.get_logger(__name__)

#: (stop, draining): ``draining`` is set when the worker is to stop, ``stop`` when it has
Companion = Callable[[asyncio.Event, asyncio.Event], Coroutine[Any, Any, None]]


async def run_worker_process(*, concurrency: int, drain: float = DRAIN, companion: Companion | None = None) -> None:
    """Work until SIGTERM or SIGINT, then drain. ``companion`` runs beside (an engine's supervisor)."""
    descriptors.allow_many()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await work_until(stop, concurrency=concurrency, drain=drain, companion=companion)
    finally:
        await gateway.close()


async def work_until(
    stop: asyncio.Event, *, concurrency: int, drain: float = DRAIN, companion: Companion | None = None
) -> None:
    """The workers and their companions in the running loop, ended in order: runs and files first, then the engine.

    The gateway stays open: where pages are served too, their requests may still be answered by models.

    :raises Exception: what the companion raised; the worker is drained all the same.
    """
    bus.start_bridge()
    watching = asyncio.create_task(monitor.run_monitor(), name="engine-monitor")
    reporting = asyncio.create_task(report(), name="interpreter-report")
    ingesting = asyncio.create_task(IngestionWorker(drain=drain).run(stop), name="ingestion")
    engine_stop = asyncio.Event()
    engine = None
    if companion is not None:
        engine = asyncio.create_task(companion(engine_stop, stop), name="engine")
        engine.add_done_callback(lambda _: stop.set())
    try:
        await Worker(concurrency=concurrency, drain=drain).run(stop)
    finally:
        stop.set()  # what ended the worker ends the ingestion, which drains at the same time
        await asyncio.gather(ingesting, return_exceptions=True)
        engine_stop.set()
        for task in (watching, reporting):
            task.cancel()
        await asyncio.gather(watching, reporting, return_exceptions=True)
        await hosting.close()
        await bus.stop_bridge()
        if engine is not None:
            await engine


async def reap_until(stop: asyncio.Event) -> None:
    """End overdue runs where no worker lives in this process: expiry must not depend on one."""
    while not await bus.signalled(stop, REAP):
        try:
            await in_database(reap)
        except DatabaseError as error:
            log.warning("reaper_paused", error=type(error).__name__)
