"""Keeps one vLLM running: starts or adopts it, proves with real tokens that it works, and starts it again when not.

The engine outlives its supervisor for a minute (its guard sees to that), so that a restarted one finds it loaded; it
ends with an orderly stop. Requests on an engine that dies fail by themselves, since their connections break.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseError

from inference import services
from inference.adapters.base import Endpoint
from inference.adapters.transport import transport
from inference.engines import vllm
from inference.engines.installation import EngineCannotRun, engine_python, installation
from inference.engines.probing import ProbeFailed, canary, list_models
from inference.engines.process import EngineProcess, Slot, free_port
from inference.models import Engine
from inference.resolution import served_name
from sovereign.core.database import in_database, now

log = structlog.get_logger(__name__)

HOST = "127.0.0.1"
HUNG = "It stopped producing tokens."
COMPUTING = 0.1  # of a core: an engine that uses more is at work, even on a crowded machine; one that hangs uses none
INSTALLER_POLL = 0.5  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds."""

    adoption: float = 60.0  # that an engine lives on without a supervisor
    heartbeat: float = 2.0  # between two reports to the database
    poll: float = 0.25  # between two looks at the process
    loading_probe: float = 0.5  # between two questions to an engine that loads
    first_token: float = 120.0  # for the first token after loading
    quiet: float = 5.0  # without a token in real traffic, a canary is sent
    canary: float = 5.0  # for the canary of an engine that idles …
    busy: float = 60.0  # … and of one whose processes compute all the while
    first_retry: float = 1.0  # doubled with every failure …
    last_retry: float = 60.0  # … up to this
    failures: int = 5  # so many …
    window: float = 600.0  # … within this time open the circuit, for as long


class EngineFailed(Exception):
    """The engine has to be started again; the text is one sentence for people."""


async def supervise(
    model: str = "",
    *,
    stop: asyncio.Event,
    extra: Sequence[str] = (),
    install: bool = False,
    timing: Timing | None = None,
) -> None:
    """Run vLLM for ``model`` until ``stop`` is set, then end it.

    :param model: a folder, a repository's name, or ``""`` for the starter model.
    :param extra: passed on to vLLM as they are.
    :param install: install the engine first where it is missing; else that is an error.
    :raises EngineCannotRun: it can never run like this, with one sentence that says why.
    """
    slot = Slot.take(served_name(model))
    try:
        try:
            vllm.check(model, extra)  # before minutes of installing
            python = await _interpreter(slot, install, stop)
            if python is None:
                return
            launch = vllm.plan(model, python=python, extra=extra)
        except EngineCannotRun as error:
            await in_database(_record_failure, served_name(model), slot.supervisor_id, str(error))
            raise
        await Supervisor(launch, slot, timing or Timing()).run(stop)
    finally:
        slot.release()


async def _interpreter(slot: Slot, install: bool, stop: asyncio.Event) -> Path | None:
    """The engine's Python; ``None`` where ``stop`` came first."""
    python = engine_python()
    if python is None and install:
        await _install(slot, stop)
        python = engine_python()
    if stop.is_set():
        return None
    if python is None:
        raise EngineCannotRun("The engine is not installed: run `manage.py install_engine`.")
    if not python.exists():
        raise EngineCannotRun(f"SOVEREIGN_ENGINE_PYTHON names {python}, which does not exist.")
    return python


async def _install(slot: Slot, stop: asyncio.Event) -> None:
    """Run ``manage.py install_engine`` as a process of its own, which can be ended at any time.

    :raises EngineCannotRun: it could not be installed.
    """
    command = [sys.executable, str(settings.SOVEREIGN.base_dir / "manage.py"), "install_engine"]
    installer = EngineProcess(slot.folder / "installer", adoption=Timing().adoption)
    await installer.end()  # one that an earlier supervisor left behind begins anew: its work is kept in uv's cache
    installer.start(command, dict(os.environ), {})
    try:
        while installer.alive() and not stop.is_set():
            installer.beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INSTALLER_POLL):
                    await stop.wait()
    finally:
        await installer.end()
    status = installation()
    if not stop.is_set() and status is not None:
        raise EngineCannotRun(str(status["reason"]))


def _record_failure(name: str, supervisor_id: str, reason: str) -> None:
    """Let the landing page say why there is no engine."""
    engine = services.open_engine(name=name, source="", context_length=None, supervisor_id=supervisor_id, key="")
    services.report_engine(engine_id=engine.id, state=Engine.State.DOWN, reason=reason, base_url="")


