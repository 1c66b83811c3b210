"""The sessions of one worker process, by thread: what the code interpreter calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

import structlog
from django.conf import settings

from runs.sandbox import limits as bounds
from runs.sandbox import probing
from runs.sandbox.environment import interpreter
from runs.sandbox.limits import Limits
from runs.sandbox.outputs import SandboxUnavailable
from runs.sandbox.process import Inmates
from runs.sandbox.session import Session
from runs.sandbox.spare import Spare

__all__ = ["Sandbox", "Session"]

log = structlog.get_logger(__name__)

QUIET = 10.0  # seconds without use, after which a session may make room for another one
PATIENCE = 60.0  # seconds that one waits for room
LOOK = 1.0  # seconds between two looks at idle sessions
FULL = "All sessions of the code interpreter are in use. Try again later."


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """Somebody for whom there is no place yet."""

    owner: str


class Sandbox:
    """Keeps the sessions of this process, one for each key: at most ``maximum``, and none that was idle for long.

    :param limits: of each session; this, ``maximum`` and ``idle`` (seconds) are what the operator decided, by default.
    :param spare: whether another one is started whenever one is taken.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        maximum: int | None = None,
        idle: float | None = None,
        spare: bool = True,
    ) -> None:
        configuration = settings.SOVEREIGN
        self._limits = limits or bounds.configured()
        self._maximum = configuration.interpreter_sessions if maximum is None else maximum
        self._idle = configuration.interpreter_idle_seconds if idle is None else idle
        self._sessions: dict[str, Session] = {}
        self._spare = Spare(self._limits) if spare else None
        self._made_at = 0.0
        self._turn = asyncio.Lock()
        self._waiting: list[_Waiting] = []
        self._keeping: asyncio.Task[None] | None = None

    async def session(self, *, key: str, owner: str = "") -> Session:
        """The live session of that thread, or a fresh one.

        :param owner: whose it is. Where places are short, who has fewer of them comes first.
        :raises SandboxUnavailable: there is none here, or all are in use.
        """
        if (found := self._live(key)) is not None:
            return found
        availability = await probing.probe()
        if not availability.usable:
            raise SandboxUnavailable(availability.reason)
        waiting = _Waiting(owner)
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(PATIENCE) as patience:
                while True:
                    async with self._turn:
                        if (found := self._live(key)) is not None:
                            return found
                        if self._is_next(waiting) and await self._has_room(owner):
                            patience.reschedule(None)
                            return await self._make(key, owner)
                    await asyncio.sleep(LOOK / 4)
        except TimeoutError:
            raise SandboxUnavailable(FULL) from None
        finally:
            self._waiting.remove(waiting)

    async def close(self) -> None:
        """End all sessions."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None
        sessions = list(self._sessions.values())
        self._sessions.clear()
        await asyncio.gather(*(session.close() for session in sessions))
        if self._spare:
            await self._spare.close()

    def _live(self, key: str) -> Session | None:
        session = self._sessions.get(key)
        if session is None or not session.is_alive:
            return None
        session.fresh = False
        session.used_at = asyncio.get_running_loop().time()
        return session

    async def _make(self, key: str, owner: str) -> Session:
        environment = interpreter()
        if environment is None:
            raise SandboxUnavailable(probing.NOT_INSTALLED)
        inmates = await self._spare.take(environment) if self._spare else None
        session = Session(inmates or await Inmates.start(environment, self._limits), self._limits, owner=owner)
        self._sessions[key] = session
        self._made_at = session.used_at
        if self._spare:
            self._spare.prepare(environment)
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name="sandbox")
        return session

    def _is_next(self, waiting: _Waiting) -> bool:
        return waiting is min(self._waiting, key=lambda other: self._held_by(other.owner))  # the first of equal ones

    def _held_by(self, owner: str) -> int:
        return sum(session.owner == owner for session in self._sessions.values())

    async def _has_room(self, owner: str) -> bool:
        """There is a place, or one is made: of what is not in use, what was not used for longest is ended.

        Who has more places than this owner would have loses one although it was used just now.
        """
        await self._forget_ended()
        if len(self._sessions) < self._maximum:
            return True
        before = asyncio.get_running_loop().time() - QUIET
        share = self._held_by(owner) + 1
        free = {
            key: held.used_at
            for key, held in self._sessions.items()
            if not held.is_busy and (held.used_at < before or self._held_by(held.owner) > share)
        }
        if free:
            await self._sessions.pop(min(free, key=free.__getitem__)).close()
        return bool(free)

    async def _forget_ended(self) -> None:
        for key, session in list(self._sessions.items()):
            if not session.is_alive:
                del self._sessions[key]
                await session.close()

    async def _keep(self) -> None:
        """End what was idle for too long, and what does something that nobody asked for."""
        while True:
            await asyncio.sleep(LOOK)
            before = asyncio.get_running_loop().time() - self._idle
            for key, session in list(self._sessions.items()):
                await _tried(self._look_after(key, session, before))
            if self._spare and not self._sessions and self._made_at < before:
                await _tried(self._spare.close())  # nobody has run code for long

    async def _look_after(self, key: str, session: Session, before: float) -> None:
        if await self._is_over(session, before):
            if self._sessions.get(key) is session:
                del self._sessions[key]
            await session.close()

    async def _is_over(self, session: Session, before: float) -> bool:
        if not session.is_alive:
            return True
        is_idle = not session.is_busy and session.used_at < before
        if not is_idle and not await session.uses_too_much():
            return False
        log.info("sandbox_session_ends", idle=is_idle)
        return True


async def _tried(step: Awaitable[None]) -> None:
    """One session that cannot be looked after must not keep all others from it."""
    try:
        await step
    except Exception:
        log.exception("sandbox_not_looked_after")
