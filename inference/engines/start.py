"""From a model's name to a supervised engine: installs vLLM where it is missing, plans, and hands over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from inference import services
from inference.engines import vllm
from inference.engines.circuit import Timing
from inference.engines.installation import EngineCannotRun, engine_python, installation
from inference.engines.options import Options
from inference.engines.process import EngineProcess, Slot, free_port
from inference.engines.supervisor import Supervisor
from inference.models import Engine
from sovereign.core.database import in_database

INSTALLER_POLL = 0.5  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an operator asked for; see :func:`inference.engines.vllm.plan`."""

    model: str = ""
    extra: tuple[str, ...] = ()
    advertise: str = ""
    sleep_after: float | None = None
    memory_share: float = 1.0

    @property
    def name(self) -> str:
        return vllm.engine_name(self.model, Options(self.extra))

    def plan(self, python: Path) -> vllm.Launch:
        return vllm.plan(
            self.model,
            python=python,
            extra=self.extra,
            advertise=self.advertise,
            sleep_after=self.sleep_after,
            memory_share=self.memory_share,
        )


async def supervise(
    wanted: Wanted,
    *,
    stop: asyncio.Event,
    draining: asyncio.Event | None = None,
    install: bool = False,
    timing: Timing | None = None,
) -> None:
    """Run vLLM as ``wanted`` until ``stop`` is set, then end it.

    :param draining: set somewhat earlier: from then on others are sent elsewhere, where there is an elsewhere.
    :param install: install the engine first where it is missing; else that is an error.
    :raises EngineCannotRun: it can never run like this, with one sentence that says why.
    """
    slot = Slot.take(wanted.name)
    try:
        try:
            vllm.check(wanted.model, wanted.extra)  # before minutes of installing
            python = await _interpreter(slot, install, stop)
            if python is None:
                return
            launch = wanted.plan(python)
            free_port(launch.host)  # an address that this machine lacks is said before anything is loaded
        except EngineCannotRun as error:
            await in_database(_record_failure, wanted.name, slot.supervisor_id, str(error))
            raise
        await Supervisor(launch, slot, timing or Timing(), draining).run(stop)
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
    """Let the pages, and runs that wait, say why there is no engine."""
    engine = services.open_engine(name=name, source="", context_length=None, supervisor_id=supervisor_id, key="")
    services.report_engine(engine_id=engine.id, state=Engine.State.DOWN, reason=reason, base_url="")
