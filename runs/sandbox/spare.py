"""A sandbox that was started before anybody asked for it, so that nobody waits for its start."""

from __future__ import annotations

import asyncio

from runs.sandbox.environment import Interpreter
from runs.sandbox.limits import Limits
from runs.sandbox.outputs import SandboxUnavailable
from runs.sandbox.process import Inmates


class Spare:
    """Holds one at most."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._starting: asyncio.Task[Inmates] | None = None
        self._of: Interpreter | None = None

    def prepare(self, interpreter: Interpreter) -> None:
        """Start one in the background, where there is none."""
        if self._starting is None:
            self._of = interpreter
            self._starting = asyncio.create_task(Inmates.start(interpreter, self._limits), name="sandbox-spare")

    async def take(self, interpreter: Interpreter) -> Inmates | None:
        """The one that is there, or about to be; ``None`` where it is of no use."""
        starting, self._starting = self._starting, None
        if starting is None:
            return None
        try:
            inmates = await starting
        except SandboxUnavailable:
            return None
        if inmates.is_alive and self._of == interpreter:
            return inmates
        await inmates.end()
        return None

    async def close(self) -> None:
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.cancel()
            (started,) = await asyncio.gather(starting, return_exceptions=True)
            if isinstance(started, Inmates):
                await started.end()
