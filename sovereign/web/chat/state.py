"""What stands in the way of an answer: the engine of the assistant's model, the runs before it, and the context."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from assistants.models import Assistant
from assistants.resolution import deployed
from assistants.services import get_assistant
from assistants.snapshots import Content, take
from inference import gateway
from runs.models import Run
from runs.services import environments
from runs.services.queueing import place_of
from runs.services.room import room_in
from runs.states import ACTIVE
from sovereign.core.errors import ApiError
from sovereign.web import engines
from sovereign.web.chat.answers import Asked, json_page
from sovereign.web.chat.files import taken_by


@json_page("GET")
def state(asked: Asked) -> dict[str, Any]:
    """``?assistant=…&environment=…&thread=…``, the last two where there are any; asked every few seconds.

    ``model`` and ``takes`` (see :func:`taken_by`) of the assistant as it would answer now, ``engine``: ``state`` and
    ``sentence`` (see :func:`engines.of_model`), and ``place``: how many-th the thread's run is that waits, or null.
    """
    query = asked.request.GET
    assistant = get_assistant(principal=asked.principal, assistant_id=query.get("assistant", ""))
    content = _content(asked, assistant, query.get("environment"), query.get("thread"))
    run = _active(asked, query["thread"]) if query.get("thread") else None
    model = content.model if run is None else run.model
    project_id = asked.principal.project_id
    sees = gateway.promised(content.model, project_id=project_id).vision
    return {
        "model": content.model,
        "takes": taken_by(content, sees=sees),
        "engine": engines.of_model(model, project_id, detailed=asked.request.user.is_staff),
        "place": None if run is None else place_of(run),
    }


@json_page("GET")
def context(asked: Asked, thread_id: str) -> dict[str, Any]:
    """``{"context": {"used", "length", "percent", "cut"}}``, null before a first answer: see :class:`Room`."""
    room = room_in(asked.own_thread(thread_id).id)
    if room is None:
        return {"context": None}
    return {"context": {"used": room.used, "length": room.length, "percent": room.percent, "cut": room.cut}}


def _content(asked: Asked, assistant: Assistant, wanted: str | None, thread_id: str | None) -> Content:
    """What would answer: the draft, or what is deployed where the person asks."""
    environment = environments.acting_in(replace(asked.principal, environment=None), wanted or None).environment
    found = deployed(assistant.id, environment, thread_id) if environment else None
    return take(assistant) if found is None else Content.of_json(found.version.content)


def _active(asked: Asked, thread_id: str) -> Run | None:
    """The run that a thread waits for; none of a thread that is not theirs, or gone: its own page says that."""
    try:
        thread = asked.own_thread(thread_id)
    except ApiError:
        return None
    run: Run | None = Run.objects.filter(thread_id=thread.id, status__in=ACTIVE).first()
    return run
