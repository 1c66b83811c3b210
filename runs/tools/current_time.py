"""``current_time``: a model does not know what day it is."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from runs.tools.base import ToolFailed
from runs.tools.functions import FunctionTool

HERE = "UTC"
LONGEST_NAME = 64  # characters


class CurrentTime(FunctionTool):
    kind = name = "current_time"
    description = "The present date, weekday and time."
    parameters = {
        "type": "object",
        "properties": {
            "timezone": {
                "type": "string",
                "description": f"A name of the IANA time zone database, e.g. Europe/Berlin. Without one it is {HERE}.",
                "maxLength": LONGEST_NAME,
            }
        },
        "additionalProperties": False,
    }

    async def answer(self, arguments: dict[str, Any]) -> str:
        """E.g. ``Saturday, 2026-11-21T21:35:12+01:00 (Europe/Berlin)``."""
        name = arguments.get("timezone") or HERE
        moment = timezone.now().astimezone(_zone(name))
        return f"{moment:%A}, {moment.isoformat(timespec='seconds')} ({name})"


def _zone(name: str) -> tzinfo:
    """:raises ToolFailed: no zone has this name."""
    try:
        return UTC if name == HERE else ZoneInfo(name)  # not every system has a database of zones
    except (LookupError, ValueError, OSError):  # unknown, no plain name, or that of one of the database's folders
        raise ToolFailed(f"There is no time zone '{name}'. Use a name like Europe/Berlin or UTC.") from None
