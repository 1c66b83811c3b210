"""What is asked of roll-ups in an address: of what, since when and until when, and which metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.http import QueryDict
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from assistants.kinds import Environment
from assistants.services import get_assistant
from assistants.services.versions import DRAFT, get_version
from runs.analytics.metrics import METRICS, Metric, metric_named
from runs.analytics.models import NOBODY, Rollup
from runs.analytics.reading import Question
from runs.analytics.windows import KEPT, Period, Window, floor, following, readable, steps
from sovereign.accounts.principals import Principal
from sovereign.core.api.filters import chosen
from sovereign.core.api.validation import NOT_TEXT
from sovereign.core.errors import ApiError

USUAL = timedelta(days=30)
LONGEST = timedelta(days=400)
#: How long a series may be, by its periods.
LONGEST_OF = {
    Period.HOUR: timedelta(days=31),
    Period.DAY: LONGEST,
    Period.WEEK: timedelta(days=5 * 366),
    Period.MONTH: timedelta(days=5 * 366),
}
FIRST = datetime(2000, 1, 1, tzinfo=UTC)  # nothing was before; and it is no time that is 20261122 seconds after 1970
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
SECONDS = re.compile(r"\d{1,11}", re.ASCII)
ENVIRONMENTS = [*Environment.values, Rollup.TRIAL]
FORMATS = ("json", "csv")
JSON, CSV = "application/json", "text/csv"
LENGTH = 256  # of a text that is looked for
SHOWN = 64  # characters of what a client sent that an error repeats

TIMES = [
    OpenApiParameter(
        "start",
        str,
        description="Since when: a day or a time (ISO 8601, UTC where it says nothing else), or seconds since 1970; "
        "nothing before the year 2000. "
        "By default 30 days before the end. Rounded to five minutes, to hours where it is more than two days ago, and "
        "to days where it is more than 100 days ago.",
    ),
    OpenApiParameter("end", str, description="Until when, likewise; of a day, its end. By default until now."),
]
OF_WHAT = [
    OpenApiParameter(
        "version", str, description="Only runs of this version: its number, its id, or `draft` for those of none."
    ),
    OpenApiParameter(
        "environment",
        {"type": "string", "enum": ENVIRONMENTS},
        description="Only runs there. `trial` is what nobody had deployed, like evaluations: it only counts if it is "
        "asked for.",
    ),
    OpenApiParameter("model", str, description="Only runs and calls for which this model was asked."),
    OpenApiParameter("key_id", str, description="Only what was asked with this API key."),
]
NAMES_OF_METRICS = OpenApiParameter(
    "metrics", str, description="Names of metrics with commas between them. By default all of them."
)
FORMAT = OpenApiParameter(
    "format",
    {"type": "string", "enum": list(FORMATS), "default": "json"},
    description="`csv` gives a table to be saved, as `Accept: text/csv` does.",
)


def question_of(principal: Principal, assistant_id: str, query: QueryDict) -> Question:
    """:raises ApiError: 404, no such assistant or version; 400, what no filter may be."""
    return question(
        principal,
        assistant_id,
        version=_text(query, "version"),
        environment=chosen(query, "environment", ENVIRONMENTS),
        model=_text(query, "model"),
        key_id=_text(query, "key_id"),
    )


def question(
    principal: Principal,
    assistant_id: str,
    *,
    version: str | None = None,
    environment: str | None = None,
    **more: str | None,
) -> Question:
    """:raises ApiError: 404."""
    assistant = get_assistant(principal=principal, assistant_id=assistant_id)
    version_id = NOBODY if version == DRAFT else None
    if version is not None and version_id is None:
        version_id = get_version(principal=principal, assistant_id=assistant_id, version=version).pk
    return Question(
        project_id=assistant.project_id,
        assistant_ids=(assistant.pk,),
        version_id=version_id,
        environment=environment,
        **more,
    )


def _text(query: QueryDict, name: str) -> str | None:
    text = query.get(name)
    if text is not None and (not text or len(text) > LENGTH or NOT_TEXT.search(text)):
        raise ApiError(
            f"Invalid '{name}': expected a text of 1 to {LENGTH} characters.", param=name, code="invalid_value"
        )
    return text


def metrics_of(names: Iterable[str] | None) -> list[Metric]:
    """In the order in which they are asked for, each once.

    :raises ApiError: 400, there is no such metric.
    """
    return list(METRICS.values()) if names is None else [metric_named(name, "metrics") for name in dict.fromkeys(names)]


def wants_csv(request: Request, query: QueryDict) -> bool:
    """:raises ApiError: 400, a format that there is not."""
    asked = chosen(query, "format", FORMATS)
    return asked == "csv" if asked is not None else request.get_preferred_type([JSON, CSV]) == CSV


def window_of(start: str | None, end: str | None, longest: timedelta = LONGEST) -> Window:
    """:raises ApiError: 400, no time; ``invalid_window``; ``window_too_long``."""
    now = timezone.now()
    until = now if end is None else min(now, _moment("end", end, is_end=True))
    since = floor(until - USUAL, Period.DAY) if start is None else _moment("start", start)
    if since >= until:
        raise ApiError(
            "Invalid 'start': expected a time before the end, and before now.", param="start", code="invalid_window"
        )
    if until - since > longest:
        raise ApiError(
            f"The time from start to end is too long: at most {longest.days} days.",
            param="start",
            code="window_too_long",
        )
    return readable(Window(since, until), now)


def window_of_series(start: str | None, end: str | None, period: Period) -> Window:
    """Likewise, in whole periods.

    :raises ApiError: also where these periods are no longer kept.
    """
    window = window_of(start, end, LONGEST_OF[period])
    *_, last = steps(window, period)
    whole = Window(floor(window.start, period), following(last, period))
    if period in KEPT and timezone.now() - window.start > KEPT[period]:
        raise ApiError(
            f"Single hours are kept for {KEPT[period].days} days. Please ask for a longer granularity.",
            param="granularity",
            code="no_longer_kept",
        )
    return whole


def _moment(name: str, text: str, *, is_end: bool = False) -> datetime:
    """:raises ApiError: 400, no time, or one before the first."""
    moment = _read(text, is_end)
    if moment is None or moment < FIRST:
        raise ApiError(
            f"Invalid '{name}': expected a day or a time (ISO 8601), or seconds since 1970, from {FIRST.year} on, "
            f"got '{text[:SHOWN]}'.",
            param=name,
            code="invalid_value",
        )
    return moment


def _read(text: str, is_end: bool) -> datetime | None:
    try:
        if SECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(text), UTC)
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return moment + timedelta(days=is_end and DAY.fullmatch(text) is not None)
    except (ValueError, OverflowError, OSError):
        return None
