"""Install the Python for code where it is missing and could be used. The pages answer meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL

import structlog
from django.conf import settings

from runs.sandbox import installation

log = structlog.get_logger(__name__)


async def install_where_missing() -> None:
    """In a process of its own, which ends with the task; what went wrong is in the log and on the health page."""
    if not installation.is_wanted():
        return
    command = (sys.executable, str(settings.SOVEREIGN.base_dir / "manage.py"), "install_interpreter")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
    )
    try:
        status = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())
    if status != 0:
        failure = installation.installation() or {}
        log.warning("interpreter_not_installed", reason=failure.get("reason", f"the installer ended with {status}"))
