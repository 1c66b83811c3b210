"""How ``/v1`` speaks HTTP: orjson both ways, and JSON whatever ``Accept`` says."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer

from sovereign.core.errors import SHOWN_ID, ApiError, request_too_large, unsupported_content_type

MAXIMUM_DEPTH = 100  # levels of arrays and objects in a body
MAXIMUM_COMMAS = 1_000_000  # in a body: what bounds the values that checks have to walk through


class JSONParser(BaseParser):
    """Strict JSON, an empty body being an empty object (``POST /threads`` may come without one)."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """A body that says it is something else may still be JSON (``curl -d`` calls everything a form).

        :raises ApiError: 413, 415, and 400 for what is too deep or has too many values.
        :raises ParseError: it says it is JSON, and is not.
        """
        refuse_encoded(stream)
        body = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise request_too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if not body.strip():
            return {}
        if body.count(b",") > MAXIMUM_COMMAS:  # before they become objects, twenty times as large
            raise ApiError("The JSON body has too many values.", code="invalid_json")
        try:
            data = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            if media_type and "json" not in media_type.lower():
                raise unsupported_content_type(media_type) from None
            raise ParseError(str(error)) from None
        if body.count(b"[") + body.count(b"{") > MAXIMUM_DEPTH and _is_deeper_than(data, MAXIMUM_DEPTH):
            raise ApiError(f"The JSON body is nested deeper than {MAXIMUM_DEPTH} levels.", code="invalid_json")
        return data


def refuse_encoded(stream: Any) -> None:
    """Nothing here unpacks bodies: a small one may hold a very large one.

    :raises ApiError: 415.
    """
    encoding = getattr(stream, "META", {}).get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in ("", "identity"):
        raise ApiError(
            f"Unsupported content encoding: '{encoding[:SHOWN_ID]}'. Please send the body as it is.",
            status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            code="unsupported_content_encoding",
        )


def _is_deeper_than(data: Any, limit: int) -> bool:
    """Whether arrays and objects nest deeper than ``limit`` (level by level: no recursion to exhaust)."""
    level = [data]
    for _ in range(limit + 1):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        if data is None:
            return b""
        indent = orjson.OPT_INDENT_2 if (renderer_context or {}).get("indent") else 0
        return orjson.dumps(data, option=indent)


class BrowsableRenderer(BrowsableAPIRenderer):
    """DRF's browsable API, showing indented JSON."""

    def get_default_renderer(self, view: Any) -> BaseRenderer:
        return JSONRenderer()

    def get_content(self, renderer: Any, data: Any, accepted_media_type: str | None, renderer_context: Any) -> str:
        return orjson.dumps(data, option=orjson.OPT_INDENT_2).decode() if data is not None else ""


class ContentNegotiation(DefaultContentNegotiation):
    """SDKs send all kinds of ``Accept``: they get JSON. A person with a session and a browser gets pages."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        wants_page = "text/html" in request.META.get("HTTP_ACCEPT", "")
        if (
            wants_page
            and getattr(request._request, "user", None) is not None
            and request._request.user.is_authenticated
        ):
            page = next((r for r in renderers if isinstance(r, BrowsableAPIRenderer)), None)
            if page is not None:
                return page, page.media_type
        renderer = renderers[0]
        return renderer, renderer.media_type
