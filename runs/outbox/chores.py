"""What every worker does for what waits: whichever process ends an answer, the next message is sent in a moment."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog
from django.db import InterfaceError, OperationalError

from runs.outbox import services
from runs.outbox.models import QueuedMessage
from runs.worker.chores import to_its_end
from sovereign.core import bus
from sovereign.core.bus import signalled
from sovereign.core.database import in_database

log = structlog.get_logger(__name__)

TURN = 5.0  # seconds that one turn of the chore waits for the bus
POLL = 0.5  # seconds; wake-ups may be lost
BREATH = 0.05  # seconds between two looks, however often threads change
AT_ONCE = 100  # threads that one look finds


async def send_due() -> None:
    """Look, and look again as soon as a thread has changed: one of them may be free now."""
    woken = asyncio.Event()
    unsubscribe = bus.subscribe(bus.THREAD_CHANGED, lambda _: woken.set())
    clock = asyncio.get_running_loop()
    until = clock.time() + TURN
    try:
        while clock.time() < until:
            woken.clear()
            for thread_id in await in_database(due_threads):
                await _send(thread_id)
            await asyncio.sleep(BREATH)
            await signalled(woken, POLL)
    finally:
        unsubscribe()


def due_threads() -> list[str]:
    """Those on which a message may be sent now, the ones that have waited longest first."""
    due = QueuedMessage.objects.due().order_by("created_at", "id")
    return list(due.values_list("thread_id", flat=True)[:AT_ONCE])


async def _send(thread_id: str) -> None:
    try:
        await to_its_end(partial(services.send_due, thread_id))
    except (OperationalError, InterfaceError):
        raise  # the database, not the message
    except Exception:  # one that cannot be sent must not keep the others, nor be tried for ever
        log.exception("queued_message_not_sent", thread=thread_id)
        await in_database(services.hold_broken, thread_id)
