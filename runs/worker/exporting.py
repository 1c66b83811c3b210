"""What every worker does for conversations that somebody takes along: it writes them to files, and forgets old ones."""

from __future__ import annotations

import asyncio
import time

import structlog
from django.db import InterfaceError, OperationalError

from assistants.knowledge.storage import Draft, give_up
from runs.worker.chores import to_its_end
from sovereign.core.database import in_database
from sovereign.core.errors import ApiError
from threads.exports import services
from threads.exports.services import Claimed

log = structlog.get_logger(__name__)

PAUSE = 1.0  # seconds between two looks
FORGETS_EVERY = 60.0  # seconds
STEP = 0.5  # seconds that are written at once, of the time of a thread that others want, too
BROKEN = "It could not be written because of an error of this server, which its log tells."

_next_look = 0.0


async def write_exports() -> None:
    """Write one file after the other, as long as there are any that nobody writes. Between them old ones are forgotten,
    also where the next is always there."""
    await _forget_in_time()
    while (claimed := await in_database(services.claim)) is not None:
        await _write(claimed)
        await _forget_in_time()
    await asyncio.sleep(PAUSE)


async def _forget_in_time() -> None:
    global _next_look
    if time.monotonic() >= _next_look:
        _next_look = time.monotonic() + FORGETS_EVERY
        await to_its_end(services.forget_old)


class _Writing:
    """A file while it is written, step by step."""

    def __init__(self, claimed: Claimed) -> None:
        self.claimed = claimed
        self.messages = 0
        self.draft = Draft()
        self._pieces = services.pieces(claimed)

    def step(self) -> bool:
        """Write some; false once there is no more."""
        until = time.monotonic() + STEP
        for piece, messages in self._pieces:
            self.draft.write(piece)
            self.messages += messages
            if time.monotonic() >= until:
                return True
        return False

    def keep(self) -> None:
        stored = self.draft.keep()
        if not services.complete(self.claimed, stored):
            give_up(stored)


async def _write(claimed: Claimed) -> None:
    if claimed.principal is None:
        await in_database(services.fail, claimed, services.GONE)
        return
    writing = await in_database(_Writing, claimed)
    try:
        while await in_database(writing.step):
            if not await in_database(services.keep, claimed, writing.messages):
                return  # called off, or another's by now
        await to_its_end(writing.keep)
    except asyncio.CancelledError:
        await in_database(services.give_back, claimed)
        raise
    except (OperationalError, InterfaceError):
        raise  # the database failed, not the export: its lease runs out, and it is begun again
    except ApiError as error:
        await in_database(services.fail, claimed, error.message)
    except Exception:
        log.exception("export_failed", export=claimed.id)
        await in_database(services.fail, claimed, BROKEN)
    finally:
        writing.draft.close()
