"""How often those ask again who wait for something: the SDKs' poll helpers obey this header."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.response import Response

POLL_AFTER_MS = 500
SOONEST_MS = 100
POLL_HEADER = "openai-poll-after-ms"
POLL_AFTER = OpenApiParameter(
    POLL_HEADER,
    int,
    OpenApiParameter.HEADER,
    response=[200],
    description="How long to wait before asking again; as long as there is something to wait for.",
)


def polled(response: Response, *, is_over: bool, since: datetime | None = None) -> Response:
    """The response, with the header unless what it tells of is over.

    :param since: when that began, where it is mostly over soon: then one waits about as long again, within bounds.
    """
    if not is_over:
        response[POLL_HEADER] = str(POLL_AFTER_MS if since is None else _as_long_again(since))
    return response


def _as_long_again(since: datetime) -> int:
    waited = (timezone.now() - since).total_seconds() * 1_000
    return round(min(max(waited, SOONEST_MS), POLL_AFTER_MS))
