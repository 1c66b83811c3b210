"""How often those ask again who wait for something: the SDKs' poll helpers obey this header."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter
from rest_framework.response import Response

POLL_AFTER_MS = 500
POLL_HEADER = "openai-poll-after-ms"
POLL_AFTER = OpenApiParameter(
    POLL_HEADER,
    int,
    OpenApiParameter.HEADER,
    response=[200],
    description="How long to wait before asking again; as long as there is something to wait for.",
)


def polled(response: Response, *, is_over: bool) -> Response:
    """The response, with the header unless what it tells of is over."""
    if not is_over:
        response[POLL_HEADER] = str(POLL_AFTER_MS)
    return response
