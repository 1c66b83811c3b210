"""Keeps the registry true about engines that others run, from inside every worker process.

Several processes may watch at once: a probe is claimed with a conditional update, and so is done by one of them.
A hung engine is noticed where it matters, in the process whose calls wait on it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.conf import settings
from django.db import Error as DatabaseError

from inference import resolution, services
from inference.adapters.base import Endpoint, Served
from inference.adapters.transport import transport
from inference.chat import EngineUnavailable
from inference.endpoints import endpoint_of
from inference.engines.load import Report, read_load
from inference.engines.probing import Limited, ProbeFailed, about, canary, is_vllm, list_models
from inference.engines.status import destination, log_destinations
from inference.models import Engine, Provider
from inference.services.environment import RENEWED
from sovereign.core import bus
from sovereign.core.database import in_database, now

log = structlog.get_logger(__name__)

TICK = 0.5  # seconds between two looks at the rows
READY_INTERVAL = timedelta(seconds=10)  # between two lists of models of a working engine
TOKEN_INTERVAL = timedelta(seconds=30)  # without a token, one is asked for
FIRST_RETRY = timedelta(seconds=1)  # doubled with every failure …
LAST_RETRY = timedelta(seconds=15)  # … up to this
WANTED_INTERVAL = RENEWED.total_seconds()  # between two times of saying that what the environment describes is wanted
KEYLESS_INTERVAL = timedelta(seconds=30)  # before a process that lacks a provider's key says that nobody asks it
STALLED_AFTER = 2.5  # seconds that calls wait without any token before the engine is suspected
STALLED_INTERVAL = timedelta(seconds=3)
CANARY_TIMEOUT = 60.0  # seconds; some engines load a model on its first request
VLLM_CANARY_TIMEOUT = 30.0  # seconds; vLLM serves a canary between the steps of others
STALLED = "The engine stopped answering."


async def run_monitor() -> None:
    """Watch the engines of all providers until cancelled."""
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


async def say_wanted_until(stop: asyncio.Event) -> None:
    """In a process that has no monitor: what its environment describes is wanted, also where no worker has it."""
    while True:
        try:
            await in_database(services.keep_environment)
        except DatabaseError as error:
            log.warning("environment_not_kept", error=type(error).__name__)
        if await bus.signalled(stop, WANTED_INTERVAL):
            return


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


def is_paid(engine: Engine, served: Served) -> bool:
    """Whether every token may cost money: then nobody is asked for one, and the list of models has to do."""
    provider = engine.provider
    if provider is None or provider.kind == Provider.Kind.OLLAMA:
        return False
    if provider.kind != Provider.Kind.OPENAI_COMPATIBLE:
        return True
    return not provider.inner_network and not is_vllm(served)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a probe found."""

    served: Served
    load: Report


