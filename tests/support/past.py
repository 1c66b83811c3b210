"""``python -m tests.support.past MODEL ASSISTANT…``: two weeks of use, as counting would have left them.

The numbers are the same each time: of weekdays and weekends, of the first assistant most, fewer failures of late.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from random import Random

import django

django.setup()

from assistants.models import Assistant, AssistantVersion  # noqa: E402  (apps first)
from runs.analytics.measures import Measures  # noqa: E402
from sovereign.core.database import now  # noqa: E402
from tests.analytics.support import happened, measures  # noqa: E402

DAYS = 14
BUSY = (42, 46, 51, 44, 38, 12, 9)  # runs a day, from Monday
HOURS = (9, 11, 14, 16)  # of the day, UTC, in which they are


def main(model: str, assistants: list[str]) -> None:
    chance, today = Random(1987), now().replace(minute=0, second=0, microsecond=0)
    for position, identifier in enumerate(assistants):
        assistant = Assistant.objects.get(pk=identifier)
        version = AssistantVersion.objects.of(identifier).order_by("number").first()
        cell = {
            "assistant_id": identifier,
            "model": model,
            "environment": "testing" if version else "",
            "version_id": version.pk if version else "",
        }
        for back in range(1, DAYS + 1):
            for at, what in _day(today - timedelta(days=back), back, position, chance):
                happened(assistant.project_id, at, what, **cell)


def _day(day: datetime, back: int, position: int, chance: Random) -> list[tuple[datetime, Measures]]:
    runs = BUSY[day.weekday()] // (position + 1) + chance.randrange(5)
    shares = [max(1, runs // len(HOURS))] * len(HOURS)
    return [(day.replace(hour=hour), _hour(share, back, chance)) for hour, share in zip(HOURS, shares, strict=True)]


def _hour(runs: int, back: int, chance: Random) -> Measures:
    failed = int(chance.random() < 0.04 * back)
    answered = tuple(chance.uniform(0.8, 2.6) for _ in range(max(0, runs - failed)))
    return measures(
        runs=runs,
        completed=runs - failed,
        failed=failed,
        calls=runs * 2,
        prompt_tokens=runs * chance.randrange(400, 700),
        cached_tokens=runs * 180,
        completion_tokens=runs * chance.randrange(20, 60),
        tool_calls=runs,
        tool_failures=failed,
        thumbs_up=chance.randrange(4),
        thumbs_down=int(chance.random() < 0.2),
        seconds=answered,
        first_token=tuple(seconds / 3 for seconds in answered),
        users=tuple(f"visitor {chance.randrange(60)}" for _ in range(runs)),
        threads=tuple(f"thread {chance.randrange(10**6)}" for _ in range(runs)),
        tools={"file_search": runs},
        **({"errors": {"server_error": failed}} if failed else {}),
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
