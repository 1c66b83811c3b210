"""Health and metrics, for machines. Health asks for no credentials and tells no internals.

Engines, providers and metrics are of the house, not of a project: who reads all of them sees what belongs to others.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView

from inference.engines.status import EngineStatus, engine_status
from runs.tools.interpreter.reports import Reported, reported
from sovereign import __version__
from sovereign.accounts import credentials
from sovereign.accounts.scopes import HEALTH_READ
from sovereign.core import database
from sovereign.core.configuration import LOOPBACK_HOSTS
from sovereign.core.errors import ApiError, forbidden

log = structlog.get_logger(__name__)

SERVICE = "sovereign"
NO_DATABASE = "The database does not answer."
TOKEN_AGE = timedelta(seconds=60)  # an engine without a token (canaries count) for longer is not known to work
HEARTBEAT_AGE = timedelta(seconds=30)  # nor is one that nobody reports about
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
        reasons.append(NO_DATABASE)
    if request.GET.get("engine") == "1" and not reasons and not any(map(produces_tokens, engines)):
        reasons.append(f"No engine produced a token in the last {int(TOKEN_AGE.total_seconds())} seconds.")
    return _answer(
        {
            "status": "not ready" if reasons else "ready",
            "reasons": reasons,
            "engines": [
                {
                    "state": engine["state"],
                    "model": engine["model"] if engine["provider"] is None else None,  # others' are not told here
                    "since": engine["since"],
                    "last_token_at": engine["last_token_at"],
                }
                for engine in engines
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


def produces_tokens(engine: EngineStatus) -> bool:
    """Whether it is ready by a fresh report, and by a token that is as fresh as can be expected."""
    instant = timezone.now()
    token, heartbeat = engine["last_token_at"], engine["heartbeat_at"]
    reported = heartbeat is not None and instant - heartbeat <= HEARTBEAT_AGE
    return engine["state"] == "ready" and reported and token is not None and instant - token <= TOKEN_AGE


@require_safe
def providers(request: HttpRequest) -> JsonResponse:
    """Every engine and the provider it belongs to, and whether code can be run; to all but operators their states only.

    ``status`` is the best state of all engines, ``none`` without any.
    """
    try:
        engines, interpreter = engine_status(), reported()
        detailed = is_operator(request)
    except DatabaseError as error:
        log.warning("providers_unknown", error=type(error).__name__)
        return _answer({"status": "unknown", "reasons": [NO_DATABASE], "providers": []}, status=503)
    shown = [_described(engine) if detailed else {"state": engine["state"]} for engine in engines]
    status = engines[0]["state"] if engines else "none"
    return _answer({"status": status, "providers": shown, "code_interpreter": _interpreter(interpreter, detailed)})


def _interpreter(reported: Reported, detailed: bool) -> dict[str, Any]:
    """Whether the code interpreter can run; for operators also on how many of the workers, and why not."""
    told: dict[str, Any] = {"usable": not reported.reason}
    if detailed:
        told |= {"workers": reported.workers, "usable_workers": reported.usable, "reason": reported.reason or None}
    return told


def _described(engine: EngineStatus) -> dict[str, Any]:
    """One engine for operators; ages are seconds, ``cache_usage`` 0 to 1, what nobody knows is null."""
    instant = timezone.now()
    copied = (
        "name",
        "provider",
        "kind",
        "address",
        "state",
        "since",
        "models",
        "failures",
        "latency_ms",
        "cache_usage",
    )
    return {
        **{name: engine[name] for name in copied},  # type: ignore[literal-required]
        "last_error": engine["reason"] or None,
        "queue": {"running": engine["running"], "waiting": engine["waiting"]},
        "heartbeat_age": _age(engine["heartbeat_at"], instant),
        "last_token_age": _age(engine["last_token_at"], instant),
    }


def _age(moment: datetime | None, instant: datetime) -> float | None:
    return None if moment is None else round(max(0.0, (instant - moment).total_seconds()), 1)


def _answer(body: dict[str, Any], status: int = 200) -> JsonResponse:
    head = {"status": body.pop("status"), "service": SERVICE, "version": __version__, "timestamp": timezone.now()}
    return JsonResponse({**head, **body}, status=status, headers={"Cache-Control": "no-store"})


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format, for operators."""
    try:
        require_operator(request)
    except ApiError as error:
        return JsonResponse(error.body(), status=error.status, headers=error.headers)
    response: HttpResponse = ExportToDjangoView(request)
    return response


def require_operator(request: HttpRequest) -> None:
    """A superuser, a key with ``health:read``, or a process on this machine.

    :raises ApiError: 401 or 403.
    """
    person = request.user
    if is_local(request) or (person.is_active and person.is_superuser):
        return
    principal = credentials.read(request.headers, person)
    if not principal.allows(HEALTH_READ):
        raise forbidden(HEALTH_READ)


def is_operator(request: HttpRequest) -> bool:
    """As ``require_operator``."""
    try:
        require_operator(request)
    except ApiError:
        return False
    return True


def is_local(request: HttpRequest) -> bool:
    """Whether the peer is on this machine, and not a proxy that speaks for somebody else.

    Where people come by another name there is a proxy, which need not say so in any header: then nobody is local.
    """
    if settings.SOVEREIGN.is_proxied:
        return False
    peer = request.META.get("REMOTE_ADDR", "")
    return peer in LOOPBACK_HOSTS and not any(header in request.headers for header in FORWARDED)
