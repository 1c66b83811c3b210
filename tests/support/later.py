"""Answers that are awaited in the loop (``core.asgi``), for clients that have none: Django's own, and WSGI."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from sovereign.core.asgi import LaterResponse
from sovereign.core.sse import EventStream


class Awaiting:
    """A middleware, the outermost: gives the final response, a stream with all of its frames."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        return asyncio.run(_final(response)) if isinstance(response, LaterResponse) else response


async def _final(later: LaterResponse) -> HttpResponseBase:
    response = await later.final()
    if not isinstance(response, EventStream):
        return response
    frames = b"".join([frame async for frame in response.source])
    await response.source.aclose()
    return HttpResponse(frames, headers=dict(response.items()))