class Supervisor:
    """One engine. ``run`` is the whole life of it."""

    def __init__(self, launch: vllm.Launch, slot: Slot, timing: Timing) -> None:
        self.launch = launch
        self.slot = slot
        self.timing = timing
        self.process = EngineProcess(slot.folder, adoption=timing.adoption)
        self._engine_id = ""
        self._key = secrets.token_urlsafe(32)
        self._served: list[dict[str, Any]] | None = None
        self._base_url = ""
        self._state: str = Engine.State.LOADING
        self._reason = ""
        self._token = False  # one was seen since the last report
        self._changed = asyncio.Event()
        self._failures: deque[float] = deque()

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set (or this is cancelled); the engine ends with it."""
        beating: asyncio.Task[None] | None = None
        try:
            adopted = await self._begin(stop)
            beating = asyncio.create_task(self._beat(), name="engine heartbeat")
            while not stop.is_set():
                if not adopted:
                    self._start()
                adopted = False
                reason = await self._serve(stop)
                if reason is not None:
                    await self._recover(reason, stop)
        finally:
            if beating is not None:
                beating.cancel()
                await asyncio.gather(beating, return_exceptions=True)
            await self.process.end()
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
                await self._pause(stop, self.timing.first_retry)
        return False

    async def _adopt(self) -> bool:
        """Take over the engine that an earlier supervisor of this slot left running."""
        record = self.process.find()
        if record is not None and record.get("fingerprint") == self._fingerprint():
            engine = await in_database(_row, str(record.get("engine")))
            if engine is not None and (key := engine.key()):
                self._engine_id, self._key = engine.id, key
                self._base_url, self._state = str(record["base_url"]), engine.state
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
        )
        self._engine_id = engine.id

    def _start(self) -> None:
        port = free_port()
        self._base_url = f"http://{HOST}:{port}/v1"
        record = {"engine": self._engine_id, "base_url": self._base_url, "fingerprint": self._fingerprint()}
        self.process.start(
            [*self.launch.command, *vllm.address_flags(HOST, port)],
            {**self.launch.environment, **vllm.key_environment(self._key)},
            record,
        )
        self._say(Engine.State.LOADING, "")
        log.info("engine_started", engine=self.launch.name, port=port, log=str(self.process.log_file))

    def _fingerprint(self) -> str:
        """What must be the same for an engine to be adopted: its command, and the files of its model."""
        folder = Path(self.launch.source)
        files = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.glob("*.*"))
        return hashlib.sha256(json.dumps([self.launch.command, files]).encode()).hexdigest()

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
        while self.process.alive():
            if self._state == Engine.State.LOADING:
                self._say(Engine.State.LOADING, vllm.stage(self.process.log_tail()))
            await asyncio.sleep(self.timing.poll)
        return vllm.explain(self.process.log_tail()) or _ending(self.process.exit_status())

    async def _until_silent(self) -> str:
        """Health is tokens. Those of real traffic count, and a canary asks for one where there are none."""
        while self._state != Engine.State.READY:
            with contextlib.suppress(ProbeFailed):
                await canary(self._endpoint(), self.timing.first_token)
                self._served = (await list_models(self._base_url, self._key, "The engine")).models
                self._token = True
                self._say(Engine.State.READY, "")
                log.info("engine_ready", engine=self.launch.name)
                break
            await asyncio.sleep(self.timing.loading_probe)
        while True:
            await asyncio.sleep(self.timing.quiet / 4)
            if not await self._spoke(self.timing.quiet) and not await self._answers():
                return HUNG

    async def _answers(self) -> bool:
        """Whether a canary gets its token: soon, or late from an engine that computes all the while."""
        asked, used = time.monotonic(), self.process.cpu_seconds()
        probe = asyncio.create_task(canary(self._endpoint(), self.timing.busy))
        try:
            while True:
                done, _ = await asyncio.wait([probe], timeout=self.timing.canary)
                elapsed = time.monotonic() - asked
                if done:
                    break
                computing = self.process.cpu_seconds() - used > elapsed * COMPUTING
                if not computing and not await self._spoke(elapsed):
                    return False
            probe.result()
        except ProbeFailed as failure:
            log.warning("engine_canary_failed", engine=self.launch.name, reason=str(failure))
            return await self._spoke(time.monotonic() - asked)
        finally:
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)
        self._token = True
        return True

    async def _spoke(self, seconds: float) -> bool:
        """Whether a token of real traffic, or of a canary, is known from the last ``seconds``."""
        here = transport().progress.get(self._engine_id)
        if here is not None and asyncio.get_running_loop().time() - here < seconds:
            return True
        try:
            return await in_database(_spoke_since, self._engine_id, seconds)
        except DatabaseError:
            return False

    def _endpoint(self) -> Endpoint:
        return Endpoint(
            engine_id="", kind=Engine.Kind.VLLM, base_url=self._base_url, model=self.launch.name, key=self._key
        )

    # failing

    async def _recover(self, reason: str, stop: asyncio.Event) -> None:
        """Say what happened, end what is left, and wait before the next start."""
        delay, circuit = self._delay()
        sentence = f"{reason} It failed {self.timing.failures} times in short order." if circuit else reason
        self._say(Engine.State.DOWN, f"{sentence} Next try in {delay:.0f} s.")
        log.warning("engine_failed", engine=self.launch.name, reason=reason, next_try=delay, circuit_open=circuit)
        transport().abort(self._engine_id, f"The engine failed: {reason}")
        await self.process.end(at_once=reason == HUNG)
        await self._pause(stop, delay)

    async def _pause(self, stop: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()

    def _delay(self) -> tuple[float, bool]:
        """Seconds until the next start, and whether the circuit is open."""
        instant = time.monotonic()
        self._failures.append(instant)
        while self._failures[0] < instant - self.timing.window:
            self._failures.popleft()
        if len(self._failures) >= self.timing.failures:
            self._failures.clear()
            return self.timing.window, True
        return min(self.timing.first_retry * 2 ** (len(self._failures) - 1), self.timing.last_retry), False

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
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.timing.heartbeat):
                    await self._changed.wait()

    async def _report(self) -> None:
        token, self._token = self._token, False
        known = await in_database(
            services.report_engine,
            engine_id=self._engine_id,
            state=self._state,
            reason=self._reason,
            base_url=self._base_url,
            token=token,
            served=self._served,
        )
        if not known:  # deleted in the admin, or forgotten while the database was away
            await self._open()


def _ending(status: int | None) -> str:
    if status is None:
        return "It ended."
    return f"It was killed by signal {-status}." if status < 0 else f"It ended with status {status}."


async def _until(stop: asyncio.Event) -> str:
    await stop.wait()
    return ""


def _row(engine_id: str) -> Engine | None:
    return Engine.objects.supervised().filter(pk=engine_id).first()


def _spoke_since(engine_id: str, seconds: float) -> bool:
    at = Engine.objects.filter(pk=engine_id).values_list("last_token_at", flat=True).first()
    return at is not None and now() - at < timedelta(seconds=seconds)
