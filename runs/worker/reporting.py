"""A worker says whether it can run code: those who make runs are in other processes."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket

import structlog
from django.db import Error as DatabaseError

from runs.sandbox.probing import Availability, probe
from runs.services.reports import forget_interpreter, note_interpreter
from sovereign.core.database import in_database

log = structlog.get_logger(__name__)

HEARTBEAT = 5.0  # seconds between two reports
UNTRIED = "The sandbox could not be tried: the worker's log says why."


async def report() -> None:
    """Say it again and again until cancelled; then nothing more is said of it."""
    worker = f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        await _report_as(worker)
    finally:
        await in_database(forget_interpreter, worker=worker)


async def _report_as(worker: str) -> None:
    said: Availability | None = None
    while True:
        found = await _found()
        if found != said:
            log.info("interpreter_usable" if found.usable else "interpreter_unusable", reason=found.reason or None)
        said = found
        try:
            await in_database(note_interpreter, worker=worker, usable=found.usable, reason=found.reason)
        except DatabaseError as error:
            log.warning("interpreter_unreported", error=type(error).__name__)
        await asyncio.sleep(HEARTBEAT)


async def _found() -> Availability:
    try:
        return await probe()
    except Exception:  # a worker that says nothing would look dead
        log.exception("interpreter_probe_failed")
        return Availability(usable=False, reason=UNTRIED)
