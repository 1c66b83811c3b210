"""How much code a project may still run. A function of the ORM."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Sum

from runs.models import ToolUse
from runs.outcomes import Outcome
from runs.tools.base import ToolFailed
from runs.tools.interpreter.outputs import TYPE
from sovereign.core.database import now

DAY = timedelta(days=1)
SPENT = "This project's code has run for {} seconds in the last 24 hours, which is all that it may. It was not run."


def seconds_left(project_id: str) -> float:
    """Of those that the project's code may run in 24 hours; infinite where they are not limited.

    :raises ToolFailed: none are left.
    """
    allowed = settings.SOVEREIGN.interpreter_seconds_per_day
    if not allowed:
        return float("inf")
    used = ToolUse.objects.filter(project_id=project_id, kind=TYPE, created_at__gt=now() - DAY)
    left = allowed - (used.aggregate(total=Sum("milliseconds"))["total"] or 0) / 1000
    if left <= 0:
        raise ToolFailed(SPENT.format(allowed), Outcome.SPENT)
    return float(left)
