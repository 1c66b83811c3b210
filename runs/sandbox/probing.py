"""Whether code can be run safely here."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from runs.sandbox import bubblewrap, limits, probes, seccomp
from runs.sandbox.environment import Interpreter, interpreter
from runs.sandbox.installation import installation
from runs.sandbox.outputs import Logs, SandboxUnavailable
from runs.sandbox.process import Inmates
from runs.sandbox.session import Session

SECONDS = 30.0  # that the probe may take, on a machine that does other things too
AGAIN = 60.0  # seconds after which it is tried once more where it failed
HOST_PATHS = (
    *("/etc/passwd", "/etc/shadow", "/etc/hostname", "/root", "/home", "/var", "/run", "/boot", "/bin", "/usr/bin"),
    *("/sys/fs", "/dev/kmsg", "/dev/mem"),
)

OFF = "Code is not run here: SOVEREIGN_INTERPRETER is none."
NOT_LINUX = "Code is run on Linux only, where bubblewrap is."
NO_BUBBLEWRAP = "Code cannot be run safely here: bubblewrap is not installed (the package is called bubblewrap)."
NO_CALLS = "Code cannot be run safely here: the sandbox knows the system calls of x86-64 and ARM64 only."
NOT_INSTALLED = "The Python for code is not installed: `manage.py install_interpreter` installs it."
UNBOUNDED = "Code cannot be run safely here: its memory is neither bounded by cgroups nor shown in /proc."


@dataclass(frozen=True, slots=True)
class Availability:
    """:param reason: one sentence, where it is not usable; else ``""``."""

    usable: bool
    reason: str = ""


@dataclass(slots=True)
class _Memory:
    """What the last probe of this process found, of which environment, and when (monotonic seconds)."""

    found: Availability | None = None
    of: Interpreter | None = None
    at: float = 0.0


_last = _Memory()
_turns: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}


def availability() -> Availability:
    """What is known without starting a sandbox, and what the last probe of this process found. Quick."""
    reason = missing()
    if reason:
        return Availability(False, reason)
    return _remembered(interpreter()) or Availability(True)


def missing() -> str:
    """What a sandbox needs and is not here, as a sentence; ``""`` where everything is."""
    if settings.SOVEREIGN.interpreter_dir is None:
        return OFF
    if sys.platform != "linux":
        return NOT_LINUX
    if not seccomp.is_supported():
        return NO_CALLS
    if bubblewrap.program() is None:
        return NO_BUBBLEWRAP
    if interpreter() is None:
        return (installation() or {}).get("reason") or NOT_INSTALLED
    return ""


async def probe() -> Availability:
    """Start a sandbox, once in a process, and try whether it holds; where it did not, again after a minute."""
    loop = asyncio.get_running_loop()
    for other in [other for other in _turns if other.is_closed()]:
        del _turns[other]
    async with _turns.setdefault(loop, asyncio.Lock()):
        reason = missing()
        if reason:
            return Availability(False, reason)
        environment = interpreter()
        assert environment is not None
        found = _remembered(environment)
        if found is None or (not found.usable and time.monotonic() > _last.at + AGAIN):
            found = await _tried(environment)
            _last.found, _last.of, _last.at = found, environment, time.monotonic()
        return found


def forget() -> None:
    """The next question is answered anew."""
    _last.found = None


def _remembered(environment: Interpreter | None) -> Availability | None:
    return _last.found if _last.of == environment else None


async def _tried(environment: Interpreter) -> Availability:
    bounds = limits.configured()
    try:
        session = Session(inmates := await Inmates.start(environment, bounds), bounds)
    except SandboxUnavailable as error:
        return Availability(False, str(error))
    try:
        if not (inmates.is_bounded_by_kernel or _is_seen(inmates)):
            return Availability(False, UNBOUNDED)
        reason = await _wrong_with(session)
    finally:
        await session.close()
    return Availability(not reason, reason)


def _is_seen(inmates: Inmates) -> bool:
    """Whether the processes inside show here: bubblewrap's two, and the runner."""
    return len(inmates.processes()) >= 3


async def _wrong_with(session: Session) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code = probes.code(port=port, paths=_paths(), names=[*bubblewrap.ENVIRONMENT, "PWD"], process=os.getpid())
        printed = ""
        async with aclosing(session.run(code, seconds=SECONDS)) as outputs:
            async for output in outputs:
                printed += output.text if isinstance(output, Logs) else ""
    return probes.judged(printed)


def _paths() -> list[str]:
    """What is on this machine and must not be seen inside."""
    configuration = settings.SOVEREIGN
    ours = (configuration.base_dir, configuration.data_dir, Path(__file__))
    return [path for path in (*HOST_PATHS, *map(str, ours)) if os.path.lexists(path)]
