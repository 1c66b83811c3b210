"""The sandbox of this process: made when it is first needed, closed with the worker."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from runs.sandbox.sessions import Sandbox, Session

_sandboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, Sandbox] = WeakKeyDictionary()  # a process has one loop
_given: WeakKeyDictionary[Session, set[str]] = WeakKeyDictionary()


def sandbox() -> Sandbox:
    loop = asyncio.get_running_loop()
    if loop not in _sandboxes:
        _sandboxes[loop] = Sandbox()
    return _sandboxes[loop]


def given_to(session: Session) -> set[str]:
    """The ids of the files that were put into a session."""
    return _given.setdefault(session, set())


async def close() -> None:
    """End the sandbox of this loop with all of its sessions."""
    if opened := _sandboxes.pop(asyncio.get_running_loop(), None):
        await opened.close()
