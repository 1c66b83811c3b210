"""What the engines are doing, in sentences for the pages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import Error as DatabaseError

from inference import gateway
from inference.engines.status import EngineStatus, engine_status
from inference.starter.persona import MODEL_NAME as STARTER_MODEL
from sovereign.core.database import now

log = structlog.get_logger(__name__)

NO_DATABASE = "The database does not answer at the moment."
NO_ANSWER = "the engine does not answer"
UNNAMED = "the engine"
NO_ENGINE = "No engine runs here yet, and none is configured."


def summary(*, detailed: bool) -> dict[str, Any]:
    """The state of the installation's engines.

    :param detailed: for staff, with addresses and with reasons in the words of whatever failed.
    :returns: ``state`` (``ready``, ``asleep``, ``loading``, ``installing``, ``down`` or ``none``: the best of all),
        ``sentence``, ``model`` (what a new assistant gets), ``is_demonstration`` (it is the starter model) and
        ``engines``: a list of ``{"name", "state", "sentence"}``.
    """
    try:
        instant, statuses, model = now(), engine_status(), gateway.default_model()  # ready engines first
    except DatabaseError as error:
        log.warning("engine_state_unknown", error=type(error).__name__)
        return {"state": "none", "sentence": NO_DATABASE, "model": None, "is_demonstration": False, "engines": []}
    if not detailed:
        statuses = [without_details(status, model) for status in statuses]
    return {
        "state": statuses[0]["state"] if statuses else "none",
        "sentence": sentence(statuses[0], instant) if statuses else NO_ENGINE,
        "model": model,
        "is_demonstration": model == STARTER_MODEL,
        "engines": [
            {"name": _title(status), "state": status["state"], "sentence": sentence(status, instant)}
            for status in statuses
        ],
    }


def _title(status: EngineStatus) -> str:
    """``openai at api.openai.com`` for staff; what anybody may know has neither."""
    return f"{status['provider']} at {status['address']}" if status["provider"] else status["name"]


def without_details(status: EngineStatus, default: str | None = None) -> EngineStatus:
    """What anybody may know of an engine: neither where it is, nor whose, nor what its machine said."""
    reason = NO_ANSWER if status["state"] == "down" else ""
    if status["provider"] is not None and status["model"] != default:
        return {**status, "name": UNNAMED, "provider": None, "reason": reason, "model": None, "models": []}
    name = status["model"] or UNNAMED
    return {**status, "name": name, "provider": None, "reason": reason, "models": [name]}


def demonstrations(models: Iterable[str], project_id: str) -> set[str]:
    """Which of these names mean the starter model for a project: itself, its aliases, and what leads to the default."""
    return {name for name, model in gateway.meanings(models, project_id=project_id).items() if model == STARTER_MODEL}


def sentence(status: EngineStatus, instant: datetime) -> str:
    """One engine's state as people say it; times of today without the date, all in UTC."""
    what = status["model"] or status["name"]
    reason = status["reason"].rstrip(".")
    match status["state"]:
        case "ready":
            return _ready(status)
        case "asleep":
            return f"Asleep. {what} wakes up when somebody asks for it."
        case "loading":
            return f"Loading {what}: {duration(instant - status['since'])} so far."
        case "installing":
            words = f"Installing the engine: {duration(instant - status['since'])} so far."
            return f"{words} {reason}." if reason else words
    since = status["since"]
    moment = f"{since:%H:%M} UTC" if since.date() == instant.date() else f"{since:%Y-%m-%d %H:%M} UTC"
    return f"Down since {moment}" + (f", because: {reason}." if reason else ".")


def _ready(status: EngineStatus) -> str:
    others = len(status["models"]) - 1
    if status["model"] is None:
        return "Ready."
    if others < 1:
        return f"Ready. The model is {status['model']}."
    return f"Ready. The models are {status['model']} and {others} other{'s' if others > 1 else ''}."


def duration(span: timedelta) -> str:
    """``40 s``, ``3 min 5 s``, ``2 h 10 min``.

    >>> duration(timedelta(seconds=40)), duration(timedelta(minutes=3, seconds=5)), duration(timedelta(minutes=130))
    ('40 s', '3 min 5 s', '2 h 10 min')
    """
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
