"""What workers see to besides runs: each entry is done again and again, in every worker at once.

So a chore looks before it writes, and changes rows by conditions that only one of several workers finds true. The rooms
above fill this in when they start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sovereign.core.database import in_database

CHORES: dict[str, Callable[[], Awaitable[None]]] = {}


async def to_its_end(work: Callable[[], object]) -> None:
    """Do what uses the database; who is cancelled meanwhile waits for it, so that nothing is written after the end."""
    doing = asyncio.ensure_future(in_database(work))
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise
