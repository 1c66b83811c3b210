"""Health and metrics, for machines. Health asks for no credentials and tells no internals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView

from inference.engines.status import EngineStatus, engine_status
from sovereign import __version__
from sovereign.accounts import credentials
from sovereign.accounts.scopes import USAGE_READ
from sovereign.core import database
from sovereign.core.configuration import LOOPBACK_HOSTS
from sovereign.core.errors import ApiError, forbidden

log = structlog.get_logger(__name__)

SERVICE = "sovereign"
TOKEN_AGE = timedelta(seconds=60)  # an engine without a token (canaries count) for longer is not known to work
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via")

_is_migrated = False  # once true it stays: a running process has the migrations it knows


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return _answer({"status": "healthy"})


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is asked, so that nothing else gets it restarted."""
    return _answer({"status": "alive"})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Whether requests can be served: the database and its migrations, and with ``?engine=1`` tokens too."""
    reasons: list[str] = []
    engines: list[EngineStatus] = []
    try:
        if not is_migrated():
            reasons.append("Migrations are not applied: run manage.py migrate.")
        else:
            engines = engine_status()
    except DatabaseError as error:
        log.warning("not_ready", error=type(error).__name__)
        reasons.append("The database does not answer.")
    if request.GET.get("engine") == "1" and not reasons and not any(map(has_recent_token, engines)):
        reasons.append(f"No engine produced a token in the last {int(TOKEN_AGE.total_seconds())} seconds.")
    return _answer(
        {
            "status": "not ready" if reasons else "ready",
            "reasons": reasons,
            "engines": [
                {"state": e["state"], "model": e["model"], "since": e["since"], "last_token_at": e["last_token_at"]}
                for e in engines
            ],
        },
        status=503 if reasons else 200,
    )


def is_migrated() -> bool:
    """:raises DatabaseError: the database does not answer."""
    global _is_migrated
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if not _is_migrated:
        _is_migrated = database.is_migrated()
    return _is_migrated


def has_recent_token(engine: EngineStatus) -> bool:
    token = engine["last_token_at"]
    return engine["state"] == "ready" and token is not None and timezone.now() - token <= TOKEN_AGE


def _answer(body: dict[str, Any], status: int = 200) -> JsonResponse:
    head = {"status": body.pop("status"), "service": SERVICE, "version": __version__, "timestamp": timezone.now()}
    return JsonResponse({**head, **body}, status=status, headers={"Cache-Control": "no-store"})


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format; closed to anonymous requests from elsewhere."""
    try:
        require_metrics_reader(request)
    except ApiError as error:
        return JsonResponse(error.body(), status=error.status, headers=error.headers)
    response: HttpResponse = ExportToDjangoView(request)
    return response


def require_metrics_reader(request: HttpRequest) -> None:
    """Staff, a key or person with ``usage:read``, or a process on this machine.

    :raises ApiError: 401 or 403.
    """
    person = request.user
    if is_local(request) or (person.is_active and person.is_staff):
        return
    principal = credentials.read(request.headers, person)
    if not principal.allows(USAGE_READ):
        raise forbidden(USAGE_READ)


def is_local(request: HttpRequest) -> bool:
    """Whether the peer is on this machine, and not a proxy that speaks for somebody else."""
    peer = request.META.get("REMOTE_ADDR", "")
    return peer in LOOPBACK_HOSTS and not any(header in request.headers for header in FORWARDED)
