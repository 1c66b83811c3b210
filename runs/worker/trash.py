"""What every worker does for threads that were thrown away: it deletes them for good once nobody wants them back."""

from __future__ import annotations

import asyncio

from runs.worker.chores import to_its_end
from threads import keeping

PAUSE = 10.0  # seconds between two looks


async def empty() -> None:
    await to_its_end(keeping.empty_trash)
    await asyncio.sleep(PAUSE)