class _Watch:
    def __init__(self) -> None:
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._wanted = set(services.configured_providers(settings.SOVEREIGN))
        self._said_wanted: float | None = None  # when, by the monotonic clock
        self._told: list[str] | None = None

    async def tick(self) -> None:
        engines, instant = await in_database(_engines_of_providers)
        missing = self._wanted - {engine.name for engine in engines}
        if missing or self._said_wanted is None:
            await in_database(services.synchronise_environment)
            self._said_wanted = time.monotonic()
            engines, instant = await in_database(_engines_of_providers)
        elif time.monotonic() - self._said_wanted >= WANTED_INTERVAL:
            await in_database(services.keep_environment)
            self._said_wanted = time.monotonic()
        self._tell(engines)
        for engine in engines:
            if engine.id not in self._probes and (interval := self._due(engine, instant)) is not None:
                task = asyncio.create_task(self._probe(engine, interval), name=f"probe {engine.id}")
                self._probes[engine.id] = task
                task.add_done_callback(partial(self._ended, engine.id))

    def _tell(self, engines: list[Engine]) -> None:
        """Log where words may go, at the start and whenever it is decided otherwise."""
        places = [destination(engine.provider) for engine in engines if engine.provider is not None]
        if places != self._told:
            self._told = places
            log_destinations(places)

    def _due(self, engine: Engine, instant: datetime) -> timedelta | None:
        """The interval after which a probe is due, if it is due now."""
        interval = STALLED_INTERVAL if transport().stalled(engine.id, STALLED_AFTER) else probe_interval(engine)
        return interval if engine.probed_at is None or instant - engine.probed_at >= interval else None

    def _ended(self, engine_id: str, task: asyncio.Task[None]) -> None:
        self._probes.pop(engine_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("engine_probe_failed", engine=engine_id, error=type(error).__name__)

    async def _probe(self, engine: Engine, interval: timedelta) -> None:
        try:
            endpoint = endpoint_of(engine, "")
        except EngineUnavailable as error:  # another process may have the key: this one speaks up where none does
            if await in_database(services.claim_probe, engine_id=engine.id, interval=KEYLESS_INTERVAL):
                await self._failed(engine, error.detail)
            return
        if not await in_database(services.claim_probe, engine_id=engine.id, interval=interval):
            return
        begun = time.monotonic()
        try:
            served = await list_models(endpoint, engine.address)
        except Limited as limited:  # alive, and what it serves was seen before: else it is not known to work
            if not engine.served:
                await self._failed(engine, str(limited))
                return
            served = Served(engine.served, engine.capabilities)
        except ProbeFailed as failure:
            await self._failed(engine, str(failure))
            transport_ = transport()
            if transport_.stalled(engine.id, STALLED_AFTER):
                transport_.abort(engine.id, STALLED)
            return
        latency = round((time.monotonic() - begun) * 1000)
        await self._prove(engine, Seen(served, {**await _load(endpoint, served), "latency_ms": latency}))

    async def _prove(self, engine: Engine, seen: Seen) -> None:
        """The engine lists its models; see a token where none was seen lately, and costs nothing."""
        served = seen.served
        if not served.models:
            await self._failed(engine, f"{engine.address} serves no models.")
            return
        engine.served, engine.capabilities = served.models, served.capabilities  # of this row in memory
        model = await in_database(_canary_model, engine)
        if model is None or is_paid(engine, served):
            await self._worked(engine, seen, works=True)
            return
        stalled = transport().stalled(engine.id, STALLED_AFTER)
        if stalled and not is_vllm(served):
            return  # one request at a time, perhaps, and a long prompt: its own time-outs decide
        if not stalled and not wants_token(engine, await in_database(now)):
            await self._worked(engine, seen, works=False)
            return
        try:
            endpoint = replace(endpoint_of(engine, model), engine_id="")  # it is no call that somebody waits for
            await canary(endpoint, VLLM_CANARY_TIMEOUT if is_vllm(served) else CANARY_TIMEOUT)
        except ProbeFailed as failure:
            await self._failed(engine, about(engine.address, str(failure)))
            if stalled:
                transport().abort(engine.id, STALLED)
            return
        await self._worked(engine, seen, works=True, token=True)

    async def _worked(self, engine: Engine, seen: Seen, *, works: bool, token: bool = False) -> None:
        await in_database(
            services.record_probe,
            engine=engine,
            served=seen.served.models,
            capabilities=seen.served.capabilities,
            token=token,
            works=works,
            load=seen.load,
        )
        if works and engine.state != Engine.State.READY:
            log.info("engine_ready", engine=engine.name, address=engine.address, models=len(seen.served.models))

    async def _failed(self, engine: Engine, reason: str) -> None:
        if engine.state != Engine.State.DOWN or engine.reason != reason:
            log.warning("engine_down", engine=engine.name, reason=reason)
        await in_database(services.mark_down, engine_id=engine.id, reason=reason, base_url=engine.base_url)

    async def close(self) -> None:
        tasks = list(self._probes.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _engines_of_providers() -> tuple[list[Engine], datetime]:
    return list(Engine.objects.of_providers()), now()


async def _load(endpoint: Endpoint, served: Served) -> Report:
    """How busy a vLLM is; others do not say."""
    load = await read_load(endpoint) if is_vllm(served) else None
    return load.report() if load is not None else {}


def _canary_model(engine: Engine) -> str | None:
    """The default model, else the first that chats, else one that makes vectors; ``None`` where none does either."""
    able = {entry["id"]: engine.abilities(entry["id"]) for entry in engine.served}
    chatting = [name for name, abilities in able.items() if abilities.chat]
    default = resolution.default_model()
    if default in chatting:
        return default
    return next(iter(chatting), None) or next((name for name, abilities in able.items() if abilities.embeddings), None)
