"""One process for everything: Daphne, the worker and the local engine's supervisor, in one event loop.

Daphne has no lifespan hook, so the order of starting and stopping stands here: Twisted's asyncio reactor is installed
first (importing ``http_server`` does it), the worker starts in that loop, and on SIGTERM or Ctrl-C everything is
drained *before* the reactor stops.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

import structlog
from django.conf import settings
from django.core.management.base import CommandError

from inference import gateway
from inference.engines.monitor import say_wanted_until
from runs.worker.process import Companion, reap_until, work_until
from sovereign.core import bus, descriptors
from sovereign.management.local_engine import run_local_engine
from sovereign.management.local_interpreter import install_where_missing

log = structlog.get_logger(__name__)

REQUESTS_END = 10.0  # seconds in which requests are answered once the runs have ended


def refuse_taken_port(host: str, port: int) -> None:
    """:raises CommandError: one sentence, before anything was started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CommandError(f"Port {port} is taken. Set SOVEREIGN_PORT to another one.") from None
            raise CommandError(f"Cannot listen on {host}:{port}: {error.strerror}.") from None


class Product:
    """Daphne and, unless it serves pages only, a worker with the local engine."""

    def __init__(self, *, host: str, port: int, with_worker: bool) -> None:
        self._host, self._port, self._with_worker = host, port, with_worker
        self._stop = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None

    def run(self, announce: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; ``announce`` is called when requests are answered."""
        descriptors.allow_many()
        from sovereign.asgi import application
        from sovereign.management.http_server import BoundedServer, reactor

        self._reactor = reactor
        server = BoundedServer(
            application,
            endpoints=[f"tcp:port={self._port}:interface={self._host.replace(':', chr(92) + ':')}"],
            signal_handlers=False,
            verbosity=0,
            server_name="sovereign",
        )
        self._server = server
        reactor.callWhenRunning(self._start, announce)
        server.run()

    def _start(self, announce: Callable[[], None]) -> None:
        loop = asyncio.get_event_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask_to_stop)
        self._work = loop.create_task(self._worker() if self._with_worker else self._pages_only())
        self._work.add_done_callback(self._on_work_ended)
        announce()

    async def _worker(self) -> None:
        companion: Companion | None = None if settings.SOVEREIGN.engine_url else run_local_engine
        installing = asyncio.create_task(install_where_missing(), name="interpreter-install")
        try:
            await work_until(self._stop, concurrency=settings.SOVEREIGN.worker_concurrency, companion=companion)
        finally:
            installing.cancel()
            await asyncio.gather(installing, return_exceptions=True)

    async def _pages_only(self) -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(reap_until(self._stop))
            both.create_task(say_wanted_until(self._stop))

    def _on_work_ended(self, task: asyncio.Task[None]) -> None:
        """A worker that ends by itself takes the process with it: a supervisor can see that and start it again."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("worker_died", exc_info=error)
        self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        if self._stopping is None:
            self._stopping = asyncio.get_event_loop().create_task(self._shut_down())

    async def _shut_down(self) -> None:
        """No new connections, the runs to their end or handed over, the engine, the requests, and then the reactor."""
        log.info("stopping")
        for listener in self._server.listeners:
            listener.addCallback(lambda port: port.stopListening())
        self._stop.set()
        if self._work is not None:
            await asyncio.gather(self._work, return_exceptions=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._server.requests_end(), REQUESTS_END)
        await gateway.close()  # which writes down what the last model calls took
        await bus.stop_bridge()
        self._reactor.stop()
