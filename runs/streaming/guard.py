"""One guard a process: it looks again and again whether those who have sockets open may still have them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from runs.streaming.rights import GLANCE, Rights

log = structlog.get_logger(__name__)

Revoke = Callable[[], Coroutine[Any, Any, None]]  # ends a socket


class Guard:
    """Belongs to one event loop; goes its rounds while a socket is open. A task for each would cost each its memory."""

    def __init__(self) -> None:
        self._open: dict[Rights, list[Revoke]] = {}
        self._round: asyncio.Task[None] | None = None
        self._revoking: set[asyncio.Task[None]] = set()

    def admit(self, rights: Rights, revoke: Revoke) -> None:
        """:param revoke: called once, when the rights are gone; until then :meth:`dismiss` takes it back."""
        self._open.setdefault(rights, []).append(revoke)
        if self._round is None or self._round.done():
            self._round = asyncio.create_task(self._go_round(), name="guard")

    def dismiss(self, rights: Rights, revoke: Revoke) -> None:
        """The socket has ended; nothing where it was revoked."""
        if revoke in (admitted := self._open.get(rights, [])):
            admitted.remove(revoke)
        if not admitted:
            self._open.pop(rights, None)

    async def _go_round(self) -> None:
        while self._open:
            try:
                await asyncio.gather(*map(self._look_at, list(self._open)))
            except Exception:  # without a guard every socket here would outlive its rights
                log.exception("guard_failed")
            await asyncio.sleep(GLANCE)

    async def _look_at(self, rights: Rights) -> None:
        if await rights.still_hold():
            return
        for revoke in self._open.pop(rights, []):
            task = asyncio.create_task(revoke())
            self._revoking.add(task)
            task.add_done_callback(self._revoking.discard)


_guards: dict[asyncio.AbstractEventLoop, Guard] = {}


def guard() -> Guard:
    """The running loop's guard."""
    loop = asyncio.get_running_loop()
    for other in [other for other in _guards if other.is_closed()]:
        del _guards[other]
    return _guards.setdefault(loop, Guard())
