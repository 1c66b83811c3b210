"""Keeps the registry true about engines that others run, from inside every worker process.

Several processes may watch at once: a probe is claimed with a conditional update, and so is done by one of them.
A hung engine is noticed where it matters, in the process whose calls wait on it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.conf import settings
from django.db import Error as DatabaseError

from inference import resolution, services
from inference.adapters.base import Endpoint
from inference.adapters.transport import transport
from inference.endpoints import endpoint_of
from inference.engines.probing import ProbeFailed, Served, canary, list_models
from inference.models import Engine
from sovereign.core.database import in_database, now

log = structlog.get_logger(__name__)

TICK = 0.5  # seconds between two looks at the rows
READY_INTERVAL = timedelta(seconds=10)  # between two lists of models of a working engine
TOKEN_INTERVAL = timedelta(seconds=30)  # without a token, one is asked for
FIRST_RETRY = timedelta(seconds=1)  # doubled with every failure …
LAST_RETRY = timedelta(seconds=15)  # … up to this
STALLED_AFTER = 2.5  # seconds that calls wait without any token before the engine is suspected
STALLED_INTERVAL = timedelta(seconds=3)
CANARY_TIMEOUT = 60.0  # seconds; some engines load a model on its first request
VLLM_CANARY_TIMEOUT = 30.0  # seconds; vLLM serves a canary between the steps of others
STALLED = "The engine stopped answering."


async def run_monitor() -> None:
    """Watch all external engines until cancelled."""
    watch = _Watch()
    try:
        while True:
            try:
                await watch.tick()
            except DatabaseError as error:  # it comes back, or the worker's own work ends the process
                log.warning("engine_monitor_paused", error=type(error).__name__)
            await asyncio.sleep(TICK)
    finally:
        await watch.close()


def probe_interval(engine: Engine) -> timedelta:
    """How long after the last probe the next one is due."""
    if engine.state == Engine.State.READY:
        return READY_INTERVAL
    return min(FIRST_RETRY * 2 ** min(engine.failures, 10), LAST_RETRY)


def wants_token(engine: Engine, instant: datetime) -> bool:
    """Whether nothing shows that this engine produces tokens."""
    if engine.state != Engine.State.READY or engine.last_token_at is None:
        return True
    return instant - engine.last_token_at > TOKEN_INTERVAL


class _Watch:
    def __init__(self) -> None:
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._synchronised = False
        self._wanted = set(services.configured_providers(settings.SOVEREIGN))

    async def tick(self) -> None:
        engines, instant = await in_database(_external_engines)
        missing = self._wanted - {engine.name for engine in engines}
        if missing or not self._synchronised:  # missing: a process without that setting began after us
            await in_database(services.synchronise_environment)
            self._synchronised = True
            engines, instant = await in_database(_external_engines)
        for engine in engines:
            if engine.id not in self._probes and (interval := self._due(engine, instant)) is not None:
                task = asyncio.create_task(self._probe(engine, interval), name=f"probe {engine.id}")
                self._probes[engine.id] = task
                task.add_done_callback(partial(self._ended, engine.id))

    def _due(self, engine: Engine, instant: datetime) -> timedelta | None:
        """The interval after which a probe is due, if it is due now."""
        interval = STALLED_INTERVAL if transport().stalled(engine.id, STALLED_AFTER) else probe_interval(engine)
        return interval if engine.probed_at is None or instant - engine.probed_at >= interval else None

    def _ended(self, engine_id: str, task: asyncio.Task[None]) -> None:
        self._probes.pop(engine_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("engine_probe_failed", engine=engine_id, error=type(error).__name__)

    async def _probe(self, engine: Engine, interval: timedelta) -> None:
        if not await in_database(services.claim_probe, engine_id=engine.id, interval=interval):
            return
        try:
            served = await list_models(engine.base_url, engine.key(), engine.address)
        except ProbeFailed as failure:
            await self._failed(engine, str(failure))
            transport_ = transport()
            if transport_.stalled(engine.id, STALLED_AFTER):
                transport_.abort(engine.id, STALLED)
            return
        await self._prove(engine, served)

    async def _prove(self, engine: Engine, served: Served) -> None:
        """The engine lists its models; see a token where none was seen lately."""
        stalled = transport().stalled(engine.id, STALLED_AFTER)
        if stalled and not served.is_vllm:
            return  # one request at a time, perhaps, and a long prompt: its own time-outs decide
        model = await in_database(_canary_model, served)
        if model is None:
            await self._failed(engine, f"{engine.address} serves no models.")
            return
        if not stalled and not wants_token(engine, await in_database(now)):
            await self._worked(engine, served, token=False)
            return
        try:
            await canary(_endpoint(engine, model), VLLM_CANARY_TIMEOUT if served.is_vllm else CANARY_TIMEOUT)
        except ProbeFailed as failure:
            reason = str(failure)
            await self._failed(engine, reason if engine.address in reason else f"{engine.address}: {reason}")
            if stalled:
                transport().abort(engine.id, STALLED)
            return
        await self._worked(engine, served, token=True)

    async def _worked(self, engine: Engine, served: Served, *, token: bool) -> None:
        await in_database(
            services.record_probe,
            engine=engine,
            served=served.models,
            capabilities=served.capabilities,
            token=token,
        )
        if token and engine.state != Engine.State.READY:
            log.info("engine_ready", engine=engine.name, address=engine.address, models=len(served.models))

    async def _failed(self, engine: Engine, reason: str) -> None:
        if engine.state != Engine.State.DOWN or engine.reason != reason:
            log.warning("engine_down", engine=engine.name, reason=reason)
        await in_database(services.mark_down, engine_id=engine.id, reason=reason, base_url=engine.base_url)

    async def close(self) -> None:
        tasks = list(self._probes.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _external_engines() -> tuple[list[Engine], datetime]:
    return list(Engine.objects.of_providers()), now()


def _canary_model(served: Served) -> str | None:
    names = [entry["id"] for entry in served.models]
    default = resolution.default_model()
    return default if default in names else next(iter(names), None)


def _endpoint(engine: Engine, model: str) -> Endpoint:
    """Without the engine's id: a canary is no call that somebody waits for."""
    return replace(endpoint_of(engine, model), engine_id="")
