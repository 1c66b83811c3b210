"""The processes of one session: started behind the walls, watched, and ended for certain."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import PIPE, Process

import structlog

from runs.sandbox import bubblewrap, cgroups
from runs.sandbox.cgroups import Cgroup
from runs.sandbox.environment import Interpreter
from runs.sandbox.limits import Limits
from runs.sandbox.outputs import SandboxUnavailable
from runs.sandbox.watching import Use, tree, use_of
from runs.sandbox.wire import Broken, Frames, Printed

log = structlog.get_logger(__name__)

CLOSING = 10.0  # seconds, at most, until the kernel has closed the pipes of processes that were killed
SHOWN = 500  # characters of what is complained of when a sandbox does not start


class Inmates:
    """A runner that waits for what it is to do, and whatever the code starts beside it."""

    def __init__(self, process: Process, printed: Printed, limits: Limits, cgroup: Cgroup | None) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        self._process, self._cgroup, self._limits = process, cgroup, limits
        self._ending: asyncio.Task[None] | None = None
        self.printed = printed
        self.frames = Frames(process.stdout, process.stdin, limits.image)

    @classmethod
    async def start(cls, interpreter: Interpreter, limits: Limits, *, in_cgroup: bool = True) -> Inmates:
        """
        :raises SandboxUnavailable: why it does not start.
        """
        cgroup = cgroups.make(limits) if in_cgroup else None
        try:
            command = bubblewrap.command(interpreter, limits, cgroup.doors if cgroup else ())
            inmates = await cls._spawned(command, limits, cgroup)
        except BaseException:
            if cgroup is not None:  # of who was cancelled, somebody may still be in it for a moment
                await asyncio.shield(asyncio.to_thread(cgroup.remove))
            raise
        try:
            async with asyncio.timeout(limits.start):
                await inmates.frames.document()
        except (TimeoutError, Broken):
            reason = inmates.printed.take().strip()[-SHOWN:]
            await inmates.end()
            log.warning("sandbox_does_not_start", reason=reason)
            said = reason.splitlines()[-1:] or ["it takes too long"]
            raise SandboxUnavailable(f"The sandbox does not start: {said[0]}") from None
        except BaseException:
            await inmates.end()
            raise
        return inmates

    @classmethod
    async def _spawned(cls, command: list[str], limits: Limits, cgroup: Cgroup | None) -> Inmates:
        printed = Printed()
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=printed.target, cwd="/", env={}
            )
        except OSError as error:
            printed.close()
            raise SandboxUnavailable(f"The sandbox does not start: {error.strerror}.") from None
        except BaseException:
            printed.close()
            raise
        finally:
            printed.forget_target()
        return cls(process, printed, limits, cgroup)

    @property
    def is_alive(self) -> bool:
        return self._ending is None and self._process.returncode is None

    @property
    def is_bounded_by_kernel(self) -> bool:
        return self._cgroup is not None and self._cgroup.bounds_memory

    def use(self) -> Use:
        """What all of them use now. Blocks for as long as reading some files of the system takes."""
        return use_of(self._process.pid, exact_above=self._limits.memory)

    def processes(self) -> list[int]:
        """Their numbers outside, from the outermost on."""
        return tree(self._process.pid)

    def met_lack_of_memory(self) -> bool:
        """Whether the kernel ended one of them for it."""
        return self._cgroup is not None and self._cgroup.has_killed()

    async def end(self) -> None:
        """Kill all of them, and wait until they are gone. Any number of times; goes on where it is cancelled."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        try:
            self._kill()
            assert self._process.stdin is not None
            self._process.stdin.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSING):
                    await self.frames.exhaust()
            await self._process.wait()
        finally:
            self.printed.close()
            if self._cgroup is not None:
                await asyncio.to_thread(self._cgroup.remove)

    def _kill(self) -> None:
        """Who made the session goes first, then the first process inside, with which the kernel ends all others."""
        found = tree(self._process.pid) if self._process.returncode is None else []
        if self._cgroup is not None:  # also who was just being made
            found += self._cgroup.processes() - {*found}
        for number in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)
