"""Middleware of the whole product."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django_prometheus.middleware import PrometheusAfterMiddleware, PrometheusBeforeMiddleware

from sovereign.core.asgi import LaterAware
from sovereign.core.errors import ApiError
from sovereign.core.ids import new_request_id
from sovereign.core.times import COOKIE, zone_named

API_VERSION = "2020-10-01"  # the value recorded from the original service
PAGES = ("/admin/", "/chat/", "/account/")  # that people read; to programs all times are UTC
#: what is English, whatever a browser asks for
ENGLISH = ("/v1/", "/api/", "/admin/", "/docs", "/redoc", "/openapi.json", "/mcp", "/health", "/metrics", "/words/")
ORGANIZATION = "sovereign"  # clients expect a name: everything here belongs to one house


def refuse_nul(request: HttpRequest) -> HttpResponse | None:
    """An address or a cookie with a NUL in it names nothing: no text in Postgres can hold one, and asking for it is an
    error. A cookie may have one although headers may not: its value is unquoted."""
    if "\x00" in request.path:
        error = ApiError(f"Invalid URL ({request.method} {request.path})", status=404)
    elif "%00" in request.META.get("QUERY_STRING", "") or "\x00" in request.META.get("QUERY_STRING", ""):
        error = ApiError("The query has a character that is not allowed.", code="invalid_value")
    elif any("\x00" in value for value in request.COOKIES.values()):
        error = ApiError("A cookie has a character that is not allowed.", code="invalid_value")
    else:
        return None
    return JsonResponse(error.body(), status=error.status)


def _tell(request: HttpRequest, response: HttpResponse) -> None:
    """The headers of the original service that say who answered whom; a project only to those who are in it."""
    response["openai-version"] = API_VERSION
    if (project := getattr(getattr(request, "auth", None), "project_id", None)) is not None:
        response["openai-organization"] = ORGANIZATION
        response["openai-project"] = project


class RequestIdMiddleware:
    """Gives every request an id of ours: in the log's context, and in every response as ``x-request-id``.

    What a client sends under that name is its own affair: it would let it write into our logs.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = new_request_id()
        request.request_id = request_id  # type: ignore[attr-defined]
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = refuse_nul(request) or self.get_response(request)
        response["x-request-id"] = request_id
        if request.path.startswith(("/v1/", "/api/v1/")):
            _tell(request, response)
            response["openai-processing-ms"] = str(int((time.perf_counter() - started) * 1000))
        return response


class TimeZoneMiddleware:
    """Pages show times, and take them, in the zone that the person chose, or else in the one their browser told."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(PAGES):
            return self.get_response(request)
        zone = zone_named(getattr(request.user, "time_zone", "")) or zone_named(request.COOKIES.get(COOKIE))
        if zone is None:
            return self.get_response(request)
        with timezone.override(zone):
            return self.get_response(request)


class LanguageMiddleware:
    """Pages for people are in the language they chose, or else in the one that their browser asks for.

    What programs read stays English, and so does the admin.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(ENGLISH):
            return self.get_response(request)
        own = getattr(request.user, "language", "")
        language = own if own in dict(settings.LANGUAGES) else translation.get_language_from_request(request)
        with translation.override(language):
            response = self.get_response(request)
        patch_vary_headers(response, ("Accept-Language",))
        response.headers.setdefault("Content-Language", language)
        return response


class CountingBefore(LaterAware, PrometheusBeforeMiddleware):
    """All requests, and how long they took until their answer began."""


class CountingAfter(LaterAware, PrometheusAfterMiddleware):
    """Requests and responses by view, method and status."""
