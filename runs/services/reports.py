"""What workers say of themselves."""

from __future__ import annotations

from runs.models import InterpreterReport
from runs.tools.interpreter.reports import FORGOTTEN
from sovereign.core.database import now, service

REASON_LENGTH = 500  # characters


@service
def note_interpreter(*, worker: str, usable: bool, reason: str) -> None:
    """Write down whether a worker can run code. Reports of those that died long ago are removed."""
    instant = now()
    said = {"usable": usable, "reason": reason[:REASON_LENGTH], "heartbeat_at": instant}
    InterpreterReport.objects.update_or_create(worker=worker, defaults=said)
    InterpreterReport.objects.filter(heartbeat_at__lt=instant - 10 * FORGOTTEN).delete()


@service
def forget_interpreter(*, worker: str) -> None:
    """The worker ends."""
    InterpreterReport.objects.filter(worker=worker).delete()
