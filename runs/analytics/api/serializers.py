"""What the routes of analytics take."""

from __future__ import annotations

from typing import Any

from runs.analytics.api.asked import ENVIRONMENTS, FIRST
from runs.analytics.metrics import METRICS
from sovereign.core.api.validation import (
    StrictChoice,
    StrictField,
    StrictList,
    StrictSerializer,
    StrictString,
    refuse,
    refuse_type,
)
from sovereign.core.api.versions import VersionField

ID_LENGTH = 64
TIME_LENGTH = 64
EARLIEST, LATEST = int(FIRST.timestamp()), 10**11 - 1  # seconds
LEAST_ITEMS, MOST_ITEMS = 2, 20


class TimeField(StrictField):
    """A day, a time, or seconds since 1970; stored as a text, as addresses have it."""

    expected = "a string or an integer"

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1, "maxLength": TIME_LENGTH}
        return {"oneOf": [{"type": "integer", "minimum": EARLIEST, "maximum": LATEST}, text]}

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, bool) or not isinstance(data, int | str):
            raise refuse_type(self.expected, data)
        text = str(data)
        if not 0 < len(text) <= TIME_LENGTH:
            raise refuse("Invalid '{param}': expected a day or a time.", "invalid_value")
        return text


class ItemRequest(StrictSerializer):
    """What is compared: an assistant, one of its versions, or what it does in an environment."""

    assistant_id = StrictString(max_length=ID_LENGTH, min_length=1, help_text="The assistant.")
    version = VersionField(
        required=False, help_text="Only runs of this version: its number, its id, or `draft` for those of none."
    )
    environment = StrictChoice(
        choices=ENVIRONMENTS, required=False, help_text="Only runs there; `trial` is what nobody had deployed."
    )


class CompareRequest(StrictSerializer):
    """What is to be compared, and by what."""

    items = StrictList(
        child=ItemRequest(), minimum=LEAST_ITEMS, maximum=MOST_ITEMS, help_text="What is compared: no two the same."
    )
    metrics = StrictList(
        child=StrictChoice(choices=list(METRICS)),
        minimum=1,
        maximum=len(METRICS),
        required=False,
        help_text="Names of metrics; by default all of them.",
    )
    start = TimeField(
        required=False, help_text="Since when: a day, a time or seconds; by default 30 days before the end."
    )
    end = TimeField(required=False, help_text="Until when; of a day, its end. By default until now.")
