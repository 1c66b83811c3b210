"""Keeps one vLLM running: starts or adopts it, proves with real tokens that it works, and starts it again when not.

The engine outlives its supervisor for a minute (its guard sees to that), so that a restarted one finds it loaded; it
ends with an orderly stop. Requests on an engine that dies fail by themselves, since their connections break.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.db import Error as DatabaseError

from inference import services
from inference.adapters.base import Endpoint
from inference.adapters.transport import transport
from inference.engines import vllm
from inference.engines.circuit import Circuit, Timing
from inference.engines.diagnosis import ending, explain, stage
from inference.engines.load import Report, ask
from inference.engines.probing import ProbeFailed, list_models
from inference.engines.process import EngineProcess, Slot, Turn, free_port
from inference.engines.pulse import COMPUTING, Pulse, Unable
from inference.models import Engine
from sovereign.core.database import in_database, now

log = structlog.get_logger(__name__)

HUNG = "It stopped producing tokens."
STUCK = "It stopped while it was loading."
STOPPING = "It is being stopped."
ASLEEP = "It sleeps until it is wanted."
IN_TURN = "Waiting until another model has been loaded onto the GPU."
WAKING = "Waking up."
NOT_WOKEN = "It did not wake up from its sleep."


class Supervisor:
    """One engine. ``run`` is the whole life of it."""

    def __init__(self, launch: vllm.Launch, slot: Slot, timing: Timing, draining: asyncio.Event | None = None) -> None:
        self.launch = launch
        self.slot = slot
        self.timing = timing
        self.process = EngineProcess(slot.folder, adoption=timing.adoption)
        self._draining = draining or asyncio.Event()
        self._circuit = Circuit(timing)
        self._turn = Turn()
        self._engine_id = ""
        self._key = secrets.token_urlsafe(32)
        self._served = launch.served
        self._base_url = ""
        self._state: str = Engine.State.LOADING
        self._reason = ""
        self._pulse = self._new_pulse()
        self._changed = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set (or this is cancelled); the engine ends with it."""
        beating: asyncio.Task[None] | None = None
        try:
            adopted = await self._begin(stop)
            beating = asyncio.create_task(self._beat(), name="engine heartbeat")
            while not stop.is_set():
                if not adopted and not await self._start(stop):
                    break
                adopted = False
                reason = await self._serve(stop)
                if reason is not None:
                    await self._recover(reason, stop)
            await self._drain()
        finally:
            if beating is not None:
                beating.cancel()
                await asyncio.gather(beating, return_exceptions=True)
            await self.process.end()
            self._turn.release()
            with contextlib.suppress(DatabaseError):
                await in_database(services.close_engine, engine_id=self._engine_id)
            log.info("engine_stopped", engine=self.launch.name)

    # beginning

    async def _begin(self, stop: asyncio.Event) -> bool:
        """Adopt an engine (true) or make the row of a new one; a database that is away is waited for."""
        while not stop.is_set():
            try:
                if await self._adopt():
                    return True
                await self._open()
                return False
            except DatabaseError as error:
                log.warning("engine_waits_for_database", engine=self.launch.name, error=type(error).__name__)
                await _pause(stop, self.timing.first_retry)
        return False

    async def _adopt(self) -> bool:
        """Take over the engine that an earlier supervisor of this slot left running."""
        record = self.process.find()
        if record is not None and record.get("fingerprint") == self._fingerprint():
            engine = await in_database(_row, str(record.get("engine")))
            if engine is not None and (key := engine.key()):
                self._engine_id, self._key = engine.id, key
                self._base_url, self._state, self._served = str(record["base_url"]), engine.state, engine.served
                if self._state == Engine.State.DOWN:  # of what was before: it is asked again
                    self._state = Engine.State.LOADING
                self._pulse = self._new_pulse()
                self.process.beat()
                log.info("engine_adopted", engine=self.launch.name)
                return True
        await self.process.end()
        return False

    async def _open(self) -> None:
        engine = await in_database(
            services.open_engine,
            name=self.launch.name,
            source=self.launch.source,
            context_length=self.launch.context_length,
            supervisor_id=self.slot.supervisor_id,
            key=self._key,
            served=self._served,
        )
        self._engine_id = engine.id

    async def _start(self, stop: asyncio.Event) -> bool:
        """Begin to load, when it is our turn; false where ``stop`` came first."""
        while self.launch.memory.gpu and not self._turn.take():
            self._say(Engine.State.LOADING, IN_TURN)
            await _pause(stop, self.timing.poll)
            if stop.is_set():
                return False
        port = self.launch.port or free_port(self.launch.host)
        self._base_url = self.launch.url(port)
        memory = await asyncio.to_thread(self.launch.memory.flags)
        record = {"engine": self._engine_id, "base_url": self._base_url, "fingerprint": self._fingerprint()}
        self.process.start(
            [*self.launch.command, *memory, *vllm.address_flags(self.launch.host, port)],
            {**self.launch.memory.environment(), **self.launch.environment, **vllm.key_environment(self._key)},
            record,
        )
        self._pulse = self._new_pulse()
        self._say(Engine.State.LOADING, "")
        log.info("engine_started", engine=self.launch.name, port=port, log=str(self.process.log_file))
        return True

    def _new_pulse(self) -> Pulse:
        return Pulse(
            self._endpoint(),
            lambda: self._engine_id,
            lambda: self.process.cpu_seconds(),
            self.timing,
            makes_vectors=self.launch.makes_vectors,
        )

    def _fingerprint(self) -> str:
        """What must be the same for an engine to be adopted: command, address, and the files of its model."""
        folder = Path(self.launch.source)
        files = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.glob("*.*"))
        address = [self.launch.host, self.launch.port, self.launch.sleep_after is not None]
        return hashlib.sha256(json.dumps([self.launch.command, address, files]).encode()).hexdigest()

    # working

    async def _serve(self, stop: asyncio.Event) -> str | None:
        """Until the engine fails, which is what is returned, or ``stop`` is set."""
        tasks = [asyncio.create_task(work) for work in (self._until_ended(), self._until_silent(), _until(stop))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[2] in done:
                return None
            return next(task.result() for task in tasks if task in done)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_ended(self) -> str:
        tail, used, since = "", 0.0, time.monotonic()
        while self.process.alive():
            if self._state == Engine.State.LOADING:
                said, instant = self.process.log_tail(), time.monotonic()
                if self._reason != WAKING:
                    self._say(Engine.State.LOADING, stage(said))
                if said == tail and instant - since > self.timing.stuck:
                    if self.process.cpu_seconds() - used < COMPUTING * (instant - since):
                        return STUCK
                    said = ""
                if said != tail:
                    tail, used, since = said, self.process.cpu_seconds(), instant
            await asyncio.sleep(self.timing.poll)
        return explain(self.process.log_tail()) or ending(self.process.exit_status())

    async def _until_silent(self) -> str:
        """Health is tokens. Those of real traffic count, and a canary asks for one where there are none."""
        try:
            if self._state == Engine.State.ASLEEP and (failure := await self._sleep_on(None)):
                return failure
            await self._until_ready()
            while True:
                await asyncio.sleep(self.timing.quiet / 4)
                if await self._pulse.stopped() and self.process.serves():
                    return HUNG  # (one that died is told by its exit)
                if self._may_sleep() and (failure := await self._sleep()):
                    return failure
        except Unable as unable:
            return str(unable)

    async def _until_ready(self) -> None:
        while self._state != Engine.State.READY:
            with contextlib.suppress(ProbeFailed):
                await self._pulse.first_token()
                await self._ask_what_it_serves()
                self._say(Engine.State.READY, "")
                self._turn.release()
                log.info("engine_ready", engine=self.launch.name, first_answer_ms=self._pulse.latency_ms)
                return
            await asyncio.sleep(self.timing.loading_probe)

    async def _ask_what_it_serves(self) -> None:
        """The engine knows the context that its memory has room for, and its adapters."""
        listed = (await list_models(self._endpoint(), "The engine")).models
        lengths = {entry["id"]: entry["context_length"] for entry in listed}
        whole = lengths.get(self.launch.name) or self.launch.context_length
        self._served = [{**entry, "context_length": lengths.get(entry["id"]) or whole} for entry in self.launch.served]

    def _endpoint(self) -> Endpoint:
        return Endpoint(
            engine_id="", kind=Engine.Kind.VLLM, base_url=self._base_url, model=self.launch.name, key=self._key
        )

    # sleeping

    def _may_sleep(self) -> bool:
        after, load = self.launch.sleep_after, self._pulse.load
        return after is not None and load is not None and load.idle and self._pulse.idle_seconds > after

    async def _sleep(self) -> str:
        """Give the memory back until somebody wants the model; what failed, else ``""``."""
        since = await _instant()
        if since is None:  # without a database nobody could wake it
            return ""
        self._say(Engine.State.ASLEEP, ASLEEP)
        await asyncio.sleep(self.timing.heartbeat)  # nobody is sent to it any more
        await self._pulse.look()
        if not self._may_sleep():  # somebody was faster
            self._say(Engine.State.READY, "")
            return ""
        if not await ask(self._base_url, self._key, "/sleep?level=1"):
            return "It could not be put to sleep."
        log.info("engine_sleeps", engine=self.launch.name)
        return await self._sleep_on(since)

    async def _sleep_on(self, since: datetime | None) -> str:
        """Until somebody wants it after ``since`` (``None``: from now on); what failed, else ``""``."""
        while True:
            since = since or await _instant()
            with contextlib.suppress(DatabaseError):
                if since is not None and await in_database(_wanted_since, self._engine_id, since):
                    break
            await asyncio.sleep(self.timing.poll)
        self._say(Engine.State.LOADING, WAKING)
        log.info("engine_wakes", engine=self.launch.name)
        if not await ask(self._base_url, self._key, "/wake_up"):
            return NOT_WOKEN
        await self._until_ready()
        return ""

    # failing and ending

    async def _recover(self, reason: str, stop: asyncio.Event) -> None:
        """Say what happened, end what is left, and wait before the next start."""
        delay, circuit = self._circuit.failed()
        sentence = f"{reason} It failed {self.timing.failures} times in short order." if circuit else reason
        self._say(Engine.State.DOWN, f"{sentence} Next try in {delay:.0f} s.")
        log.warning("engine_failed", engine=self.launch.name, reason=reason, next_try=delay, circuit_open=circuit)
        transport().abort(self._engine_id, f"The engine failed: {reason}")
        await self.process.end(at_once=reason in (HUNG, STUCK))
        self._turn.release()
        await _pause(stop, delay)

    async def _drain(self) -> None:
        """Nobody is sent to it from now on; what other processes' runs still wait for may end."""
        if self._state != Engine.State.READY or not self.process.alive():
            return
        self._say(Engine.State.DOWN, STOPPING)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.timing.drain):
                while self.process.alive():
                    await asyncio.sleep(self.timing.poll)  # in which the registry is told, too
                    await self._pulse.look()
                    if self._pulse.load is None or self._pulse.load.idle:
                        return

    # reporting

    def _say(self, state: str, reason: str) -> None:
        if (state, reason) != (self._state, self._reason):
            self._state, self._reason = state, reason
            self._changed.set()

    async def _beat(self) -> None:
        """Tell the guard and the database, at once when something changed."""
        while True:
            self._changed.clear()
            try:
                self.process.beat()
                await self._report()
            except (DatabaseError, OSError) as error:  # a database or disk that comes back
                log.warning("engine_heartbeat_failed", engine=self.launch.name, error=type(error).__name__)
            except Exception:  # without a heartbeat the guard would end an engine that works
                log.exception("engine_heartbeat_failed", engine=self.launch.name)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.timing.heartbeat):
                    await self._changed.wait()

    async def _report(self) -> None:
        pulse = self._pulse
        if self._state == Engine.State.READY:
            await pulse.look()
        state, reason = self._state, self._reason
        leaving = state == Engine.State.READY and self._draining.is_set()
        if leaving and await in_database(_others_serve, self._engine_id, self.launch.name):
            state, reason = Engine.State.DOWN, STOPPING
        token, pulse.token = pulse.token, False
        known = await in_database(
            services.report_engine,
            engine_id=self._engine_id,
            state=state,
            reason=reason,
            base_url=self._base_url,
            token=token,
            served=self._served,
            load=self._load(pulse),
        )
        if not known:  # deleted in the admin, or forgotten while the database was away
            await self._open()

    def _load(self, pulse: Pulse) -> Report:
        """Of an engine that works; one that does not has none."""
        if self._state != Engine.State.READY:
            return {"running": 0, "waiting": 0, "cache_usage": 0.0}
        load: Report = pulse.load.report() if pulse.load is not None else {}
        if pulse.latency_ms is not None:
            load["latency_ms"] = pulse.latency_ms
        return load


async def _until(stop: asyncio.Event) -> str:
    await stop.wait()
    return ""


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def _instant() -> datetime | None:
    """The database's time, where there is a database now."""
    try:
        return await in_database(now)
    except DatabaseError:
        return None


def _row(engine_id: str) -> Engine | None:
    return Engine.objects.supervised().filter(pk=engine_id).first()


def _others_serve(engine_id: str, model: str) -> bool:
    """Whether somebody who is sent elsewhere has somewhere to go."""
    others: list[Any] = list(Engine.objects.supervised().ready(now()).exclude(pk=engine_id))
    return any(engine.entry(model) is not None for engine in others)


def _wanted_since(engine_id: str, since: datetime) -> bool:
    return Engine.objects.filter(pk=engine_id, wanted_at__gt=since).exists()
