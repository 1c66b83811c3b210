"""What the engines are doing, in sentences for the pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import Error as DatabaseError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as _marked
from django.utils.translation import ngettext

from inference import gateway
from inference.engines.status import EngineStatus, engine_status
from inference.starter.persona import MODEL_NAME as STARTER_MODEL
from sovereign.core import times
from sovereign.core.database import now

log = structlog.get_logger(__name__)

NO_DATABASE = _marked("The database does not answer at the moment.")
NO_ANSWER = _marked("the engine does not answer")
UNNAMED = "the engine"
NO_ENGINE = _marked("No engine runs here yet, and none is configured.")
LOADING = _marked("Loading {model}: {time} so far.")
PROGRESS = re.compile(r"\b(\d{1,3}) ?%")


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
        return {"state": "none", "sentence": _(NO_DATABASE), "model": None, "is_demonstration": False, "engines": []}
    if not detailed:
        statuses = [without_details(status, model) for status in statuses]
    return {
        "state": statuses[0]["state"] if statuses else "none",
        "sentence": sentence(statuses[0], instant) if statuses else _(NO_ENGINE),
        "model": model,
        "is_demonstration": model == STARTER_MODEL,
        "engines": [
            {"name": _title(status), "state": status["state"], "sentence": sentence(status, instant)}
            for status in statuses
        ],
    }


def of_model(name: str, project_id: str, *, detailed: bool) -> dict[str, str]:
    """``{"state", "sentence"}`` of what would answer to a model's name for a project; ``sentence`` is empty if ready.

    :param detailed: as for :func:`summary`.
    """
    try:
        model = gateway.meanings([name], project_id=project_id)[name] or name
        instant, statuses = now(), engine_status()
        concerned = [status for status in statuses if model in (status["name"], *status["models"])]
        if (
            not concerned
        ):  # it is the project's own, or nobody's; what is asked there does not sleep, so that none wakes
            found = gateway.availability(name, project_id=project_id)
            return {"state": "ready" if found.ready else "down", "sentence": found.reason}
    except DatabaseError as error:
        log.warning("engine_state_unknown", error=type(error).__name__)
        return {"state": "none", "sentence": _(NO_DATABASE)}
    best = concerned[0] if detailed else without_details(concerned[0], model)
    words = "" if best["state"] == "ready" else sentence({**best, "model": model}, instant)
    return {"state": best["state"], "sentence": words}


def _title(status: EngineStatus) -> str:
    """``openai at api.openai.com`` for staff; what anybody may know has neither."""
    return f"{status['provider']} at {status['address']}" if status["provider"] else status["name"]


def without_details(status: EngineStatus, default: str | None = None) -> EngineStatus:
    """What anybody may know of an engine: neither where it is, nor whose, nor what its machine said."""
    reason = _(NO_ANSWER) if status["state"] == "down" else _progress(status) if status["state"] == "loading" else ""
    if status["provider"] is not None and status["model"] != default:
        return {**status, "name": UNNAMED, "provider": None, "reason": reason, "model": None, "models": []}
    name = status["model"] or UNNAMED
    return {**status, "name": name, "provider": None, "reason": reason, "models": [name]}


def demonstrations(models: Iterable[str], project_id: str) -> set[str]:
    """Which of these names mean the starter model for a project: itself, its aliases, and what leads to the default."""
    return {name for name, model in gateway.meanings(models, project_id=project_id).items() if model == STARTER_MODEL}


def sentence(status: EngineStatus, instant: datetime) -> str:
    """One engine's state as people say it; times of today without the date."""
    what = status["model"] or status["name"]
    reason = status["reason"].rstrip(".")
    match status["state"]:
        case "ready":
            return _ready(status)
        case "asleep":
            return _("Asleep. {model} wakes up when somebody asks for it.").format(model=what)
        case "loading":
            words = _("Loading {model}, {percent}: {time} so far.") if _progress(status) else _(LOADING)
            return words.format(model=what, percent=_progress(status), time=duration(instant - status["since"]))
        case "installing":
            words = _("Installing the engine: {time} so far.").format(time=duration(instant - status["since"]))
            return f"{words} {reason}." if reason else words
    since = status["since"]
    moment = times.clock(since) if times.is_same_day(since, instant) else times.told(since)
    words = _("Down since {moment}, because: {reason}.") if reason else _("Down since {moment}.")
    return words.format(moment=moment, reason=reason)


def _progress(status: EngineStatus) -> str:
    """``40 %`` of loading, where the engine says it."""
    found = PROGRESS.search(status["reason"])
    return f"{found[1]} %" if found else ""


def _ready(status: EngineStatus) -> str:
    others = len(status["models"]) - 1
    if status["model"] is None:
        return _("Ready.")
    if others < 1:
        return _("Ready. The model is {model}.").format(model=status["model"])
    words = ngettext(
        "Ready. The models are {model} and {others} other.",
        "Ready. The models are {model} and {others} others.",
        others,
    )
    return words.format(model=status["model"], others=others)


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
